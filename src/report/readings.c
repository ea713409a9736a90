// Tables of readings. Rule: sets are numbered without gaps and have a line for each group, so no table is
// larger than the file allows.
#include "readings.h"
#include "eval/means.h"
#include "util/memory.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

/// The base is the model of the first line that is no adapter's; the one after is the gap's adapter.
static void name_models(const Record *record, const ReportInput *input, Readings *out) {
  const char *adapter = TEXT_AT(record_after(record, input), "adapter");
  out->models[1] = adapter;
  const char *first = record->items.count > 0 ? TEXT_AT(record->items.items[0], "model") : NULL;
  if (first != NULL && (adapter == NULL || strcmp(first, adapter) != 0)) out->models[0] = first;
}

/// Where a line belongs.
typedef struct Place {
  size_t model, set, of, under; // model is READING_MODELS if the line is of neither
} Place;

static size_t find_model(const Readings *readings, const cJSON *line) {
  const char *name = TEXT_AT(line, "model");
  size_t m = 0;
  while (m < READING_MODELS &&
         (readings->models[m] == NULL || name == NULL || strcmp(readings->models[m], name) != 0))
    m++;
  return m;
}

static Status find_group(const ReportInput *input, const cJSON *line, const char *key, size_t *out) {
  const char *name = NULL;
  TRY(json_get_string(line, key, input->items, &name));
  for (*out = 0; *out < groups_count(input->groups); (*out)++) {
    if (strcmp(groups_name(input->groups, *out), name) == 0) return STATUS_OK;
  }
  return status_fail(STATUS_INPUT, "%s: \"%s\" is \"%.100s\", which is no group of the run", input->items,
                     key, name);
}

static Status find_place(const Record *record, const ReportInput *input, const Readings *readings,
                         size_t number, Place *out) {
  const cJSON *line = record->items.items[number];
  size_t most = record->items.count / groups_count(input->groups);
  int64_t set = 0;
  out->model = find_model(readings, line);
  Status status = json_get_integer(line, "set", input->items, 0, (int64_t)(most > 0 ? most - 1 : 0), &set);
  if (status == STATUS_OK) status = find_group(input, line, "answer_of", &out->of);
  if (status == STATUS_OK) status = find_group(input, line, "read_under", &out->under);
  out->set = (size_t)set;
  return status_context(status, "line %zu", number + 1);
}

static Status count_sets(const Record *record, const ReportInput *input, Readings *out) {
  for (size_t i = 0; i < record->items.count; i++) {
    Place place;
    TRY(find_place(record, input, out, i, &place));
    if (place.set >= out->sets) out->sets = place.set + 1;
  }
  return STATUS_OK;
}

static Status add_lines(const Record *record, const ReportInput *input, Readings *out) {
  for (size_t i = 0; i < record->items.count; i++) {
    const cJSON *line = record->items.items[i];
    double H = NUMBER_AT(line, "H");
    Place place;
    TRY(find_place(record, input, out, i, &place));
    if (place.model == READING_MODELS || !isfinite(H)) continue;
    size_t cell = place.set * out->groups + place.under;
    const cJSON **first =
        &out->first[place.model][(place.set * out->groups + place.of) * out->groups + place.under];
    out->H[place.model][cell] += H;
    out->counts[place.model][cell]++;
    if (*first == NULL) *first = line;
  }
  for (size_t m = 0; m < READING_MODELS; m++) {
    for (size_t cell = 0; cell < out->sets * out->groups; cell++)
      out->H[m][cell] = out->counts[m][cell] > 0 ? out->H[m][cell] / (double)out->counts[m][cell] : NAN;
  }
  return STATUS_OK;
}

/// Items and gap are of one measurement if the groups' mean entropies are the same, but for the order of
/// sums.
static Status check_same(const Record *record, const ReportInput *input, const Readings *readings) {
  const cJSON *measured[READING_MODELS] = {record_before(record), record_after(record, input)};
  for (size_t i = 0; i < READING_MODELS * readings->groups; i++) {
    size_t m = i / readings->groups, group = i % readings->groups;
    const char *name = groups_name(input->groups, group);
    double told = NUMBER_AT(measured[m], "paired", "H", name);
    Estimate mean;
    TRY(readings_mean(readings, m, group, &mean));
    if (isfinite(told) && isfinite(mean.value) && !(fabs(told - mean.value) <= 1e-9))
      return status_fail(STATUS_INPUT,
                         "%s and %s are not of one measurement: H of %.100s is %.9g in one and %.9g in the "
                         "other; name files that the same gee-cl gap wrote",
                         input->gap, input->items, name, told, mean.value);
  }
  return STATUS_OK;
}

static Status choose_pair(Readings *readings) {
  double largest = -INFINITY, smallest = INFINITY;
  readings->of = 1;
  readings->minus = 0;
  for (size_t g = 0; g < readings->groups && readings->groups > 2; g++) {
    Estimate mean;
    TRY(readings_mean(readings, 0, g, &mean));
    if (mean.value > largest) readings->of = g;
    if (mean.value < smallest) readings->minus = g;
    largest = fmax(largest, mean.value);
    smallest = fmin(smallest, mean.value);
  }
  return STATUS_OK;
}

Status readings_collect(const Record *record, const ReportInput *input, Readings *out) {
  *out = (Readings){0};
  if (input->groups == NULL || record->items.count == 0) return STATUS_OK;
  out->groups = groups_count(input->groups);
  name_models(record, input, out);
  TRY(count_sets(record, input, out));
  for (size_t m = 0; m < READING_MODELS; m++) {
    TRY(mem_array(&out->H[m], out->sets * out->groups, "readings"));
    TRY(mem_array(&out->counts[m], out->sets * out->groups, "readings"));
    TRY(mem_array(&out->first[m], out->sets * out->groups * out->groups, "readings"));
  }
  TRY(add_lines(record, input, out));
  TRY(choose_pair(out));
  return check_same(record, input, out);
}

void readings_free(Readings *readings) {
  for (size_t m = 0; m < READING_MODELS; m++) {
    free(readings->H[m]);
    free(readings->counts[m]);
    free(readings->first[m]);
  }
  *readings = (Readings){0};
}

double readings_gap(const Readings *readings, size_t model, size_t set) {
  const double *H = readings->H[model] + set * readings->groups;
  return H[readings->of] - H[readings->minus];
}

Status readings_mean(const Readings *readings, size_t model, size_t group, Estimate *out) {
  double *values = NULL;
  size_t count = 0;
  *out = (Estimate){NAN, NAN, NAN};
  TRY(mem_array(&values, readings->sets, "readings"));
  for (size_t set = 0; set < readings->sets; set++) {
    double H = readings->H[model][set * readings->groups + group];
    if (isfinite(H)) values[count++] = H;
  }
  Interval mean = estimate_mean(values, count);
  *out = (Estimate){mean.value, mean.low, mean.high};
  free(values);
  return STATUS_OK;
}

const cJSON *readings_line(const Readings *readings, size_t model, size_t set, size_t of, size_t under) {
  return readings->first[model][(set * readings->groups + of) * readings->groups + under];
}
