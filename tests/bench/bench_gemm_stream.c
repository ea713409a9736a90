// How fast a model's matrices are multiplied one after another. Every product uses the next of 30 layers'
// weights, so they come from memory, as in a run. tests/bench/peer_gemm.py measures the same with PyTorch.
// Not a test.
//
//   build/bench_gemm_stream [DEVICE [TYPE [f32|bf16|f16|int8]]]
//
// The weights are zeros of the type, f32 unless said otherwise (q4_1, bf16, …), and multiplied in float32 or
// as model.compute has it. Prints GFLOP/s of the whole device by wall time, of the fastest product and the
// mean, and by the processor time of all threads, of the fastest and the mean.
#include "device/device.h"
#include "ops/ops.h"
#include "util/clock.h"
#include <math.h>
#include <stdio.h>
#include <string.h>
#include <time.h>

enum { LAYERS = 30, LARGE = 10000000 }; // a matrix of more than LARGE words is a head, and two are enough
static const double seconds = 2;        // per shape

typedef struct Shape {
  bool dx; // dx = dout w; else out = x w'
  size_t m, n, k;
} Shape;

static const Shape shapes[] = {{false, 1, 1536, 576},   {false, 1, 49152, 576},   {false, 16, 1536, 576},
                               {false, 40, 1536, 576},  {false, 40, 49152, 576},  {false, 128, 49152, 576},
                               {false, 256, 576, 1536}, {false, 1028, 1536, 576}, {false, 2048, 1536, 576},
                               {true, 1028, 1536, 576}, {true, 128, 49152, 576}};

static Status multiply(const Shape *s, Tensor *out, const Tensor *in, const Tensor *weights) {
  TRY(s->dx ? op_linear_dx(out, in, weights, 1.0f, 0.0f) : op_linear_inference(out, in, weights, 1.0f, 0.0f));
  return ops_finish(out->ops);
}

static double processor_seconds(void) {
  struct timespec now;
  (void)clock_gettime(CLOCK_PROCESS_CPUTIME_ID, &now);
  return (double)now.tv_sec + 1e-9 * (double)now.tv_nsec;
}

static Status measure(Ops *ops, const Shape *s, DType type) {
  Tensor in = {0}, out = {0}, weights[LAYERS] = {0};
  size_t layers = s->n * s->k > LARGE ? 2 : LAYERS, calls = 0;
  double best = 0, best_core = 0, flops = 2e-9 * (double)s->m * (double)s->n * (double)s->k;
  Status status = STATUS_OK;
  TRY_CLEAN(tensor_create(ops, "in", MEMORY_ACTIVATIONS, DTYPE_F32, s->m, s->dx ? s->n : s->k, &in));
  TRY_CLEAN(tensor_create(ops, "out", MEMORY_ACTIVATIONS, DTYPE_F32, s->m, s->dx ? s->k : s->n, &out));
  for (size_t i = 0; i < layers; i++)
    TRY_CLEAN(tensor_create(ops, "weights", MEMORY_WEIGHTS, type, s->n, s->k, &weights[i]));
  for (size_t i = 0; i < layers; i++) TRY_CLEAN(op_measure_weights(&weights[i]));
  for (size_t i = 0; i < layers; i++) TRY_CLEAN(multiply(s, &out, &in, &weights[i])); // warm-up
  double began = clock_seconds(), now = began, used = processor_seconds();
  for (; now - began < seconds; calls++) {
    double start = now, start_core = processor_seconds();
    TRY_CLEAN(multiply(s, &out, &in, &weights[calls % layers]));
    now = clock_seconds();
    best = fmax(best, flops / (now - start));
    best_core = fmax(best_core, flops / (processor_seconds() - start_core));
  }
  (void)printf("%-12s %5zu %5zu %5zu  %8.1f  %8.1f  %8.1f  %8.1f\n", s->dx ? "dx = dout w" : "out = x w'",
               s->m, s->n, s->k, best, flops * (double)calls / (now - began), best_core,
               flops * (double)calls / (processor_seconds() - used));
  (void)fflush(stdout);
cleanup:
  tensor_free(&in);
  tensor_free(&out);
  for (size_t i = 0; i < LAYERS; i++) tensor_free(&weights[i]);
  return status;
}

static Status measure_all(Device *device, DType type, Compute compute) {
  Ops *ops = NULL;
  Status status = STATUS_OK;
  TRY(ops_create(device, "auto", &ops));
  (void)printf("%s %s, weights %s, products %s, GFLOP/s\n"
               "form             M     N     K      best      mean   of a core, best and mean\n",
               device_info(device)->platform, device_info(device)->name, dtype_name(type),
               compute_name(compute));
  TRY_CLEAN(ops_use_compute(ops, compute));
  for (size_t i = 0; i < sizeof shapes / sizeof shapes[0]; i++) TRY_CLEAN(measure(ops, &shapes[i], type));
cleanup:
  ops_free(ops);
  return status;
}

int main(int count, char **arguments) {
  DeviceOptions options = {.name = count > 1 ? arguments[1] : NULL};
  DType type = DTYPE_F32;
  Compute compute = COMPUTE_F32;
  Device *device;
  if (count > 2 && !(dtype_from_name(arguments[2], &type) && ops_can_read(type))) {
    (void)fprintf(stderr, "bench_gemm_stream: no kernel reads %s\n", arguments[2]);
    return 1;
  }
  while (count > 3 && compute < COMPUTE_INT8 && strcmp(arguments[3], compute_name(compute)) != 0) compute++;
  Status status = device_open(&options, &device);
  if (status == STATUS_OK) {
    status = measure_all(device, type, compute);
    device_close(device);
  }
  if (status != STATUS_OK) (void)fprintf(stderr, "bench_gemm_stream: %s\n", status_message());
  return status == STATUS_OK ? 0 : 1;
}
