// Makes known numbers on the device, and compares results with what is expected.
#include "selftest.h"

#include "util/half.h"
#include "util/rng.h"
#include <math.h>

double *draw(Probe *probe, size_t count, double scale) {
  if (probe->used + count > SELFTEST_POOL) {
    probe->status = status_fail(STATUS_FAILED, "selftest: the pool of numbers is too small");
    return probe->pool;
  }
  double *numbers = probe->pool + probe->used;
  for (size_t i = 0; i < count; i++) {
    float uniform = rng_uniform(probe->used, RNG_DATA, (uint32_t)i, 1, 2);
    numbers[i] = (double)(float)(scale * (2 * (double)uniform - 1));
  }
  probe->used += count;
  return numbers;
}

Tensor *device_tensor(Probe *probe, DType type, size_t rows, size_t cols, const void *values) {
  Tensor *tensor = &probe->tensors[probe->tensor_count % SELFTEST_TENSORS];
  if (probe->status != STATUS_OK) return tensor;
  if (probe->tensor_count == SELFTEST_TENSORS) {
    probe->status =
        status_fail(STATUS_FAILED, "selftest: a check makes more than %d tensors", SELFTEST_TENSORS);
    return tensor;
  }
  probe->status = tensor_create(probe->ops, "selftest", MEMORY_ACTIVATIONS, type, rows, cols, tensor);
  if (probe->status != STATUS_OK) return tensor;
  probe->tensor_count++;
  probe->status = tensor_write(tensor, 0, rows * cols, values);
  return tensor;
}

Tensor *device_f32(Probe *probe, size_t rows, size_t cols, const double *values) {
  for (size_t i = 0; i < rows * cols; i++) probe->floats[i] = values != NULL ? (float)values[i] : NAN;
  return device_tensor(probe, DTYPE_F32, rows, cols, probe->floats);
}

void free_tensors(Probe *probe) {
  while (probe->tensor_count > 0) tensor_free(&probe->tensors[--probe->tensor_count]);
}

Tensor *device_i32(Probe *probe, size_t rows, size_t cols, const int32_t *values) {
  return device_tensor(probe, DTYPE_I32, rows, cols, values);
}

Tensor *device_rounded(Probe *probe, DType type, size_t rows, size_t cols, double *values) {
  if (type == DTYPE_F32) return device_f32(probe, rows, cols, values);
  uint16_t *bits = (uint16_t *)probe->floats;
  for (size_t i = 0; i < rows * cols; i++) {
    float value = (float)values[i];
    halves_from_floats(type, &value, 1, &bits[i]);
    halves_to_floats(type, &bits[i], 1, &value);
    values[i] = (double)value;
  }
  return device_tensor(probe, type, rows, cols, bits);
}

void tell(const Probe *probe, const float *values, size_t count) {
  if (probe->output != NULL) probe->output(probe->user, values, count);
}

void keep_error(Probe *probe, double difference, double norm) {
  double error = difference / (norm > 0 ? norm : 1);
  if (error > probe->error || isnan(error)) probe->error = error; // a NaN stays: nothing is larger than it
}

Status expect(Probe *probe, const Tensor *tensor, const double *expected) {
  size_t count = tensor->rows * tensor->cols;
  double difference = 0, norm = 0;
  TRY(tensor_read(tensor, 0, count, probe->floats));
  tell(probe, probe->floats, count);
  for (size_t i = 0; i < count; i++) {
    double off = (double)probe->floats[i] - expected[i];
    difference += off * off;
    norm += expected[i] * expected[i];
  }
  keep_error(probe, sqrt(difference), sqrt(norm));
  return STATUS_OK;
}
