// What to do about a machine on which a device is missing.
#pragma once

#include "device/device.h"
#include "device/machine.h"
#include "util/str.h"

/// A list of texts, each a paragraph. Zero-initialise it.
typedef struct AdviceList {
  char **texts;
  size_t count, capacity;
} AdviceList;

/// Appends what to install or set, for each card that no device stands for and if there is no CPU device.
STATUS_CHECKED Status doctor_advise(const Machine *machine, const DeviceInfo *devices, size_t count,
                                    AdviceList *out);
/// Appends how to install what CUDA lacks where NVIDIA's driver works, and its libraries do not.
STATUS_CHECKED Status doctor_advise_cuda(const BackendLibrary *libraries, size_t count, AdviceList *out);
/// Safe on a zeroed struct.
void advice_free(AdviceList *list);
