// The rotary embedding from GGUF metadata. Rule: as llama.cpp's load_hparams reads it: a factor without a
// type is linear, and the type `none` switches a factor off.
#include "formats.h"
#include <math.h>
#include <stdio.h>
#include <string.h>

static Status number_or(const TensorFile *file, const char *architecture, const char *name, double fallback,
                        double *out) {
  char key[GGUF_KEY_SIZE];
  return gguf_get_number_or(file, gguf_key(key, architecture, name), fallback, out);
}

static Status read_factor(const TensorFile *file, const char *architecture, Rope *rope) {
  double factor = 0;
  TRY(number_or(file, architecture, "rope.scale_linear", 0, &factor)); // the older name
  TRY(number_or(file, architecture, "rope.scaling.factor", factor, &factor));
  rope->factor = factor == 0 ? 1 : factor;
  return STATUS_OK;
}

/// Settings of YaRN that other programs read and this one does not: they must say nothing new.
static Status check_yarn(const TensorFile *file, const char *architecture) {
  static const struct {
    const char *name;
    double usual;
  } keys[] = {{"rope.scaling.yarn_ext_factor", 1},
              {"rope.scaling.yarn_attn_factor", 1},
              {"rope.scaling.yarn_beta_fast", 32},
              {"rope.scaling.yarn_beta_slow", 1},
              {"rope.scaling.yarn_log_multiplier", 0}};
  for (size_t i = 0; i < sizeof keys / sizeof *keys; i++) {
    double value = 0;
    TRY(number_or(file, architecture, keys[i].name, keys[i].usual, &value));
    if (value == keys[i].usual) continue;
    return status_fail(STATUS_INPUT, "%s: metadata %s.%s is %g, which is not supported; supported is %g",
                       tensors_path(file), architecture, keys[i].name, value, keys[i].usual);
  }
  return STATUS_OK;
}

static Status read_yarn(const TensorFile *file, const char *architecture, size_t positions, Rope *rope) {
  TRY(check_yarn(file, architecture));
  TRY(number_or(file, architecture, "rope.scaling.original_context_length", (double)positions,
                &rope->original_positions));
  rope->low = 1;
  rope->high = 32;
  rope->truncate = true;
  rope->attention = rope_yarn_attention(rope->factor, 1);
  return STATUS_OK;
}

/// llama.cpp multiplies cos and sin by this, whatever the type.
static Status check_attention_factor(const TensorFile *file, const char *architecture) {
  double factor = 1;
  TRY(number_or(file, architecture, "rope.scaling.attn_factor", 1, &factor));
  if (factor == 1) return STATUS_OK;
  return status_fail(STATUS_INPUT,
                     "%s: metadata %s.rope.scaling.attn_factor is %g, which is not supported; supported is 1",
                     tensors_path(file), architecture, factor);
}

static Status read_scaling(const TensorFile *file, const char *architecture, size_t positions, Rope *rope) {
  char key[GGUF_KEY_SIZE];
  const char *type = NULL;
  TRY(check_attention_factor(file, architecture));
  TRY(gguf_get_string_or_null(file, gguf_key(key, architecture, "rope.scaling.type"), &type));
  if (type != NULL && strcmp(type, "none") == 0) return STATUS_OK;
  TRY(read_factor(file, architecture, rope));
  if (type == NULL || strcmp(type, "linear") == 0) {
    if (rope->factor != 1) rope->type = ROPE_LINEAR;
    return STATUS_OK;
  }
  rope->type = ROPE_YARN;
  if (strcmp(type, rope_type_name(ROPE_YARN)) == 0) return read_yarn(file, architecture, positions, rope);
  return status_fail(
      STATUS_INPUT,
      "%s: rope scaling \"%s\" is not supported; supported are none, linear, yarn and Llama 3's",
      tensors_path(file), type);
}

// llama.cpp's converter turns Llama 3's rope scaling into a tensor of divisors of the frequencies. All Llama
// 3 models have the same other constants, so the largest divisor is the factor; the rest must agree with it.
static Status read_divisors(const TensorFile *file, const StoredTensor *tensor, size_t head_dim, Rope *rope) {
  float divisors[512];
  double scaled[512];
  size_t count = head_dim / 2;
  if (rope->type != ROPE_DEFAULT) {
    return status_fail(STATUS_INPUT, "%s: tensor %s beside rope scaling \"%s\" is not supported",
                       tensors_path(file), tensor->name, rope_type_name(rope->type));
  }
  if (tensor->elements != count || count > 512 || tensor->type != DTYPE_F32) {
    return status_fail(STATUS_INPUT, "%s: tensor %s must be F32 with %zu elements", tensors_path(file),
                       tensor->name, count);
  }
  TRY(tensors_read_f32(tensor, 0, count, divisors));
  rope->type = ROPE_LLAMA3;
  rope->low = 1;
  rope->high = 4;
  rope->original_positions = 8192;
  for (size_t i = 0; i < count; i++) rope->factor = fmax(rope->factor, (double)divisors[i]);
  rope_inverse_frequencies(rope, head_dim, scaled);
  for (size_t i = 0; i < count; i++) {
    double plain = pow(rope->theta, -2.0 * (double)i / (double)head_dim);
    if (!(fabs(plain / scaled[i] / (double)divisors[i] - 1) <= 1e-4)) {
      return status_fail(STATUS_INPUT, "%s: tensor %s is not Llama 3's rope scaling (entry %zu is %g)",
                         tensors_path(file), tensor->name, i, (double)divisors[i]);
    }
  }
  return STATUS_OK;
}

Status rope_read_gguf(const TensorFile *file, const char *architecture, const ModelConfig *sizes, Rope *out) {
  double theta = 0;
  TRY(number_or(file, architecture, "rope.freq_base", 10000, &theta));
  *out = rope_plain(theta);
  TRY(read_scaling(file, architecture, sizes->max_positions, out));
  const StoredTensor *divisors = tensors_find(file, GGUF_ROPE_DIVISORS);
  return divisors == NULL ? STATUS_OK : read_divisors(file, divisors, sizes->head_dim, out);
}
