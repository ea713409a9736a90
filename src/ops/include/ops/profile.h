// What the operations of a run must do at least, in spans that nest: step > sampling > an operation. Off
// unless it is asked for, and then no number of the run changes.
//
// An operation states its work where it begins (OPERATION in ops/launch.h). Whoever runs operations for one
// purpose opens a phase, which ends with the block that it is in:
//
//   OPS_PHASE(ops, "backward");
#pragma once

#include "ops/tensor.h"

/// What an operation must do at least.
typedef struct OpsWork {
  double flops; // of matrix products and attention; an fma is two. What else is computed is not counted
  double bytes; // each operand moved once between the device and its memory
} OpsWork;

/// The parent of a span that is in no other.
#define OPS_NO_SPAN SIZE_MAX

typedef struct OpsSpan {
  const char *name;  // a constant
  bool is_operation; // else a phase
  size_t parent;     // index of the span that this one is in; it comes before this one
  OpsWork work;      // of an operation
  size_t first, end; // the device's commands [first, end); none if the device is not timed
} OpsSpan;

struct DeviceCommand;

/// Whole trees of spans in the order in which they began, and the commands of a device that was opened to be
/// timed (device/device.h).
typedef struct OpsRecord {
  const OpsSpan *spans;
  size_t span_count;
  const struct DeviceCommand *commands;
  size_t command_count;
} OpsRecord;

/// Gets what was recorded since the last call. The first failure ends the profile, and ops_profile_end
/// reports it.
typedef Status (*OpsRecorder)(void *user, const OpsRecord *record);

/// From here on spans are recorded. Call it outside of any span.
STATUS_CHECKED Status ops_profile_begin(Ops *ops, OpsRecorder recorder, void *user);
/// Hands over what is left; does nothing if no profile has begun.
STATUS_CHECKED Status ops_profile_end(Ops *ops);

/// A phase until the end of the block. One in a block.
#define OPS_PHASE(ops, name) OPS_SPAN Ops *const phase_ = ops_phase_begin((ops), (name))
#define OPS_SPAN             __attribute__((cleanup(ops_span_end), unused))
/// The Ops if a span was begun, else NULL: what ops_span_end takes.
Ops *ops_phase_begin(Ops *ops, const char *name);
void ops_span_end(Ops *const *begun);
