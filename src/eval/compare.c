// Paired comparisons. Rule: every model is resampled alike, so what the items have in common cancels out.
#include "eval/compare.h"

#include "estimate.h"
#include "student.h"
#include "util/memory.h"
#include "util/rng.h"
#include "util/str.h"
#include <math.h>
#include <stdlib.h>
#include <string.h>

enum { LEAST_UNITS = 8, MOST_BUNDLES = 300, EXCHANGE_SEED = 1935 };

/// The task that is compared. Metrics are those of the first model, numbered as its list has them.
typedef struct Work {
  const ComparedRows *rows; // [models]
  size_t models, metrics, units;
  size_t *unit_of;     // [rows] the unit of each row
  const char **labels; // [rows] of each unit, where rows have a key for it
  TaskItem *some;      // [rows] a part of the rows, to be measured
  ClusterSum *parts;   // [metrics][units][models]
  uint32_t *used;      // [metrics][units] the units that have a part, in order
  size_t *used_count;  // [metrics]
  double *draws;       // [metrics][models][ESTIMATE_DRAWS]
} Work;

static void work_free(Work *w) {
  free(w->unit_of);
  free(w->labels);
  free(w->some);
  free(w->parts);
  free(w->used);
  free(w->used_count);
  free(w->draws);
}

static const TaskItems *items_of(const Work *w, size_t model) {
  return &w->rows[model].items;
}

static const Metric *metric_of(const Work *w, size_t metric) {
  return &w->rows[0].metrics->items[metric];
}

static ClusterSum *part_of(const Work *w, size_t metric, size_t unit, size_t model) {
  return &w->parts[(metric * w->units + unit) * w->models + model];
}

static double *draws_of(const Work *w, size_t metric, size_t model) {
  return &w->draws[(metric * w->models + model) * ESTIMATE_DRAWS];
}

// ---- units ----

static Status find_unit(Work *w, const TaskItem *item, size_t row) {
  const char *key = items_of(w, 0)->type->unit, *label = NULL;
  size_t unit = row;
  if (key != NULL) {
    TRY(json_get_string(item->row, key, item->name, &label));
    unit = 0;
    while (unit < w->units && strcmp(w->labels[unit], label) != 0) unit++;
  }
  if (unit == w->units) w->labels[w->units++] = label;
  w->unit_of[row] = unit;
  return STATUS_OK;
}

/// The rows must be of the same items; that their inputs are, their hash says.
static Status check_rows(const Work *w, size_t row) {
  int64_t first = 0, other = 0;
  for (size_t m = 0; m < w->models; m++) {
    const TaskItem *item = &items_of(w, m)->list[row];
    TRY(json_get_integer(item->row, "index", item->name, 0, INT32_MAX, m == 0 ? &first : &other));
    if (m > 0 && first != other)
      return status_fail(STATUS_INPUT, "%s is of another item than %s", item->name,
                         items_of(w, 0)->list[row].name);
  }
  return STATUS_OK;
}

static Status list_units(Work *w) {
  size_t count = items_of(w, 0)->count;
  for (size_t m = 1; m < w->models; m++)
    if (items_of(w, m)->count != count || strcmp(items_of(w, m)->type->name, items_of(w, 0)->type->name) != 0)
      return status_fail(STATUS_FAILED, "results of different items are compared");
  if (count > UINT32_MAX) return status_fail(STATUS_INPUT, "%zu items are too many", count);
  TRY(mem_array(&w->unit_of, count, "units"));
  TRY(mem_array(&w->labels, count, "units"));
  TRY(mem_array(&w->some, count, "rows"));
  for (size_t row = 0; row < count; row++) {
    TRY(check_rows(w, row));
    TRY(find_unit(w, &items_of(w, 0)->list[row], row));
  }
  return STATUS_OK;
}

// ---- parts ----

/// The metric called `name`, looked for from *hint on, as lists have the same order; NULL if there is none.
static const Metric *find_metric(const MetricList *list, const char *name, size_t *hint) {
  for (size_t i = 0; i < list->count; i++) {
    size_t at = (*hint + i) % list->count;
    if (strcmp(list->items[at].name, name) != 0) continue;
    *hint = at + 1;
    return &list->items[at];
  }
  return NULL;
}

