// The entropy gap between the groups of any group file (eval/gap.h), as a task with rows: the answers, and
// their mean entropies under every prompt of their set. Rule: an item is a counterfactual set, so with two
// groups value and interval are those of `gee-cl gap` on the same sets.
//
// For K = total (each group with its own answers) and paired (every answer under every group's prompt):
//
//   <K>_gap                   two groups: H of the second less H of the first; more: largest less smallest
//   <K>_gap_<g>_minus_<h>     of every pair, if there are more than two
//   <K>_H_<g>                 mean entropy of the group
//   <K>_sd_<g>                standard deviation of its entropies, over answers
//   <K>_effect_size_<g>       Cohen's d: (H_g − mean H of the other groups) / pooled standard deviation; both
//   with
//                             the bootstrap over sets
//   H_bar                     mean entropy over the answers under their own prompts
#include "estimate.h"
#include "gap_stats.h"
#include "task_data.h"
#include "task_list.h"
#include "util/memory.h"
#include <math.h>
#include <stdlib.h>
#include <string.h>

static const char *const FILES[] = {NULL};
enum { DRAWS = 10000, SEED = 15 };

// ---- items ----

static void add_tokens(JsonWriter *json, const Prompt *prompts, size_t groups) {
  json_array_begin(json, "prompt_tokens");
  for (size_t g = 0; g < groups; g++) {
    json_array_begin(json, NULL);
    for (size_t t = 0; t < prompts[g].tokens.count; t++) json_integer(json, NULL, prompts[g].tokens.ids[t]);
    json_array_end(json);
  }
  json_array_end(json);
}

static Status open_sets(TaskData *data) {
  const Dataset *dataset = data->prompts;
  size_t groups = groups_count(dataset->groups);
  for (size_t set = 0; set < dataset->sets; set++) {
    const Prompt *prompts = &dataset->prompts[dataset->set_start[set]];
    JsonWriter json = {0};
    if (dataset->set_start[set + 1] - dataset->set_start[set] != groups)
      return status_fail(STATUS_INPUT, "set %zu does not have one prompt of each of the %zu groups", set,
                         groups);
    task_item_begin(data, set, &json);
    json_integer(&json, "row", (int64_t)prompts[0].source);
    json_array_begin(&json, "groups");
    for (size_t g = 0; g < groups; g++) json_string(&json, NULL, groups_name(dataset->groups, g));
    json_array_end(&json);
    json_array_begin(&json, "prompts");
    for (size_t g = 0; g < groups; g++) json_string(&json, NULL, prompts[g].text);
    json_array_end(&json);
    add_tokens(&json, prompts, groups);
    TRY(task_item_end(data, &json));
  }
  return STATUS_OK;
}

// ---- requests and rows ----

static Status read_tokens(const TaskItem *item, const cJSON *list, Tokens *out) {
  const cJSON *id = NULL;
  cJSON_ArrayForEach(id, list) {
    if (!cJSON_IsNumber(id) || !(id->valuedouble >= 0 && id->valuedouble <= INT32_MAX))
      return status_fail(STATUS_INPUT, "%s: \"prompt_tokens\" has something else than tokens", item->name);
    TRY(tokens_append(out, (int32_t)id->valuedouble));
  }
  return STATUS_OK;
}

static Status ask_set(const TaskItem *item, TaskRequests *requests) {
  const cJSON *lists = NULL, *list = NULL;
  Tokens tokens[DATA_MAX_GROUPS] = {0};
  TokenSpan prompts[DATA_MAX_GROUPS];
  int64_t set = 0;
  size_t count = 0;
  Status status = STATUS_OK;
  TRY(json_get_array(item->row, "prompt_tokens", item->name, &lists));
  TRY(json_get_integer(item->row, "index", item->name, 0, UINT32_MAX, &set));
  cJSON_ArrayForEach(list, lists) {
    if (count == DATA_MAX_GROUPS) break;
    TRY_CLEAN(read_tokens(item, list, &tokens[count]));
    prompts[count] = (TokenSpan){tokens[count].ids, tokens[count].count};
    count++;
  }
  TRY_CLEAN(request_readings(requests, prompts, count, (size_t)set));
cleanup:
  for (size_t i = 0; i < DATA_MAX_GROUPS; i++) tokens_free(&tokens[i]);
  return status;
}

/// "answers"[own prompt][answer] and "H"[own prompt][answer][prompt it was read under].
static Status decide_set(const TaskItem *item, const TaskAnswers *answers, JsonWriter *row) {
  const cJSON *names = NULL;
  TRY(json_get_array(item->row, "groups", item->name, &names));
  size_t groups = (size_t)cJSON_GetArraySize(names), each = answers->generation_count / groups;
  json_array_begin(row, "answers");
  for (size_t g = 0; g < groups; g++) {
    json_array_begin(row, NULL);
    for (size_t a = 0; a < each; a++) {
      const TaskGeneration *answer = &answers->generations[g * each + a];
      json_bytes(row, NULL, answer->text, answer->size);
    }
    json_array_end(row);
  }
  json_array_end(row);
  json_array_begin(row, "H");
  for (size_t g = 0; g < groups; g++) {
    json_array_begin(row, NULL);
    for (size_t a = 0; a < each; a++) {
      json_array_begin(row, NULL);
      for (size_t u = 0; u < groups; u++)
        json_exact(row, NULL, answers->entropies[(g * each + a) * groups + u]);
      json_array_end(row);
    }
    json_array_end(row);
  }
  json_array_end(row);
  return STATUS_OK;
}

