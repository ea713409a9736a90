// The GEE loss. Rule: every form of the gap is a sum over contrasts a of group means: of (aᵀH)², |aᵀH| or
// (aᵀH)² − aᵀ C a. So all of them share one derivative: pairwise and centred, weighted or not. The two
// divergences are plain means. Everything is computed in double, with sums in the order of the samples.
#include "loss/loss.h"

#include "util/memory.h"
#include <math.h>
#include <stdlib.h>

enum {
  COLUMNS = LOSS_MAX_GROUPS + 1, // one per group, and the last for samples in no group, which count in H̄
  MAX_CONTRASTS = LOSS_MAX_GROUPS * (LOSS_MAX_GROUPS - 1) / 2,
};

/// Group means and what depends on them. A sample's column is its group, or `groups` if it is in none.
typedef struct Means {
  size_t columns;
  double weight[COLUMNS];     // Σ b_i
  double H[COLUMNS];          // 0 and unused if the weight is 0
  double slope[COLUMNS];      // d loss_bias / d H_g, without the variance that `unbiased` subtracts
  double Q[COLUMNS][COLUMNS]; // Σ_contrasts a aᵀ
} Means;

/// The samples by unit. share, r and slope are [columns][units].
typedef struct Units {
  size_t count;
  size_t *index; // [samples] the unit of each sample, numbered from 0
  double *share; // α of the header
  double *r;     // r of the header
  double *slope; // d tr(Q C) / d m
} Units;

static size_t column_of(const LossSample *sample, size_t groups) {
  return sample->group < 0 ? groups : (size_t)sample->group;
}

static Status check_symmetric_kl(const LossOptions *o) {
  if (o->pairing != PAIRING_PAIRED)
    return status_fail(STATUS_INPUT,
                       "loss.form = symmetric_kl compares what the prompts of a set make of the "
                       "same answer: set loss.pairing = paired, or another loss.form");
  if (o->use_l1 || o->unbiased)
    return status_fail(STATUS_INPUT,
                       "%s = true is about the gap of the entropies, which loss.form = symmetric_kl does not "
                       "train: set it to false, or another loss.form",
                       o->use_l1 ? "loss.use_l1" : "loss.unbiased");
  return STATUS_OK;
}

Status loss_check_options(const LossOptions *o, size_t groups) {
  if (groups < 1 || groups > LOSS_MAX_GROUPS)
    return status_fail(STATUS_INPUT, "%zu groups: the loss needs 1 to %d", groups, LOSS_MAX_GROUPS);
  if (!(isfinite(o->lambda_weight) && isfinite(o->em_weight)))
    return status_fail(STATUS_INPUT, "loss.lambda_weight and loss.em_weight must be finite numbers");
  if (!(o->kl_weight >= 0 && isfinite(o->kl_weight)))
    return status_fail(STATUS_INPUT, "loss.kl_weight = %g must be a finite number, at least 0",
                       (double)o->kl_weight);
  if (o->form == LOSS_SYMMETRIC_KL) TRY(check_symmetric_kl(o));
  if (o->auto_anneal && !(o->anneal_min >= 0 && o->anneal_min <= o->anneal_max && isfinite(o->anneal_max)))
    return status_fail(STATUS_INPUT,
                       "loss.anneal_min = %g and loss.anneal_max = %g: set 0 <= anneal_min <= anneal_max",
                       (double)o->anneal_min, (double)o->anneal_max);
  if (o->unbiased && o->use_l1)
    return status_fail(
        STATUS_INPUT,
        "loss.unbiased corrects squared gaps: set loss.use_l1 = false, or loss.unbiased = false");
  return STATUS_OK;
}

static Status check_samples(size_t groups, const LossSample *samples, size_t count) {
  double weights = 0;
  for (size_t i = 0; i < count; i++) {
    const LossSample *s = &samples[i];
    if (s->group < -1 || s->group >= (int)groups)
      return status_fail(STATUS_FAILED, "sample %zu is in group %d of %zu", i, s->group, groups);
    if (!isfinite(s->H))
      return status_fail(
          STATUS_FAILED,
          "the entropy of sample %zu (group %d) is %g: the model computes numbers that are not finite; lower "
          "train.learning_rate or loss.lambda_weight",
          i, s->group, s->H);
    if (!(s->weight >= 0 && isfinite(s->weight) && s->em_weight >= 0 && isfinite(s->em_weight)))
      return status_fail(STATUS_INPUT,
                         "sample %zu has weights %g and %g: [task_weights] must be finite and not negative",
                         i, s->weight, s->em_weight);
    weights += s->weight + s->em_weight;
  }
  if (!(weights > 0))
    return status_fail(STATUS_INPUT,
                       "none of the batch's %zu samples counts in the loss: raise a weight in [task_weights]",
                       count);
  return STATUS_OK;
}