/// *out = the metrics of `count` rows of w->some.
static Status measure_some(const Work *w, size_t count, MetricList *out) {
  const TaskType *type = items_of(w, 0)->type;
  estimate_values_only(true);
  Status status = type->measure(&(TaskItems){type, w->some, count}, out);
  estimate_values_only(false);
  return status == STATUS_OK ? metrics_check(out) : status;
}

static void add_alone(Work *w, const MetricList *alone, size_t unit, size_t model) {
  size_t hint = 0;
  for (size_t i = 0; i < w->metrics && alone->count > 0; i++) {
    const Metric *metric = find_metric(alone, metric_of(w, i)->name, &hint);
    if (metric == NULL || metric->n == 0) continue;
    *part_of(w, i, unit, model) = (ClusterSum){metric->value * (double)metric->n, (double)metric->n};
  }
}

/// Measures each unit of a model alone. first[unit] is its first row, next[row] the one after it, or
/// SIZE_MAX.
static Status measure_alone(Work *w, const size_t *first, const size_t *next, size_t model) {
  for (size_t unit = 0; unit < w->units; unit++) {
    MetricList alone = {0};
    size_t count = 0;
    for (size_t row = first[unit]; row != SIZE_MAX; row = next[row])
      w->some[count++] = items_of(w, model)->list[row];
    Status status = measure_some(w, count, &alone);
    if (status == STATUS_OK) add_alone(w, &alone, unit, model);
    metrics_free(&alone);
    TRY(status);
  }
  return STATUS_OK;
}

static Status measure_units(Work *w) {
  size_t *first = NULL, *next = NULL, rows = items_of(w, 0)->count;
  Status status = STATUS_OK;
  TRY_CLEAN(mem_array(&first, w->units, "units"));
  TRY_CLEAN(mem_array(&next, rows, "units"));
  for (size_t unit = 0; unit < w->units; unit++) first[unit] = SIZE_MAX;
  for (size_t row = rows; row-- > 0;) {
    next[row] = first[w->unit_of[row]];
    first[w->unit_of[row]] = row;
  }
  for (size_t m = 0; m < w->models; m++) TRY_CLEAN(measure_alone(w, first, next, m));
cleanup:
  free(first);
  free(next);
  return status;
}

static double value_of(const Work *w, size_t metric, size_t model) {
  return metrics_get(w->rows[model].metrics, "%s", metric_of(w, metric)->name).value;
}

/// Whether the metric is the mean of what the units alone give, for every model.
static bool adds_up(const Work *w, size_t metric) {
  for (size_t m = 0; m < w->models; m++) {
    double sum = 0, count = 0, value = value_of(w, metric, m);
    for (size_t u = 0; u < w->units; u++) {
      sum += part_of(w, metric, u, m)->sum;
      count += part_of(w, metric, u, m)->count;
    }
    if (!(fabs(sum / count - value) <= 1e-9 * fmax(1, fabs(value)))) return false;
  }
  return true;
}

/// Adds the pseudo-values of bundle `left_out` for the metrics that do not add up. What they are centred on
/// follows in centre().
static void add_pseudo(Work *w, const MetricList *rest, const bool *adds, size_t bundles, size_t left_out,
                       size_t model) {
  size_t hint = 0;
  double g = (double)bundles;
  for (size_t i = 0; i < w->metrics; i++) {
    if (adds[i]) continue;
    const Metric *metric = rest->count > 0 ? find_metric(rest, metric_of(w, i)->name, &hint) : NULL;
    double without = metric != NULL ? metric->value : NAN;
    *part_of(w, i, left_out, model) = (ClusterSum){g * value_of(w, i, model) - (g - 1) * without, 1};
  }
}

/// The pseudo-values' mean is the metric without the jackknife's bias; here it is to be the metric.
static void centre(Work *w, size_t metric, size_t bundles) {
  for (size_t m = 0; m < w->models; m++) {
    double mean = 0;
    for (size_t u = 0; u < bundles; u++) mean += part_of(w, metric, u, m)->sum / (double)bundles;
    for (size_t u = 0; u < bundles; u++) part_of(w, metric, u, m)->sum += value_of(w, metric, m) - mean;
  }
}

