// Times of CUDA's commands: an event before and one behind each. CUDA tells only how long it is from one
// event to another, in float32, so each command is counted from the end of the one before, where no digit is
// lost.
#include "cuda.h"

static Status record(const Device *device, void **event) {
  CUevent made = NULL;
  TRY(cuda_enter(device));
  TRY(CU(cuEventCreate, &made, 0));
  *event = made;
  return CU(cuEventRecord, made, ((const CudaDevice *)device)->stream);
}

Status cuda_timer_begin(Device *device, Timer *timer, bool several) {
  (void)several;
  return record(device, &timer->first);
}

Status cuda_timer_end(Device *device, Timer *timer) {
  return record(device, &timer->last);
}

static Status elapsed(CUevent from, CUevent to, double *seconds) {
  float milliseconds = 0;
  TRY(CU(cuEventElapsedTime, &milliseconds, from, to));
  *seconds = 1e-3 * (double)milliseconds;
  return STATUS_OK;
}

static void drop_event(Device *device, CUevent event) {
  if (event != NULL && cuda_enter(device) == STATUS_OK) (void)cuda.cuEventDestroy_v2(event);
}

Status cuda_timer_read(Device *base, Timer *timer, double *start, double *end) {
  CudaDevice *device = cuda_device(base);
  double since = 0, length = 0;
  TRY(cuda_enter(base));
  if (device->timed_last != NULL) TRY(elapsed(device->timed_last, timer->first, &since));
  TRY(elapsed(timer->first, timer->last, &length));
  *start = device->timed_end + since;
  *end = *start + length;
  drop_event(base, device->timed_last);
  device->timed_last = timer->last;
  device->timed_end = *end;
  timer->last = NULL;
  return STATUS_OK;
}

void cuda_timer_drop(Device *device, Timer *timer) {
  drop_event(device, timer->first);
  drop_event(device, timer->last);
  *timer = (Timer){0};
}

void cuda_timers_free(Device *device) {
  drop_event(device, cuda_device(device)->timed_last);
  cuda_device(device)->timed_last = NULL;
}
