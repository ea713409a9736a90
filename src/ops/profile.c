// Records spans. Rule: nothing here is on the way of a run without a profile but a look at a pointer.
#include "context.h"

#include "util/memory.h"
#include <stdlib.h>

// Whole trees of so many spans are handed over together, so that a profile's memory does not grow with the
// run.
enum { ENOUGH = 1 << 16 };

struct Profile {
  OpsRecorder recorder;
  void *user;
  OpsSpan *spans;
  size_t count, capacity;
  size_t open;   // the innermost span that has not ended
  Status status; // the first failure
};

Status ops_profile_begin(Ops *ops, OpsRecorder recorder, void *user) {
  if (ops->profile != NULL) return status_fail(STATUS_FAILED, "a profile has begun already");
  if (ops->device != NULL && device_is_timed(ops->device)) TRY(device_timeline_begin(ops->device));
  TRY(mem_array(&ops->profile, 1, "profile"));
  *ops->profile = (Profile){.recorder = recorder, .user = user, .open = OPS_NO_SPAN};
  return STATUS_OK;
}

static size_t commands_so_far(const Ops *ops) {
  return ops->device != NULL ? device_timed(ops->device) : 0;
}

static Status hand_over(Ops *ops) {
  Profile *profile = ops->profile;
  OpsRecord record = {
      .spans = profile->spans, .span_count = profile->count, .command_count = commands_so_far(ops)};
  DeviceCommand *commands = NULL;
  profile->count = 0;
  TRY(profile->status);
  if (record.span_count == 0 && record.command_count == 0) return STATUS_OK;
  TRY(mem_array(&commands, record.command_count, "commands"));
  Status status = ops->device != NULL ? device_take_times(ops->device, commands) : STATUS_OK;
  record.commands = commands;
  if (status == STATUS_OK) status = profile->recorder(profile->user, &record);
  free(commands);
  return status;
}

void ops_profile_free(Ops *ops) {
  if (ops->device != NULL) device_timeline_end(ops->device);
  if (ops->profile != NULL) free(ops->profile->spans);
  free(ops->profile);
  ops->profile = NULL;
}

Status ops_profile_end(Ops *ops) {
  if (ops->profile == NULL) return STATUS_OK;
  Status status = hand_over(ops);
  ops_profile_free(ops);
  return status_context(status, "profile");
}

static Ops *begin(Ops *ops, OpsSpan span) {
  Profile *profile = ops->profile;
  if (profile->status != STATUS_OK) return NULL;
  profile->status = mem_reserve(&profile->spans, &profile->capacity, profile->count + 1, "spans");
  if (profile->status != STATUS_OK) return NULL;
  span.parent = profile->open;
  span.first = span.end = commands_so_far(ops);
  profile->open = profile->count;
  profile->spans[profile->count++] = span;
  return ops;
}

bool ops_is_profiled(const Ops *ops) {
  return ops->profile != NULL;
}

Ops *ops_phase_begin(Ops *ops, const char *name) {
  return ops->profile == NULL ? NULL : begin(ops, (OpsSpan){.name = name});
}

Ops *ops_operation_begin(Ops *ops, const char *name, OpsWork work) {
  return begin(ops, (OpsSpan){.name = name, .is_operation = true, .work = work});
}

void ops_span_end(Ops *const *begun) {
  Profile *profile = *begun != NULL ? (*begun)->profile : NULL;
  if (profile == NULL || profile->open == OPS_NO_SPAN) return;
  profile->spans[profile->open].end = commands_so_far(*begun);
  profile->open = profile->spans[profile->open].parent;
  if (profile->open != OPS_NO_SPAN || profile->count < ENOUGH || profile->status != STATUS_OK) return;
  profile->status = hand_over(*begun);
}

double ops_bytes(const Tensor *const tensors[], size_t count) {
  double bytes = 0;
  for (size_t i = 0; i < count; i++) {
    if (tensors[i] == NULL) continue;
    bytes += (double)dtype_bytes(tensors[i]->dtype, tensors[i]->rows * tensors[i]->cols);
  }
  return bytes;
}