static Status jackknife(Work *w, const bool *adds) {
  size_t bundles = size_min(w->units, MOST_BUNDLES), rows = items_of(w, 0)->count;
  for (size_t m = 0; m < w->models && w->units > 1; m++) {
    for (size_t bundle = 0; bundle < bundles; bundle++) {
      MetricList rest = {0};
      size_t count = 0;
      for (size_t row = 0; row < rows; row++)
        if (w->unit_of[row] % bundles != bundle) w->some[count++] = items_of(w, m)->list[row];
      Status status = measure_some(w, count, &rest);
      if (status == STATUS_OK) add_pseudo(w, &rest, adds, bundles, bundle, m);
      metrics_free(&rest);
      TRY(status);
    }
  }
  for (size_t i = 0; i < w->metrics && w->units > 1; i++)
    if (!adds[i]) centre(w, i, bundles);
  return STATUS_OK;
}

static Status list_parts(Work *w) {
  bool *adds = NULL, all = true;
  size_t count = 0;
  Status status = STATUS_OK;
  TRY(mem_product(w->metrics, w->units, &count, "parts"));
  TRY(mem_product(count, w->models, &count, "parts"));
  TRY(mem_array(&w->parts, count, "parts"));
  TRY(measure_units(w));
  TRY(mem_array(&adds, w->metrics, "metrics"));
  for (size_t i = 0; i < w->metrics; i++) {
    adds[i] = adds_up(w, i);
    all = all && adds[i];
    if (!adds[i]) memset(part_of(w, i, 0, 0), 0, w->units * w->models * sizeof *w->parts);
  }
  if (!all) status = jackknife(w, adds);
  free(adds);
  return status;
}

/// Of most metrics most units have no part: those of one kind of items.
static Status list_used(Work *w) {
  size_t count = 0;
  TRY(mem_product(w->metrics, w->units, &count, "parts"));
  TRY(mem_array(&w->used, count, "parts"));
  TRY(mem_array(&w->used_count, w->metrics, "parts"));
  for (size_t i = 0; i < w->metrics; i++)
    for (size_t u = 0; u < w->units; u++) {
      bool used = false;
      for (size_t m = 0; m < w->models; m++) used = used || part_of(w, i, u, m)->count > 0;
      if (used) w->used[i * w->units + w->used_count[i]++] = (uint32_t)u;
    }
  return STATUS_OK;
}

// ---- resampling ----

static double mean_of(const Work *w, size_t metric, size_t model, const uint32_t *times) {
  double sum = 0, count = 0;
  const uint32_t *used = &w->used[metric * w->units];
  for (size_t i = 0; i < w->used_count[metric]; i++) {
    const ClusterSum *part = part_of(w, metric, used[i], model);
    sum += times[used[i]] * part->sum;
    count += times[used[i]] * part->count;
  }
  return count > 0 ? sum / count : NAN;
}

static Status draw_all(Work *w) {
  uint32_t *times = NULL;
  size_t count = 0;
  TRY(mem_product(w->metrics * w->models, ESTIMATE_DRAWS, &count, "bootstrap samples"));
  TRY(mem_array(&w->draws, count, "bootstrap samples"));
  TRY(mem_array(&times, w->units, "a bootstrap sample"));
  for (uint32_t d = 0; d < ESTIMATE_DRAWS; d++) {
    estimate_draw(times, w->units, d);
    for (size_t i = 0; i < w->metrics; i++)
      for (size_t m = 0; m < w->models; m++) draws_of(w, i, m)[d] = mean_of(w, i, m, times);
  }
  free(times);
  return STATUS_OK;
}

/// How much of the draws is beyond each end of an interval of 95 %. Percentiles of few units are too narrow,
/// as the bootstrap's variance is n − 1 of n parts of the right one, and knows no t distribution: so they are
/// moved out as far as the t-interval is wider than the bootstrap's (Hesterberg, Am. Statist. 69, 2015,
/// "expanded percentile").
static double tail_of(size_t units) {
  double n = (double)units;
  return erfc(sqrt(n / (n - 1)) * student_quantile(0.975, n - 1) / sqrt(2)) / 2;
}

