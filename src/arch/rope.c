// The frequencies of the rotary embedding. Rule: they round where transformers rounds (float32 power, float32
// reciprocal), because at position 4,096 the last bit of a frequency changes the angle by 2e-4.
#include "arch/rope.h"

#include <math.h>

static const double pi = 3.14159265358979323846;

Rope rope_plain(double theta) {
  return (Rope){.type = ROPE_DEFAULT, .theta = theta, .factor = 1, .attention = 1};
}

const char *rope_type_name(RopeType type) {
  static const char *const names[ROPE_TYPES] = {[ROPE_DEFAULT] = "default",
                                                [ROPE_LINEAR] = "linear",
                                                [ROPE_DYNAMIC] = "dynamic",
                                                [ROPE_LLAMA3] = "llama3",
                                                [ROPE_YARN] = "yarn"};
  return names[type];
}

static bool in_range(double value, double above) {
  return isfinite(value) && value > above;
}

/// STATUS_INPUT unless the number is above `above`, or equal to it if `or_equal`.
static Status check_number(const char *name, const char *what, double value, double above, bool or_equal) {
  if (in_range(value, above) || (or_equal && value == above)) return STATUS_OK;
  return status_fail(STATUS_INPUT, "%s: the rotary embedding's %s is %g, but must be a number %s%g", name,
                     what, value, or_equal ? "from " : "above ", above);
}

/// YaRN's ends may be one, as in transformers; Llama 3's divide by their difference.
static Status check_turns(const Rope *rope, const char *name) {
  bool yarn = rope->type == ROPE_YARN;
  const char *low = yarn ? "beta_slow" : "low_freq_factor", *high = yarn ? "beta_fast" : "high_freq_factor";
  TRY(check_number(name, low, rope->low, 0, false));
  if (in_range(rope->high, rope->low) || (yarn && rope->high == rope->low)) return STATUS_OK;
  return status_fail(STATUS_INPUT, "%s: the rotary embedding's %s is %g, but must be %s its %s of %g", name,
                     high, rope->high, yarn ? "from" : "above", low, rope->low);
}

Status rope_check(const Rope *rope, const char *name) {
  TRY(check_number(name, "base (theta)", rope->theta, 1, false));
  TRY(check_number(name, "factor", rope->factor, 1, true));
  TRY(check_number(name, "attention factor", rope->attention, 0, false));
  if (rope->type != ROPE_LLAMA3 && rope->type != ROPE_YARN) return STATUS_OK;
  TRY(check_turns(rope, name));
  return check_number(name, "number of original positions", rope->original_positions, 0, false);
}

double rope_yarn_attention(double factor, double weight) {
  return factor > 1 ? 0.1 * weight * log(factor) + 1 : 1;
}

// Divides the frequency of long waves by the factor, keeps that of short ones, and blends linearly between
// them by the number of turns.
static double llama3_frequency(const Rope *rope, double frequency) {
  double turns = rope->original_positions * frequency / (2 * pi);
  if (turns > rope->high) return frequency;
  if (turns < rope->low) return frequency / rope->factor;
  double smooth = (turns - rope->low) / (rope->high - rope->low);
  return (1 - smooth) * frequency / rope->factor + smooth * frequency;
}

// The pair, as a real number, whose frequency makes `turns` turns in the original positions.
static double yarn_pair(const Rope *rope, size_t head_dim, double turns) {
  return (double)head_dim * log(rope->original_positions / (turns * 2 * pi)) / (2 * log(rope->theta));
}

// As Llama 3's, but the blend is linear in the number of the pair.
static double yarn_frequency(const Rope *rope, size_t head_dim, size_t pair, double frequency) {
  double first = yarn_pair(rope, head_dim, rope->high);
  double last = yarn_pair(rope, head_dim, rope->low);
  if (rope->truncate) {
    first = floor(first);
    last = ceil(last);
  }
  first = fmax(first, 0);
  last = fmin(last, (double)head_dim - 1);
  if (first == last) last += 0.001;
  double share = fmin(fmax(((double)pair - first) / (last - first), 0), 1); // that is scaled
  return frequency / rope->factor * share + frequency * (1 - share);
}

void rope_inverse_frequencies(const Rope *rope, size_t head_dim, double *out) {
  for (size_t i = 0; i < head_dim / 2; i++) {
    float power = (float)pow(rope->theta, 2.0 * (double)i / (double)head_dim);
    double frequency = (double)(1.0f / power);
    switch (rope->type) {
    case ROPE_LINEAR:
      out[i] = (double)((float)frequency / (float)rope->factor);
      break;
    case ROPE_LLAMA3:
      out[i] = llama3_frequency(rope, frequency);
      break;
    case ROPE_YARN:
      out[i] = yarn_frequency(rope, head_dim, i, frequency);
      break;
    default:
      out[i] = frequency;
    }
  }
}
