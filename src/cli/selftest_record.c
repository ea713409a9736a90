// Records of the self-test: kept, written, read and compared. Rule: what is compared is what was computed,
// and how far apart two devices may be is the self-test's own tolerance, which no file can change.
#include "selftest_record.h"

#include "io/file.h"
#include "io/json.h"
#include "ops/ops.h"
#include "util/memory.h"
#include "util/str.h"
#include "visible.h"
#include <float.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>

static const char format[] = "gee-cl selftest";
enum { VERSION = 1, MOST_ELEMENTS = 1 << 30, MOST_BYTES = 1 << 24 };

// ---- keeping ----

static size_t kept_of(size_t elements) {
  return size_min(elements, RECORD_VALUES);
}

/// Outputs of the operations that have ended.
static size_t ended(const SelftestRecord *record) {
  if (record->count == 0) return 0;
  const RecordOperation *last = &record->operations[record->count - 1];
  return last->first + last->count;
}

static Status add_output(SelftestRecord *record, const RecordOutput *output) {
  TRY(mem_reserve(&record->outputs, &record->output_capacity, record->output_count + 1,
                  "self-test's record"));
  record->outputs[record->output_count++] = *output;
  return STATUS_OK;
}

static Status add_operation(SelftestRecord *record, const char *name, double tolerance) {
  TRY(mem_reserve(&record->operations, &record->capacity, record->count + 1, "self-test's record"));
  size_t first = ended(record);
  char *copy = NULL;
  TRY(str_format(&copy, "%s", name));
  record->operations[record->count++] =
      (RecordOperation){copy, first, record->output_count - first, tolerance};
  return STATUS_OK;
}

void selftest_keep_output(SelftestRecord *record, const float *values, size_t count) {
  RecordOutput output = {.elements = count};
  double squares = 0;
  for (size_t i = 0; i < count; i++) squares += (double)values[i] * (double)values[i];
  output.norm = (float)sqrt(squares);
  for (size_t i = 0; i < kept_of(count); i++) output.values[i] = values[i * count / kept_of(count)];
  if (record->status == STATUS_OK) record->status = add_output(record, &output);
}

void selftest_keep_operation(SelftestRecord *record, const char *name, double tolerance) {
  if (record->status == STATUS_OK) record->status = add_operation(record, name, tolerance);
}

void selftest_record_free(SelftestRecord *record) {
  for (size_t i = 0; i < record->count; i++) free(record->operations[i].name);
  free(record->operations);
  free(record->outputs);
  free(record->program);
  free(record->device);
  *record = (SelftestRecord){0};
}

// ---- writing ----

static void add_outputs(const SelftestRecord *record, const RecordOperation *operation, JsonWriter *json) {
  json_array_begin(json, "outputs");
  for (size_t i = 0; i < operation->count; i++) {
    const RecordOutput *output = &record->outputs[operation->first + i];
    json_object_begin(json, NULL);
    json_integer(json, "elements", (int64_t)output->elements);
    json_float(json, "norm", output->norm);
    json_array_begin(json, "values");
    for (size_t v = 0; v < kept_of(output->elements); v++) json_float(json, NULL, output->values[v]);
    json_array_end(json);
    json_object_end(json);
  }
  json_array_end(json);
}

void selftest_record_write(const SelftestRecord *record, JsonWriter *json) {
  json_string(json, "format", format);
  json_integer(json, "version", VERSION);
  json_string(json, "program", record->program);
  json_array_begin(json, "operations");
  for (size_t i = 0; i < record->count; i++) {
    json_object_begin(json, NULL);
    json_string(json, "operation", record->operations[i].name);
    add_outputs(record, &record->operations[i], json);
    json_object_end(json);
  }
  json_array_end(json);
}

// ---- reading ----

static Status read_float(const cJSON *item, const char *what, const char *path, float *out) {
  if (cJSON_IsNumber(item) && fabs(item->valuedouble) <= FLT_MAX) {
    *out = (float)item->valuedouble;
    return STATUS_OK;
  }
  return status_fail(STATUS_INPUT, "%s: %s must be a number that float32 holds", path, what);
}

