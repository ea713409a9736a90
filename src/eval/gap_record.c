// A measurement of the gap, read back. Rule: every answer must be there under every prompt of its set, once.
// So no line can be left out or added unseen, whatever the figures say.
#include "eval/gap_record.h"

#include "gap_metrics.h"
#include "io/file.h"
#include "item_reader.h"
#include "util/memory.h"
#include <float.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>

/// What the lines of one model add up to.
typedef struct Replay {
  GapReport report;
  bool *seen; // [sets][answers][own group][group it was read under]
  size_t lines, with_kl;
  double H_sum;
  cJSON *first; // the ids of its first own answer
} Replay;

typedef struct Reader {
  GapRecord *record;
  GapFrame frame;
  size_t sets;
  Replay *replays;   // [record->count]
  const char *place; // of the line that is read
} Reader;

static void reader_free(Reader *reader) {
  for (size_t m = 0; reader->replays != NULL && m < reader->record->count; m++) {
    gap_report_free(&reader->replays[m].report);
    free(reader->replays[m].seen);
    cJSON_Delete(reader->replays[m].first);
  }
  free(reader->replays);
}

// ---- the file ----

static Status add_model(GapRecord *record, const cJSON *printed, const char *name) {
  record->models[record->count++] = (GapRecordModel){.name = name, .printed = printed};
  return STATUS_OK;
}

static Status add_adapters(GapRecord *record, const cJSON *adapters) {
  const cJSON *printed = NULL;
  const char *name = NULL;
  cJSON_ArrayForEach(printed, adapters) {
    TRY(json_get_string(printed, "adapter", record->path, &name));
    TRY(add_model(record, printed, name));
  }
  return STATUS_OK;
}

/// A model alone is the object itself; adapters are a list beside their base.
static Status list_models(GapRecord *record) {
  const cJSON *adapters = NULL, *base = NULL;
  const char *name = NULL;
  bool compared = json_has(record->json, "adapters");
  TRY(json_get_string(record->json, "model_path", record->path, &name));
  if (compared) TRY(json_get_array(record->json, "adapters", record->path, &adapters));
  TRY(mem_array(&record->models, (size_t)cJSON_GetArraySize(adapters) + 1, "gaps"));
  if (compared && json_has(record->json, "base"))
    TRY(json_get_object(record->json, "base", record->path, &base));
  if (!compared) base = record->json;
  if (base != NULL) TRY(add_model(record, base, name));
  TRY(add_adapters(record, adapters));
  if (record->count > 0) return STATUS_OK;
  return status_fail(STATUS_INPUT, "%s has no measurement", record->path);
}

/// The groups in their order, from the first model's figures.
static Status read_groups(Reader *reader) {
  const GapRecord *record = reader->record;
  const cJSON *total = NULL, *H = NULL, *group = NULL;
  TRY(json_get_object(record->models[0].printed, "total", record->path, &total));
  TRY(json_get_object(total, "H", record->path, &H));
  int count = cJSON_GetArraySize(H);
  if (count < 2 || count > DATA_MAX_GROUPS)
    return status_fail(STATUS_INPUT, "%s: \"H\" has %d groups; 2 to %d", record->path, count,
                       DATA_MAX_GROUPS);
  cJSON_ArrayForEach(group, H) reader->frame.groups[reader->frame.group_count++] = group->string;
  return STATUS_OK;
}

/// A seed beyond 2^53, which no double holds, is written as text.
static Status read_seed(const cJSON *sampling, const char *path, uint64_t *out) {
  const char *text = cJSON_GetStringValue(cJSON_GetObjectItemCaseSensitive(sampling, "seed"));
  int64_t seed = 0;
  if (text != NULL) {
    *out = strtoull(text, NULL, 10);
    if (*text != '\0' && strspn(text, "0123456789") == strlen(text) && strlen(text) <= 20) return STATUS_OK;
    return status_fail(STATUS_INPUT, "%s: \"seed\" is \"%.40s\", and no number", path, text);
  }
  TRY(json_get_integer(sampling, "seed", path, 0, INT64_MAX, &seed));
  *out = (uint64_t)seed;
  return STATUS_OK;
}

