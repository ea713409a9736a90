// Times of OpenCL's commands. Each is given an event (opencl_event); a library's call that makes several
// gives one for the last of them, and a marker before it says when the first could begin.
#include "opencl.h"

cl_event *opencl_event(const Device *device) {
  return device->timer == NULL ? NULL : (cl_event *)(void *)&device->timer->last;
}

Status opencl_timer_begin(Device *device, Timer *timer, bool several) {
  if (!several) return STATUS_OK;
  cl_int code =
      clEnqueueMarkerWithWaitList(opencl_device(device)->queue, 0, NULL, (cl_event *)(void *)&timer->first);
  return opencl_check(code, "clEnqueueMarkerWithWaitList");
}

Status opencl_timer_end(Device *device, Timer *timer) {
  (void)device;
  if (timer->last != NULL) return STATUS_OK;
  return status_fail(STATUS_FAILED, "a command of OpenCL left no event");
}

static Status read_time(void *event, cl_profiling_info what, double *seconds) {
  cl_ulong nanoseconds = 0;
  cl_int code = clGetEventProfilingInfo(event, what, sizeof nanoseconds, &nanoseconds, NULL);
  *seconds = 1e-9 * (double)nanoseconds;
  return opencl_check(code, "clGetEventProfilingInfo");
}

Status opencl_timer_read(Device *device, Timer *timer, double *start, double *end) {
  (void)device;
  TRY(timer->first != NULL ? read_time(timer->first, CL_PROFILING_COMMAND_END, start)
                           : read_time(timer->last, CL_PROFILING_COMMAND_START, start));
  return read_time(timer->last, CL_PROFILING_COMMAND_END, end);
}

void opencl_timer_drop(Device *device, Timer *timer) {
  (void)device;
  if (timer->first != NULL) (void)clReleaseEvent(timer->first);
  if (timer->last != NULL) (void)clReleaseEvent(timer->last);
  *timer = (Timer){0};
}