static Status read_output(SelftestRecord *record, const cJSON *item, const char *path) {
  RecordOutput output = {0};
  int64_t elements = 0;
  const cJSON *values = NULL, *value = NULL;
  size_t i = 0;
  TRY(json_get_integer(item, "elements", path, 1, MOST_ELEMENTS, &elements));
  output.elements = (size_t)elements;
  TRY(read_float(cJSON_GetObjectItemCaseSensitive(item, "norm"), "\"norm\"", path, &output.norm));
  TRY(json_get_array(item, "values", path, &values));
  if ((size_t)cJSON_GetArraySize(values) != kept_of(output.elements))
    return status_fail(STATUS_INPUT, "%s: an output of %zu elements must have %zu \"values\", not %d", path,
                       output.elements, kept_of(output.elements), cJSON_GetArraySize(values));
  cJSON_ArrayForEach(value, values) TRY(read_float(value, "a value", path, &output.values[i++]));
  return add_output(record, &output);
}

static const RecordOperation *find_operation(const SelftestRecord *record, const char *name) {
  for (size_t i = 0; i < record->count; i++) {
    if (strcmp(record->operations[i].name, name) == 0) return &record->operations[i];
  }
  return NULL;
}

static Status read_operation(SelftestRecord *record, const cJSON *item, const char *path) {
  const char *name = NULL;
  const cJSON *outputs = NULL, *output = NULL;
  TRY(json_get_string(item, "operation", path, &name));
  if (find_operation(record, name) != NULL)
    return status_fail(STATUS_INPUT, "%s: the operation \"%.64s\" is there twice", path, name);
  TRY(json_get_array(item, "outputs", path, &outputs));
  cJSON_ArrayForEach(output, outputs) TRY(read_output(record, output, path));
  return add_operation(record, name, 0);
}

static Status check_format(const cJSON *json, const char *path) {
  const cJSON *found = cJSON_GetObjectItemCaseSensitive(json, "format");
  int64_t version = 0;
  if (!cJSON_IsString(found) || strcmp(found->valuestring, format) != 0)
    return status_fail(STATUS_INPUT, "%s: is not a record of gee-cl selftest --write-reference", path);
  TRY(json_get_integer(json, "version", path, 1, INT32_MAX, &version));
  if (version == VERSION) return STATUS_OK;
  return status_fail(STATUS_INPUT, "%s: has version %lld of the record's format; this gee-cl reads %d", path,
                     (long long)version, VERSION);
}

/// A copy of a name, which is printed: characters that a terminal obeys would forge what stands below it.
static Status copy_name(char **out, const char *path, const char *text) {
  Str shown = {0};
  Status status = visible_append(&shown, text, strlen(text));
  bool plain = status == STATUS_OK && strcmp(str_text(&shown), text) == 0 && strpbrk(text, "\n\t") == NULL;
  str_free(&shown);
  TRY(status);
  if (plain) return str_format(out, "%.200s", text);
  return status_fail(STATUS_INPUT, "%s: the name of the program or the device has control characters", path);
}

static Status read_device(const cJSON *json, const char *path, char **out) {
  const cJSON *device = NULL;
  const char *name = NULL, *driver = NULL;
  char *names[2] = {NULL, NULL};
  Status status = STATUS_OK;
  TRY(json_get_object(json, "device", path, &device));
  TRY(json_get_string(device, "name", path, &name));
  TRY(json_get_string(device, "driver", path, &driver));
  TRY_CLEAN(copy_name(&names[0], path, name));
  TRY_CLEAN(copy_name(&names[1], path, driver));
  TRY_CLEAN(str_format(out, "%s (%s)", names[0], names[1]));
cleanup:
  free(names[0]);
  free(names[1]);
  return status;
}

static Status read_record(const cJSON *json, const char *path, SelftestRecord *out) {
  const char *program = NULL;
  const cJSON *operations = NULL, *operation = NULL;
  TRY(check_format(json, path));
  TRY(json_get_string(json, "program", path, &program));
  TRY(copy_name(&out->program, path, program));
  TRY(read_device(json, path, &out->device));
  TRY(json_get_array(json, "operations", path, &operations));
  cJSON_ArrayForEach(operation, operations) TRY(read_operation(out, operation, path));
  return STATUS_OK;
}