/// What the figures depend on besides the items.
static Status read_frame(Reader *reader) {
  const GapRecord *record = reader->record;
  const cJSON *sampling = NULL;
  int64_t answers = 0, sets = 0;
  double max_drift = 0;
  TRY(read_groups(reader));
  TRY(json_get_object(record->json, "sampling", record->path, &sampling));
  TRY(json_get_integer(sampling, "answers", record->path, 1, UINT32_MAX, &answers));
  TRY(read_seed(sampling, record->path, &reader->frame.seed));
  TRY(json_get_integer(record->models[0].printed, "sets", record->path, 1, UINT32_MAX, &sets));
  TRY(json_get_number(record->json, "max_drift", record->path, &max_drift));
  if (!(max_drift >= 0 && max_drift <= FLT_MAX))
    return status_fail(STATUS_INPUT, "%s: \"max_drift\" is %g", record->path, max_drift);
  reader->frame.answers = (size_t)answers;
  reader->frame.max_drift = (float)max_drift;
  reader->sets = (size_t)sets;
  return STATUS_OK;
}

/// The lines that a model must have; a line has many bytes, so no more memory is asked for than the file
/// justifies.
static Status count_lines(const Reader *reader, uint64_t file_size, size_t *out) {
  uint64_t of_set = (uint64_t)reader->frame.answers * reader->frame.group_count * reader->frame.group_count;
  if (of_set > file_size || reader->sets > file_size / of_set)
    return status_fail(STATUS_INPUT,
                       "%s is too short for %zu sets of %zu answers to each of %zu prompts, which %s has",
                       reader->record->items_path, reader->sets, reader->frame.answers,
                       reader->frame.group_count, reader->record->path);
  *out = (size_t)of_set * reader->sets;
  return STATUS_OK;
}

static Status create_replays(Reader *reader, size_t lines) {
  size_t cells = reader->sets * reader->frame.group_count;
  TRY(mem_array(&reader->replays, reader->record->count, "gaps"));
  for (size_t m = 0; m < reader->record->count; m++) {
    GapReport *report = &reader->replays[m].report;
    report->sets = reader->sets;
    report->groups = reader->frame.group_count;
    report->equal = true;
    TRY(mem_array(&report->total, cells, "gaps"));
    TRY(mem_array(&report->paired, cells, "gaps"));
    TRY(mem_array(&report->kl, reader->sets, "gaps"));
    TRY(mem_array(&reader->replays[m].seen, lines, "gaps"));
  }
  return STATUS_OK;
}

// ---- a line ----

/// *out = the mean of the numbers in a list, summed as the measurement does; the printed mean must be it.
static Status read_mean(const Reader *reader, const cJSON *line, const char *key, const char *printed,
                        double *out) {
  const cJSON *list = NULL, *value = NULL;
  double sum = 0;
  size_t count = 0;
  TRY(json_get_array(line, key, reader->place, &list));
  cJSON_ArrayForEach(value, list) {
    if (!cJSON_IsNumber(value) || !(fabs(value->valuedouble) <= FLT_MAX))
      return status_fail(STATUS_INPUT, "%s: \"%s\" has something else than numbers", reader->place, key);
    sum += (double)(float)value->valuedouble;
    count++;
  }
  if (count == 0) return status_fail(STATUS_INPUT, "%s: \"%s\" is empty", reader->place, key);
  *out = sum / (double)count;
  const cJSON *mean = cJSON_GetObjectItemCaseSensitive(line, printed);
  if (figure_is(mean, *out)) return STATUS_OK;
  return status_fail(STATUS_INPUT, "%s: \"%s\" is %.10g, and the mean of \"%s\" is %.10g", reader->place,
                     printed, cJSON_IsNumber(mean) ? mean->valuedouble : NAN, key, *out);
}

