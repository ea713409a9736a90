// Every kernel of gee-cl: KERNEL_ROW(file without .cl, kernel). One list, from which ops makes the names (KERNEL_…), the
// programs and the table. A file *_cpu.cl holds tiles for CPU devices and is compiled only there. Room: ops.
#pragma once

#define KERNEL_LIST(KERNEL_ROW)                                                                                  \
  KERNEL_ROW(linear, bias_add)                                                                                   \
  KERNEL_ROW(linear, bias_backward)