static void group_means(size_t groups, const LossSample *samples, size_t count, Means *m,
                        LossResult *result) {
  m->columns = groups + 1;
  double sum = 0;
  for (size_t i = 0; i < count; i++) {
    size_t g = column_of(&samples[i], groups);
    m->weight[g] += samples[i].weight;
    m->H[g] += samples[i].weight * samples[i].H;
    sum += samples[i].H;
    if (g < groups && samples[i].weight > 0) result->present[g]++;
  }
  result->H_bar = sum / (double)count;
  double low = INFINITY, high = -INFINITY;
  for (size_t g = 0; g < m->columns; g++) {
    if (m->weight[g] > 0) m->H[g] /= m->weight[g];
    if (g == groups) break;
    result->H[g] = m->weight[g] > 0 ? m->H[g] : NAN;
    if (!(m->weight[g] > 0)) continue;
    result->groups_present++;
    low = fmin(low, m->H[g]);
    high = fmax(high, m->H[g]);
  }
  result->gap = result->groups_present >= 2 ? high - low : 0;
}

/// Adds one contrast's term to loss_bias, the slopes and Q.
static void add_contrast(const LossOptions *o, const double *a, Means *m, double *loss_bias) {
  double x = 0;
  for (size_t g = 0; g < m->columns; g++) x += a[g] * m->H[g];
  double slope = o->use_l1 ? (double)((x > 0) - (x < 0)) : 2 * x;
  *loss_bias += o->use_l1 ? fabs(x) : x * x;
  for (size_t g = 0; g < m->columns; g++) {
    m->slope[g] += slope * a[g];
    for (size_t h = 0; h < m->columns; h++) m->Q[g][h] += a[g] * a[h];
  }
}

/// λ of a symmetric KL. As with every form, nothing is compared unless two groups are present.
static double partner_slope(const LossOptions *o, const Means *m, const LossResult *result) {
  double total = 0;
  for (size_t g = 0; g < m->columns; g++) total += m->weight[g];
  return o->form == LOSS_SYMMETRIC_KL && result->groups_present >= 2 ? result->lambda / total : 0;
}

/// Contrasts are taken only between groups that are present. `total` is not 0, because at least two are.
static void add_contrasts(const LossOptions *o, Means *m, double *loss_bias) {
  size_t groups = m->columns - 1;
  double total = 0;
  for (size_t g = 0; g < m->columns; g++) total += m->weight[g];
  for (size_t g = 0; g < groups; g++) {
    if (!(m->weight[g] > 0)) continue;
    if (o->form == LOSS_CENTRED) {
      double a[COLUMNS];
      for (size_t k = 0; k < m->columns; k++) a[k] = (k == g ? 1.0 : 0.0) - m->weight[k] / total;
      add_contrast(o, a, m, loss_bias);
      continue;
    }
    for (size_t h = g + 1; h < groups; h++) {
      if (!(m->weight[h] > 0)) continue;
      double a[COLUMNS] = {0};
      a[g] = 1;
      a[h] = -1;
      add_contrast(o, a, m, loss_bias);
    }
  }
}

typedef struct UnitName {
  size_t name, sample;
} UnitName;

static int by_name(const void *a, const void *b) {
  const UnitName *x = a, *y = b;
  if (x->name != y->name) return x->name < y->name ? -1 : 1;
  return x->sample < y->sample ? -1 : x->sample > y->sample;
}

static void units_free(Units *units) {
  free(units->index);
  free(units->share);
  free(units->r);
  free(units->slope);
}