// ---- metrics ----

/// The entropies of all rows: H[set][own group][answer][group it was read under].
typedef struct Entropies {
  const char *names[DATA_MAX_GROUPS];
  double *H;
  size_t sets, groups, answers; // of each prompt
} Entropies;

static double at(const Entropies *e, size_t set, size_t own, size_t answer, size_t under) {
  return e->H[((set * e->groups + own) * e->answers + answer) * e->groups + under];
}

/// *out = the numbers of a list of lists of lists, whose sizes must be those given.
static Status read_entropies(const TaskItem *item, const Entropies *e, double *out) {
  const cJSON *owns = NULL, *own = NULL, *answer = NULL, *value = NULL;
  size_t count = 0, wanted = e->groups * e->answers * e->groups;
  TRY(json_get_array(item->row, "H", item->name, &owns));
  bool regular = (size_t)cJSON_GetArraySize(owns) == e->groups;
  cJSON_ArrayForEach(own, owns) {
    regular = regular && (size_t)cJSON_GetArraySize(own) == e->answers;
    cJSON_ArrayForEach(answer, own) {
      regular = regular && (size_t)cJSON_GetArraySize(answer) == e->groups;
      cJSON_ArrayForEach(value, answer) {
        if (!regular || count == wanted || !cJSON_IsNumber(value)) break;
        out[count++] = value->valuedouble;
      }
    }
  }
  if (regular && count == wanted) return STATUS_OK;
  return status_fail(STATUS_INPUT, "%s: \"H\" does not have %zu numbers for each group and answer",
                     item->name, e->groups);
}

static Status read_rows(const TaskItems *items, Entropies *e) {
  const cJSON *names = NULL, *owns = NULL;
  const TaskItem *first = &items->list[0];
  TRY(json_get_array(first->row, "groups", first->name, &names));
  TRY(json_get_array(first->row, "H", first->name, &owns));
  e->groups = (size_t)cJSON_GetArraySize(names);
  e->answers = (size_t)cJSON_GetArraySize(cJSON_GetArrayItem(owns, 0));
  if (e->groups < 2 || e->groups > DATA_MAX_GROUPS || e->answers == 0)
    return status_fail(STATUS_INPUT, "%s has %zu groups and %zu answers", first->name, e->groups, e->answers);
  TRY(item_texts(first, "groups", e->names, e->groups));
  size_t size = e->groups * e->answers * e->groups;
  TRY(mem_product(items->count, size, &e->sets, "entropies"));
  TRY(mem_array(&e->H, e->sets, "entropies"));
  e->sets = items->count;
  for (size_t i = 0; i < items->count; i++) TRY(read_entropies(&items->list[i], e, e->H + i * size));
  return STATUS_OK;
}

/// The entropies of a group: those of its own answers, or those of all answers under its prompt.
typedef struct GroupValues {
  double sum, squares, count;
} GroupValues;

/// What a statistic of a sample of sets is computed from.
typedef struct Sample {
  const Entropies *entropies;
  bool paired;
  size_t group;
} Sample;

static GroupValues values_of(const Sample *sample, size_t group, const uint32_t *times) {
  const Entropies *e = sample->entropies;
  GroupValues v = {0};
  for (size_t i = 0; i < e->sets * e->groups * e->answers; i++) {
    size_t set = i / (e->groups * e->answers), own = i / e->answers % e->groups;
    if (!sample->paired && own != group) continue;
    double h = at(e, set, own, i % e->answers, group);
    v.sum += times[set] * h;
    v.squares += times[set] * h * h;
    v.count += times[set];
  }
  return v;
}

static double variance(const GroupValues *v) {
  double mean = v->sum / v->count;
  return v->count > 1 ? fmax(0, v->squares - v->count * mean * mean) / (v->count - 1) : NAN;
}

static double deviation(const void *user, const uint32_t *times) {
  const Sample *sample = user;
  GroupValues values = values_of(sample, sample->group, times);
  return sqrt(variance(&values));
}

static double effect_size(const void *user, const uint32_t *times) {
  const Sample *sample = user;
  size_t groups = sample->entropies->groups;
  double own = 0, others = 0, squares = 0, freedom = 0;
  for (size_t g = 0; g < groups; g++) {
    GroupValues values = values_of(sample, g, times);
    double mean = values.sum / values.count;
    squares += variance(&values) * (values.count - 1);
    freedom += values.count - 1;
    if (g == sample->group)
      own = mean;
    else
      others += mean / (double)(groups - 1);
  }
  double pooled = sqrt(squares / freedom);
  return pooled > 0 ? (own - others) / pooled : NAN;
}