Status selftest_record_read(const char *path, SelftestRecord *out) {
  cJSON *json = NULL;
  MappedFile file = {0};
  Status status = STATUS_OK;
  TRY(file_map(path, &file));
  if (file.size > MOST_BYTES) {
    status =
        status_fail(STATUS_INPUT, "%s: is not a record of gee-cl selftest --write-reference, with %zu bytes",
                    path, file.size);
    goto cleanup;
  }
  TRY_CLEAN(json_parse((const char *)file.bytes, file.size, path, &json));
  TRY_CLEAN(read_record(json, path, out));
cleanup:
  cJSON_Delete(json);
  file_unmap(&file);
  return status;
}

// ---- comparing ----

/// The root mean square of the kept values' differences, as a share of that of the reference's elements; or
/// the difference of the norms, if that is larger.
static double output_difference(const RecordOutput *own, const RecordOutput *reference) {
  size_t kept = kept_of(reference->elements);
  double squares = 0, norm = reference->norm > 0 ? (double)reference->norm : 1;
  for (size_t i = 0; i < kept; i++) {
    double off = (double)own->values[i] - (double)reference->values[i];
    squares += off * off;
  }
  double values = sqrt(squares / (double)kept) / (norm / sqrt((double)reference->elements));
  double norms = fabs((double)own->norm - (double)reference->norm) / norm;
  return norms > values || isnan(norms) ? norms : values;
}

static Status fail_other(const SelftestRecord *own, const SelftestRecord *reference, const char *path,
                         const char *name, const char *what) {
  return status_fail(STATUS_INPUT,
                     "%s: \"%.64s\" %s: it was made by %s, and this is %s, whose self-test has other checks",
                     path, name, what, reference->program, own->program);
}

/// Both have the same checks with the same outputs.
static Status check_alike(const SelftestRecord *own, const SelftestRecord *reference, const char *path) {
  for (size_t i = 0; i < own->count; i++) {
    const RecordOperation *mine = &own->operations[i], *its = find_operation(reference, mine->name);
    if (its == NULL && selftest_is_optional(mine->name)) continue;
    if (its == NULL) return fail_other(own, reference, path, mine->name, "is missing");
    bool same = its->count == mine->count;
    for (size_t o = 0; same && o < mine->count; o++)
      same = own->outputs[mine->first + o].elements == reference->outputs[its->first + o].elements;
    if (!same) return fail_other(own, reference, path, mine->name, "has other outputs");
  }
  for (size_t i = 0; i < reference->count; i++) {
    const char *name = reference->operations[i].name;
    if (find_operation(own, name) == NULL && !selftest_is_optional(name))
      return fail_other(own, reference, path, name, "is no check here");
  }
  return STATUS_OK;
}

Status selftest_record_compare(const SelftestRecord *own, const SelftestRecord *reference, const char *path,
                               RecordCompared compared, void *user) {
  const RecordOperation *failed = NULL;
  TRY(check_alike(own, reference, path));
  for (size_t i = 0; i < own->count; i++) {
    const RecordOperation *mine = &own->operations[i], *its = find_operation(reference, mine->name);
    double worst = 0;
    for (size_t o = 0; its != NULL && o < mine->count; o++) {
      double off = output_difference(&own->outputs[mine->first + o], &reference->outputs[its->first + o]);
      if (off > worst || isnan(off)) worst = off; // a NaN stays: nothing is larger than it
    }
    if (its == NULL) continue;
    bool passed = worst <= mine->tolerance;
    compared(user, mine->name, worst, mine->tolerance, passed);
    if (!passed && failed == NULL) failed = mine;
  }
  if (failed == NULL) return STATUS_OK;
  return status_fail(STATUS_FAILED, "%s does not compute here what %s has in %s", failed->name,
                     reference->device, path);
}