/// Numbers the units from 0 in the order of their names and fills share and r.
static Status units_gather(size_t groups, const LossSample *samples, size_t count, const Means *m,
                           Units *units) {
  UnitName *names = NULL;
  Status status = STATUS_OK;
  size_t cells = 0;
  TRY_CLEAN(mem_array(&names, count, "units of the loss"));
  TRY_CLEAN(mem_array(&units->index, count, "units of the loss"));
  for (size_t i = 0; i < count; i++) names[i] = (UnitName){samples[i].unit, i};
  qsort(names, count, sizeof *names, by_name);
  for (size_t i = 0; i < count; i++) {
    if (i == 0 || names[i].name != names[i - 1].name) units->count++;
    units->index[names[i].sample] = units->count - 1;
  }
  TRY_CLEAN(mem_product(m->columns, units->count, &cells, "units of the loss"));
  TRY_CLEAN(mem_array(&units->share, cells, "units of the loss"));
  TRY_CLEAN(mem_array(&units->r, cells, "units of the loss"));
  TRY_CLEAN(mem_array(&units->slope, cells, "units of the loss"));
  for (size_t i = 0; i < count; i++) {
    size_t g = column_of(&samples[i], groups), cell = g * units->count + units->index[i];
    if (!(samples[i].weight > 0)) continue;
    double share = samples[i].weight / m->weight[g];
    units->share[cell] += share;
    units->r[cell] += share * (samples[i].H - m->H[g]); // the sum over the unit's samples is α (m − H)
  }
cleanup:
  free(names);
  return status;
}

/// c_gh of the header, from α_g and α_h; 0 if nothing can be estimated: no shared unit, or a group with a
/// single unit.
static double covariance_scale(const Units *units, const double *a, const double *b) {
  double shared = 0, denominator = 0;
  for (size_t u = 0; u < units->count; u++) shared += a[u] * b[u];
  for (size_t u = 0; u < units->count; u++) denominator += a[u] * b[u] * (1 - a[u] - b[u] + shared);
  // For a single unit the denominator is 0 in exact arithmetic, and about 1e-17 after rounding.
  return denominator > 1e-12 * shared ? shared / denominator : 0;
}

/// Returns tr(Q C), and adds its derivative by every unit mean to units->slope:
///   d r_gv / d m_gu = α_gv (δ_uv − α_gu)
///   ⟹  d tr(QC) / d m_gu = 2 Σ_h Q_gh c_gh α_gu (r_hu − Σ_v α_gv r_hv)
static double variance_of_contrasts(const Means *m, Units *units) {
  double trace = 0;
  size_t n = units->count;
  for (size_t g = 0; g < m->columns; g++) {
    const double *share = units->share + g * n, *r = units->r + g * n;
    for (size_t h = 0; h < m->columns; h++) {
      if (m->Q[g][h] == 0 || !(m->weight[g] > 0) || !(m->weight[h] > 0)) continue;
      const double *other = units->r + h * n;
      double scale = m->Q[g][h] * covariance_scale(units, share, units->share + h * n);
      double dot = 0, pull = 0;
      for (size_t u = 0; u < n; u++) {
        dot += r[u] * other[u];
        pull += share[u] * other[u];
      }
      trace += scale * dot;
      for (size_t u = 0; u < n; u++) units->slope[g * n + u] += 2 * scale * share[u] * (other[u] - pull);
    }
  }
  return trace;
}

/// Subtracts the variance from loss_bias and λ times its derivative from dH.
static Status subtract_variance(size_t groups, const LossSample *samples, size_t count, const Means *m,
                                LossResult *result, double *dH) {
  Units units = {0};
  Status status = STATUS_OK;
  TRY_CLEAN(units_gather(groups, samples, count, m, &units));
  result->bias_variance = variance_of_contrasts(m, &units);
  result->loss_bias -= result->bias_variance;
  for (size_t i = 0; i < count; i++) {
    if (!(samples[i].weight > 0)) continue;
    size_t g = column_of(&samples[i], groups), cell = g * units.count + units.index[i];
    // d m_gu / d H_i; the share is not 0, because it includes this sample's weight.
    double share = samples[i].weight / (units.share[cell] * m->weight[g]);
    dH[i] -= result->lambda * units.slope[cell] * share;
  }
cleanup:
  units_free(&units);
  return status;
}

static double smoothed_gap(const GapTrend *trend) {
  double low = INFINITY, high = -INFINITY;
  for (size_t g = 0; g < trend->groups; g++) {
    low = fmin(low, trend->deviation[g]);
    high = fmax(high, trend->deviation[g]);
  }
  return high - low;
}