/// table[set][group] = the mean entropy of the group in the set.
static void fill_table(const Entropies *e, bool paired, double *table) {
  for (size_t set = 0; set < e->sets; set++) {
    for (size_t g = 0; g < e->groups; g++) {
      double sum = 0;
      for (size_t own = 0; own < e->groups; own++)
        for (size_t a = 0; a < e->answers && (paired || own == g); a++) sum += at(e, set, own, a, g);
      table[set * e->groups + g] = sum / (double)(e->answers * (paired ? e->groups : 1));
    }
  }
}

static Interval interval_of(const GapMean *mean) {
  return (Interval){mean->value, mean->low, mean->high};
}

static Status add_group(const Sample *sample, const double *table, const char *kind, MetricList *metrics) {
  const Entropies *e = sample->entropies;
  const char *name = e->names[sample->group];
  size_t n = e->sets * e->answers * (sample->paired ? e->groups : 1);
  Interval estimate;
  double *column = NULL;
  Status status = STATUS_OK;
  TRY(mem_array(&column, e->sets, "entropies"));
  for (size_t set = 0; set < e->sets; set++) column[set] = table[set * e->groups + sample->group];
  metrics_add_estimate(metrics, estimate_mean(column, e->sets), n, "%s_H_%s", kind, name);
  TRY_CLEAN(estimate_statistic(deviation, sample, e->sets, &estimate));
  metrics_add_estimate(metrics, estimate, n, "%s_sd_%s", kind, name);
  TRY_CLEAN(estimate_statistic(effect_size, sample, e->sets, &estimate));
  metrics_add_estimate(metrics, estimate, n, "%s_effect_size_%s", kind, name);
cleanup:
  free(column);
  return status;
}

static Status measure_kind(const Entropies *e, bool paired, MetricList *metrics) {
  const char *kind = paired ? "paired" : "total";
  GapEstimate estimate;
  double *table = NULL;
  Status status = STATUS_OK;
  TRY(mem_array(&table, e->sets * e->groups, "entropies"));
  fill_table(e, paired, table);
  TRY_CLEAN(gap_estimate(&(GapTable){table, e->sets, e->groups}, &(GapResampling){SEED, DRAWS}, &estimate));
  metrics_add_estimate(metrics, interval_of(&estimate.gap), e->sets, "%s_gap", kind);
  for (size_t p = 0; p < estimate.pair_count && estimate.pair_count > 1; p++)
    metrics_add_estimate(metrics, interval_of(&estimate.pairs[p].mean), e->sets, "%s_gap_%s_minus_%s", kind,
                         e->names[estimate.pairs[p].of], e->names[estimate.pairs[p].minus]);
  for (size_t g = 0; g < e->groups; g++) TRY_CLEAN(add_group(&(Sample){e, paired, g}, table, kind, metrics));
cleanup:
  free(table);
  return status;
}

static Status measure_H_bar(const Entropies *e, MetricList *metrics) {
  double *means = NULL;
  TRY(mem_array(&means, e->sets, "entropies"));
  for (size_t set = 0; set < e->sets; set++)
    for (size_t own = 0; own < e->groups; own++)
      for (size_t a = 0; a < e->answers; a++)
        means[set] += at(e, set, own, a, own) / (double)(e->groups * e->answers);
  metrics_add_estimate(metrics, estimate_mean(means, e->sets), e->sets * e->groups * e->answers, "H_bar");
  free(means);
  return STATUS_OK;
}

static Status measure(const TaskItems *items, MetricList *metrics) {
  Entropies e = {0};
  Status status = STATUS_OK;
  TRY_CLEAN(read_rows(items, &e));
  TRY_CLEAN(measure_kind(&e, true, metrics));
  TRY_CLEAN(measure_kind(&e, false, metrics));
  TRY_CLEAN(measure_H_bar(&e, metrics));
cleanup:
  free(e.H);
  return status;
}

static const char *const HEADLINES[] = {"paired_gap", "total_gap", "H_bar", NULL};
static const TaskAim AIMS[] = {
    {"paired_gap", 0}, {"total_gap", 0}, {"paired_effect_size", 0}, {"total_effect_size", 0}, {NULL, 0}};

const TaskType task_entropy_gap = {
    .name = "entropy_gap",
    .help = "the entropy gap between groups on counterfactual prompts: the config's, or built-in ones",
    .limits = "How sure a model is when a prompt names one group or another; equal entropies are not equal "
              "answers. A "
              "model whose entropy collapses has no gap either: look at H_bar beside it.",
    .published = "the group file and prompts of the config",
    .files = FILES,
    .argument = "GROUPS",
    .argument_help = "takes these groups: gender, race, age or a file",
    .prompts = true,
    .aims = AIMS,
    .headlines = HEADLINES,
    .by_token = true,
    .open = open_sets,
    .ask = ask_set,
    .decide = decide_set,
    .measure = measure,
};