static Status find_group(const Reader *reader, const cJSON *line, const char *key, size_t *out) {
  const char *name = NULL;
  TRY(json_get_string(line, key, reader->place, &name));
  for (*out = 0; *out < reader->frame.group_count; ++*out)
    if (strcmp(reader->frame.groups[*out], name) == 0) return STATUS_OK;
  return status_fail(STATUS_INPUT, "%s: \"%s\" is \"%.60s\", which is no group of %s", reader->place, key,
                     name, reader->record->path);
}

static Status find_replay(const Reader *reader, const cJSON *line, Replay **out) {
  const char *name = NULL;
  TRY(json_get_string(line, "model", reader->place, &name));
  for (size_t m = 0; m < reader->record->count; m++) {
    *out = &reader->replays[m];
    if (strcmp(reader->record->models[m].name, name) == 0) return STATUS_OK;
  }
  return status_fail(STATUS_INPUT, "%s: the model %.200s is not in %s", reader->place, name,
                     reader->record->path);
}

/// Adds an own answer: what gap_measure tallies.
static Status add_own(const Reader *reader, Replay *replay, const cJSON *line, size_t set, double H) {
  GapReport *report = &replay->report;
  const cJSON *ids = NULL;
  TRY(json_get_array(line, "ids", reader->place, &ids));
  size_t tokens = (size_t)cJSON_GetArraySize(ids);
  if (tokens != (size_t)cJSON_GetArraySize(cJSON_GetObjectItemCaseSensitive(line, "entropy")))
    return status_fail(STATUS_INPUT, "%s: \"ids\" has another length than \"entropy\"", reader->place);
  replay->H_sum += H;
  report->answers++;
  report->tokens += tokens;
  report->empty += tokens == 1 && cJSON_IsTrue(cJSON_GetObjectItemCaseSensitive(line, "ended"));
  if (replay->first == NULL) {
    replay->first = cJSON_Duplicate(ids, true);
    if (replay->first == NULL) return status_fail(STATUS_FAILED, "no memory for an answer");
  }
  report->equal = report->equal && cJSON_Compare(ids, replay->first, true);
  if (!json_has(line, "divergence")) return STATUS_OK;
  double kl = 0;
  TRY(read_mean(reader, line, "divergence", "kl", &kl));
  report->kl[set] += kl / (double)(reader->frame.answers * report->groups);
  replay->with_kl++;
  return STATUS_OK;
}

static Status add_reading(const Reader *reader, const cJSON *line) {
  Replay *replay = NULL;
  const GapFrame *frame = &reader->frame;
  int64_t set = 0, answer = 0;
  size_t own = 0, under = 0;
  double H = 0;
  TRY(find_replay(reader, line, &replay));
  TRY(json_get_integer(line, "set", reader->place, 0, (int64_t)reader->sets - 1, &set));
  TRY(json_get_integer(line, "answer", reader->place, 0, (int64_t)frame->answers - 1, &answer));
  TRY(find_group(reader, line, "answer_of", &own));
  TRY(find_group(reader, line, "read_under", &under));
  TRY(read_mean(reader, line, "entropy", "H", &H));
  size_t groups = frame->group_count, at = ((size_t)set * frame->answers + (size_t)answer) * groups + own;
  bool *seen = &replay->seen[at * groups + under];
  if (*seen)
    return status_fail(STATUS_INPUT, "%s: set %zu has answer %zu of %s under %s twice", reader->place,
                       (size_t)set, (size_t)answer, frame->groups[own], frame->groups[under]);
  *seen = true;
  replay->lines++;
  size_t cell = (size_t)set * groups + under;
  replay->report.paired[cell] += H / (double)(frame->answers * groups);
  if (own != under) return STATUS_OK;
  replay->report.total[cell] += H / (double)frame->answers;
  return add_own(reader, replay, line, (size_t)set, H);
}