/// The percentiles of what `of` makes of the draws of two models; NaN if most are not defined.
typedef double (*DrawOf)(double first, double second, double target);

static Status percentiles(const Work *w, size_t metric, const size_t models[2], DrawOf of, double target,
                          Interval *out) {
  const double *first = draws_of(w, metric, models[0]), *second = draws_of(w, metric, models[1]);
  double *values = NULL;
  size_t count = 0;
  TRY(mem_array(&values, ESTIMATE_DRAWS, "bootstrap samples"));
  for (size_t d = 0; d < ESTIMATE_DRAWS; d++) {
    values[count] = of(first[d], second[d], target);
    if (!isnan(values[count])) count++;
  }
  out->low = out->high = NAN;
  if (count > ESTIMATE_DRAWS / 2) {
    qsort(values, count, sizeof *values, estimate_by_value);
    double tail = tail_of(w->used_count[metric]);
    out->low = estimate_quantile(values, count, tail);
    out->high = estimate_quantile(values, count, 1 - tail);
  }
  free(values);
  return STATUS_OK;
}

static double difference(double first, double second, double target) {
  (void)target;
  return second - first;
}

static double distance(double value, double target) {
  return isinf(target) ? (target > 0 ? -value : value) : fabs(value - target);
}

static double distance_change(double first, double second, double target) {
  return distance(second, target) - distance(first, target);
}

// ---- exchanges ----

/// out[used] = what each unit adds to the difference of a model from the first. Returns the sum of their
/// sizes.
static double unit_changes(const Work *w, size_t metric, size_t model, double *out) {
  const uint32_t *used = &w->used[metric * w->units];
  double counts[2] = {0}, size = 0;
  for (size_t i = 0; i < w->used_count[metric]; i++) {
    counts[0] += part_of(w, metric, used[i], 0)->count;
    counts[1] += part_of(w, metric, used[i], model)->count;
  }
  for (size_t i = 0; i < w->used_count[metric]; i++) {
    out[i] =
        part_of(w, metric, used[i], model)->sum / counts[1] - part_of(w, metric, used[i], 0)->sum / counts[0];
    size += fabs(out[i]);
  }
  return size;
}

static double exchange_once(const double *changes, size_t count, uint32_t number) {
  double sum = 0;
  uint32_t signs = 0;
  for (size_t i = 0; i < count; i++, signs >>= 1) {
    if (i % 32 == 0) signs = rng_bits(EXCHANGE_SEED, RNG_PERMUTE, number, (uint32_t)(i / 32), 0);
    sum += (signs & 1) != 0 ? changes[i] : -changes[i];
  }
  return sum;
}

static Status exchange(const Work *w, size_t metric, size_t model, double *p) {
  double *changes = NULL, observed = 0;
  size_t count = w->used_count[metric], larger = 0;
  *p = NAN;
  TRY(mem_array(&changes, count, "units"));
  double size = unit_changes(w, metric, model, changes), slack = 1e-12 * size;
  for (size_t i = 0; i < count; i++) observed += changes[i];
  for (uint32_t d = 0; d < ESTIMATE_DRAWS; d++)
    if (fabs(exchange_once(changes, count, d)) >= fabs(observed) - slack) larger++;
  if (count > 0 && !isnan(size)) *p = (double)(larger + 1) / (ESTIMATE_DRAWS + 1);
  free(changes);
  return STATUS_OK;
}

// ---- metrics ----

static const TaskAim *aim_of(const TaskType *type, const char *metric) {
  for (const TaskAim *aim = type->aims; aim != NULL && aim->metric != NULL; aim++)
    if (str_starts(metric, aim->metric)) return aim;
  return NULL;
}

/// Marks the best value, if it is certain.
static Status find_best(const Work *w, size_t metric, ComparedMetric *out) {
  const TaskAim *aim = aim_of(out->type, out->name);
  size_t best = 0;
  if (aim == NULL || out->units < LEAST_UNITS || w->models < 2) return STATUS_OK;
  for (size_t m = 1; m < w->models; m++)
    if (distance(out->values[m].value, aim->target) < distance(out->values[best].value, aim->target))
      best = m;
  for (size_t m = 0; m < w->models; m++) {
    Interval nearer = {0};
    if (m == best) continue;
    TRY(percentiles(w, metric, (const size_t[]){m, best}, distance_change, aim->target, &nearer));
    if (!(nearer.high < 0)) return STATUS_OK;
  }
  out->values[best].best = true;
  return STATUS_OK;
}