/// Adds a step to the trend. A group that is absent keeps its deviation; a step without a gap adds nothing.
static void follow_gap(const LossResult *step, size_t groups, GapTrend *trend) {
  if (step->groups_present < 2) return;
  double mean = 0;
  trend->groups = groups;
  trend->steps++;
  for (size_t g = 0; g < groups; g++) {
    if (step->present[g] > 0) mean += step->H[g] / (double)step->groups_present;
  }
  double share = 1 / (double)(trend->steps < LOSS_TREND_STEPS ? trend->steps : LOSS_TREND_STEPS);
  for (size_t g = 0; g < groups; g++) {
    if (step->present[g] > 0) trend->deviation[g] += share * (step->H[g] - mean - trend->deviation[g]);
  }
  if (trend->steps <= LOSS_TREND_STEPS) trend->first = smoothed_gap(trend);
}

/// λ after annealing.
static double annealed_lambda(const LossOptions *o, const GapTrend *trend) {
  if (!o->auto_anneal) return o->lambda_weight;
  double factor = trend->first > 0 ? smoothed_gap(trend) / trend->first : 1;
  return o->lambda_weight * fmin(fmax(factor, o->anneal_min), o->anneal_max);
}

static Status check_result(const LossResult *result, const double *dH, size_t count) {
  bool finite = isfinite(result->loss) && isfinite(result->gap);
  for (size_t i = 0; i < count; i++) finite = finite && isfinite(dH[i]);
  if (!finite)
    return status_fail(STATUS_FAILED, "the loss is %g with a gap of %g: lower loss.lambda_weight",
                       result->loss, result->gap);
  return STATUS_OK;
}

Status loss_compute(const LossOptions *options, size_t groups, const LossSample *samples, size_t count,
                    const GapTrend *trend, LossResult *result, double *dH) {
  TRY(loss_check_options(options, groups));
  TRY(check_samples(groups, samples, count));
  Means m = {0};
  *result = (LossResult){.trend = *trend};
  for (size_t g = 0; g < LOSS_MAX_GROUPS; g++) result->H[g] = NAN;
  group_means(groups, samples, count, &m, result);
  follow_gap(result, groups, &result->trend);
  result->lambda = annealed_lambda(options, &result->trend);
  if (result->groups_present >= 2 && options->form != LOSS_SYMMETRIC_KL)
    add_contrasts(options, &m, &result->loss_bias);
  result->kl = NAN;
  result->kl_slope = (double)options->kl_weight / (double)count;
  result->partner_slope = partner_slope(options, &m, result);

  double em = options->debias_only ? 0 : options->em_weight, em_total = 0;
  for (size_t i = 0; i < count; i++) em_total += samples[i].em_weight;
  for (size_t i = 0; i < count; i++) {
    const LossSample *s = &samples[i];
    size_t g = column_of(s, groups);
    double em_share = em_total > 0 ? s->em_weight / em_total : 0;
    double bias_share = s->weight > 0 ? s->weight / m.weight[g] : 0; // d H_g / d H_i
    result->loss_em += em_share * s->H;
    dH[i] = em * em_share + result->lambda * m.slope[g] * bias_share;
  }
  if (options->unbiased && result->groups_present >= 2)
    TRY(subtract_variance(groups, samples, count, &m, result, dH));
  result->loss = em * result->loss_em + result->lambda * result->loss_bias;
  return check_result(result, dH, count);
}

Status loss_add_divergences(const LossOptions *options, const LossSample *samples, size_t count,
                            LossResult *result) {
  double kl = 0, apart = 0, weights = 0;
  for (size_t i = 0; i < count; i++) {
    kl += samples[i].kl / (double)count;
    apart += samples[i].weight * samples[i].partner_kl;
    weights += samples[i].weight;
  }
  if (options->form == LOSS_SYMMETRIC_KL && result->groups_present >= 2) {
    result->loss_bias = apart / weights;
    result->loss += result->lambda * result->loss_bias;
  }
  if (options->kl_weight > 0) {
    result->kl = kl;
    result->loss += (double)options->kl_weight * kl;
  }
  if (isfinite(result->loss)) return STATUS_OK;
  return status_fail(STATUS_FAILED,
                     "the loss is %g with a divergence of %g from %s: lower train.learning_rate",
                     result->loss, options->kl_weight > 0 ? kl : result->loss_bias,
                     options->kl_weight > 0 ? "the base model" : "partners");
}