static Status read_line(void *user, const char *text, size_t size, size_t number) {
  Reader *reader = user;
  char *place = NULL;
  cJSON *line = NULL;
  TRY(str_format(&place, "%s:%zu", reader->record->items_path, number));
  reader->place = place;
  Status status = json_parse_with_nul(text, size, place, &line); // an answer may hold any character
  if (status == STATUS_OK) status = add_reading(reader, line);
  cJSON_Delete(line);
  free(place);
  return status;
}

// ---- the figures again ----

static Status finish_replay(const Reader *reader, size_t model, size_t lines) {
  Replay *replay = &reader->replays[model];
  GapReport *report = &replay->report;
  const GapRecord *record = reader->record;
  const cJSON *distinct = cJSON_GetObjectItemCaseSensitive(record->models[model].printed, "distinct_sets");
  if (replay->lines != lines)
    return status_fail(STATUS_INPUT, "%s has %zu readings of %s, and not %zu", record->items_path,
                       replay->lines, record->models[model].name, lines);
  if (replay->with_kl > 0 && replay->with_kl != report->answers)
    return status_fail(STATUS_INPUT, "%s: \"divergence\" is missing of some answers of %s",
                       record->items_path, record->models[model].name);
  if (replay->with_kl == 0) {
    free(report->kl);
    report->kl = NULL;
  }
  report->H_bar = replay->H_sum / (double)report->answers;
  report->distinct_sets =
      cJSON_IsNumber(distinct) && distinct->valuedouble >= 0 && distinct->valuedouble <= (double)report->sets
          ? (size_t)distinct->valuedouble
          : 0; // not from the items
  return STATUS_OK;
}

/// The figures as JSON, by the code that writes them.
static Status compute(const Reader *reader, size_t model) {
  const GapRecord *record = reader->record;
  bool changed = model > 0 && json_has(record->json, "base");
  MetricList metrics = {0};
  JsonWriter json = {0};
  Str text = {0};
  Status status = STATUS_OK;
  TRY_CLEAN(gap_metrics_add(&metrics, &reader->frame, &reader->replays[model].report,
                            changed ? &reader->replays[0].report : NULL));
  TRY_CLEAN(metrics_check(&metrics));
  json_object_begin(&json, NULL);
  gap_metrics_write(&metrics, &reader->frame, &json);
  json_object_end(&json);
  TRY_CLEAN(json_finish(&json, "the gap", &text));
  TRY_CLEAN(json_parse(str_text(&text), text.size, "the gap", &reader->record->models[model].computed));
cleanup:
  metrics_free(&metrics);
  json_free(&json);
  str_free(&text);
  return status;
}

static Status file_size(const char *path, uint64_t *out) {
  MappedFile file = {0};
  TRY(file_map(path, &file));
  *out = file.size;
  file_unmap(&file);
  return STATUS_OK;
}

Status gap_record_open(const char *path, GapRecord *out) {
  const char *format = NULL;
  MappedFile file = {0};
  TRY(str_copy(&out->path, path, strlen(path)));
  TRY(file_map(path, &file));
  Status status = json_parse_unique((const char *)file.bytes, file.size, path, &out->json);
  file_unmap(&file);
  TRY(status);
  TRY(json_get_string(out->json, "format", path, &format));
  if (strcmp(format, GAP_RECORD_FORMAT) == 0) return list_models(out);
  return status_fail(STATUS_INPUT, "%s is \"%.60s\"; what gee-cl gap --output writes is \"%s\"", path, format,
                     GAP_RECORD_FORMAT);
}

