// Timing a device's commands. Rule: a command that is not timed costs a look at a pointer. Private to the
// device room.
#pragma once

#include "backend.h"

/// Opens a place for the command that is queued next; `several`: it makes several of the queue's.
STATUS_CHECKED Status timing_begin(Device *device, const char *name, bool several);
/// Closes it with what came of the command, and returns that. A command that failed is not counted.
STATUS_CHECKED Status timing_end(Device *device, Status status);
