// Times a device's commands: the back end's events around each, read in batches.
#include "timing.h"

#include "util/memory.h"
#include <stdlib.h>
#include <string.h>

// Commands whose events are there. Then the queue is waited for, which takes no time beside so many commands.
enum { MOST_PENDING = 4096 };

struct Timeline {
  DeviceCommand *commands; // [count]; the last `pending` have no times yet
  size_t count, capacity, pending;
  Timer timers[MOST_PENDING]; // of the pending commands
};

bool device_is_timed(const Device *device) {
  return device->timed;
}

Status device_timeline_begin(Device *device) {
  if (!device->timed) return status_fail(STATUS_FAILED, "%s was not opened to be timed", device->info.name);
  device_timeline_end(device);
  return mem_array(&device->timeline, 1, "timeline");
}

void device_timeline_end(Device *device) {
  Timeline *timeline = device->timeline;
  if (timeline == NULL) return;
  for (size_t i = 0; i < timeline->pending; i++) device->backend->timer_drop(device, &timeline->timers[i]);
  free(timeline->commands);
  free(timeline);
  device->timeline = NULL;
}

size_t device_timed(const Device *device) {
  return device->timeline == NULL ? 0 : device->timeline->count;
}

/// Reads the times of the pending commands.
static Status resolve(Device *device) {
  Timeline *timeline = device->timeline;
  DeviceCommand *commands = timeline->commands + timeline->count - timeline->pending;
  Status status = device->backend->finish(device);
  for (size_t i = 0; i < timeline->pending; i++) {
    Timer *timer = &timeline->timers[i];
    if (status == STATUS_OK)
      status = device->backend->timer_read(device, timer, &commands[i].start, &commands[i].end);
    device->backend->timer_drop(device, timer);
  }
  timeline->pending = 0;
  return status_context(status, "timing the device");
}

Status device_take_times(Device *device, DeviceCommand *out) {
  if (device->timeline == NULL) return STATUS_OK;
  TRY(resolve(device));
  Timeline *timeline = device->timeline;
  if (timeline->count > 0) memcpy(out, timeline->commands, timeline->count * sizeof *out);
  timeline->count = 0;
  return STATUS_OK;
}

Status timing_begin(Device *device, const char *name, bool several) {
  Timeline *timeline = device->timeline;
  if (timeline == NULL) return STATUS_OK;
  if (timeline->pending == MOST_PENDING) TRY(resolve(device));
  TRY(mem_reserve(&timeline->commands, &timeline->capacity, timeline->count + 1, "timeline"));
  timeline->commands[timeline->count] = (DeviceCommand){.name = name};
  device->timer = &timeline->timers[timeline->pending];
  *device->timer = (Timer){0};
  Status status = device->backend->timer_begin(device, device->timer, several);
  return status == STATUS_OK ? STATUS_OK : timing_end(device, status);
}

Status timing_end(Device *device, Status status) {
  Timer *timer = device->timer;
  if (timer == NULL) return status;
  device->timer = NULL;
  if (status == STATUS_OK) status = device->backend->timer_end(device, timer);
  if (status != STATUS_OK) {
    device->backend->timer_drop(device, timer);
    return status;
  }
  device->timeline->count++;
  device->timeline->pending++;
  return STATUS_OK;
}