Status gap_record_compute(GapRecord *record, const char *items) {
  Reader reader = {.record = record};
  uint64_t size = 0;
  size_t lines = 0;
  Status status = STATUS_OK;
  TRY_CLEAN(items_find(record->json, record->path, items, &record->items_path, &record->bound));
  TRY_CLEAN(read_frame(&reader));
  TRY_CLEAN(file_size(record->items_path, &size));
  TRY_CLEAN(count_lines(&reader, size, &lines));
  TRY_CLEAN(create_replays(&reader, lines));
  TRY_CLEAN(file_lines(record->items_path, read_line, &reader));
  for (size_t m = 0; m < record->count; m++) TRY_CLEAN(finish_replay(&reader, m, lines));
  for (size_t m = 0; m < record->count; m++) TRY_CLEAN(compute(&reader, m));
cleanup:
  reader_free(&reader);
  return status;
}

void gap_record_free(GapRecord *record) {
  for (size_t m = 0; m < record->count; m++) cJSON_Delete(record->models[m].computed);
  free(record->models);
  cJSON_Delete(record->json);
  free(record->path);
  free(record->items_path);
  *record = (GapRecord){0};
}

// ---- differences ----

static Status compare_trees(const cJSON *printed, const cJSON *computed, const char *name, Str *out);

/// The members of `computed`, under their names behind `name`.
static Status compare_members(const cJSON *printed, const cJSON *computed, const char *name, Str *out) {
  const cJSON *member = NULL;
  int index = 0;
  cJSON_ArrayForEach(member, computed) {
    char *inner = NULL;
    bool list = cJSON_IsArray(computed);
    if (list)
      TRY(str_format(&inner, "%s[%d]", name, index));
    else
      TRY(str_format(&inner, "%s%s%s", name, *name != '\0' ? "." : "", member->string));
    const cJSON *other =
        list ? cJSON_GetArrayItem(printed, index) : cJSON_GetObjectItemCaseSensitive(printed, member->string);
    Status status = compare_trees(other, member, inner, out);
    free(inner);
    TRY(status);
    index++;
  }
  return STATUS_OK;
}

/// What `printed` has and the items do not give.
static Status compare_surplus(const cJSON *printed, const cJSON *computed, const char *name, Str *out) {
  const cJSON *member = NULL;
  if (cJSON_IsArray(computed) && cJSON_GetArraySize(printed) > cJSON_GetArraySize(computed))
    return str_append_format(out, "%s: it has more entries than the items give\n", name);
  if (!cJSON_IsObject(computed)) return STATUS_OK;
  cJSON_ArrayForEach(member, printed) {
    if (cJSON_GetObjectItemCaseSensitive(computed, member->string) == NULL)
      TRY(str_append_format(out, "%s.%s: the items give no such figure\n", name, member->string));
  }
  return STATUS_OK;
}

static Status compare_trees(const cJSON *printed, const cJSON *computed, const char *name, Str *out) {
  if (printed == NULL) return str_append_format(out, "%s: it is not there\n", name);
  if (cJSON_IsNumber(computed)) return figure_compare(printed, name, computed->valuedouble, out);
  if (cJSON_IsObject(computed) || cJSON_IsArray(computed)) {
    if ((printed->type & 0xff) != (computed->type & 0xff))
      return str_append_format(out, "%s: it has another form than the items give\n", name);
    TRY(compare_members(printed, computed, name, out));
    return compare_surplus(printed, computed, name, out);
  }
  if (cJSON_Compare(printed, computed, true)) return STATUS_OK;
  const char *is = cJSON_GetStringValue(printed), *gives = cJSON_GetStringValue(computed);
  return str_append_format(out, "%s is %.100s there, %.100s from the items\n", name,
                           is != NULL ? is : "something else", gives != NULL ? gives : "not a number");
}

Status gap_record_differences(const GapRecordModel *model, Str *out) {
  static const char *const optional[] = {"kl", "void", "change"};
  TRY(compare_members(model->printed, model->computed, "", out));
  for (size_t i = 0; i < sizeof optional / sizeof *optional; i++) {
    if (json_has(model->printed, optional[i]) && !json_has(model->computed, optional[i]))
      TRY(str_append_format(out, "%s: the items give no such figure\n", optional[i]));
  }
  return STATUS_OK;
}