/// Whether every unit gives what it gives of the first model.
static bool is_unchanged(const Work *w, size_t metric, size_t model) {
  for (size_t u = 0; u < w->units; u++) {
    const ClusterSum *first = part_of(w, metric, u, 0), *other = part_of(w, metric, u, model);
    if (memcmp(first, other, sizeof *first) != 0) return false;
  }
  return w->used_count[metric] > 0;
}

/// Sets the interval of the change. There is none where all units changed alike: no sample of them can
/// differ, which says nothing about others.
static Status fill_interval(const Work *w, size_t metric, size_t model, ComparedValue *value) {
  Interval *change = &value->change;
  TRY(percentiles(w, metric, (const size_t[]){0, model}, difference, 0, change));
  if (!(change->high - change->low <= 1e-12 * fmax(1, fabs(change->value)))) return STATUS_OK;
  change->low = change->high = NAN;
  return STATUS_OK;
}

static Status fill_metric(const Work *w, size_t metric, ComparedMetric *out) {
  const char *name = metric_of(w, metric)->name;
  out->type = items_of(w, 0)->type;
  out->n = metric_of(w, metric)->n;
  out->units = w->used_count[metric];
  TRY(str_copy(&out->name, name, strlen(name)));
  TRY(mem_array(&out->values, w->models, "values"));
  for (size_t m = 0; m < w->models; m++) {
    ComparedValue *value = &out->values[m];
    *value = (ComparedValue){value_of(w, metric, m), {NAN, NAN, NAN}, NAN, NAN, false, false};
    if (m == 0) continue;
    value->change.value = value->value - out->values[0].value;
    value->unchanged = is_unchanged(w, metric, m);
    if (out->units >= LEAST_UNITS) TRY(fill_interval(w, metric, m, value));
    TRY(exchange(w, metric, m, &value->p));
  }
  return find_best(w, metric, out);
}

Status comparison_add(Comparison *comparison, const ComparedRows *rows) {
  Work w = {.rows = rows, .models = comparison->models, .metrics = rows[0].metrics->count};
  Status status = STATUS_OK;
  TRY_CLEAN(list_units(&w));
  TRY_CLEAN(list_parts(&w));
  TRY_CLEAN(list_used(&w));
  TRY_CLEAN(draw_all(&w));
  for (size_t i = 0; i < w.metrics; i++) {
    TRY_CLEAN(mem_reserve(&comparison->list, &comparison->capacity, comparison->count + 1, "metrics"));
    TRY_CLEAN(fill_metric(&w, i, &comparison->list[comparison->count++]));
  }
cleanup:
  work_free(&w);
  return status;
}

/// A p and its place.
typedef struct Ranked {
  double p;
  size_t metric;
} Ranked;

static int by_p(const void *a, const void *b) {
  return estimate_by_value(&((const Ranked *)a)->p, &((const Ranked *)b)->p);
}

Status comparison_finish(Comparison *comparison) {
  Ranked *ranked = NULL;
  TRY(mem_array(&ranked, comparison->count, "metrics"));
  for (size_t m = 1; m < comparison->models; m++) {
    size_t count = 0;
    double least = 0;
    for (size_t i = 0; i < comparison->count; i++)
      if (!isnan(comparison->list[i].values[m].p))
        ranked[count++] = (Ranked){comparison->list[i].values[m].p, i};
    qsort(ranked, count, sizeof *ranked, by_p);
    for (size_t i = 0; i < count; i++) {
      least = fmin(1, fmax(least, ranked[i].p * (double)(count - i)));
      comparison->list[ranked[i].metric].values[m].p_holm = least;
    }
  }
  free(ranked);
  return STATUS_OK;
}

void comparison_free(Comparison *comparison) {
  for (size_t i = 0; i < comparison->count; i++) {
    free(comparison->list[i].name);
    free(comparison->list[i].values);
  }
  free(comparison->list);
  *comparison = (Comparison){0};
}
