// The choice of a GEMM inside ops: what gemm.c and gemm_own.c ask, and the kept text. Private to ops.
#pragma once

#include "context.h"

/// What call computes: dw is the one whose A is transposed, and forward that whose B is.
ProductForm product_form(const GemmCall *call);
/// True if the vendor's GEMM is to compute the call as it is, and can.
bool gemm_is_vendors(const Ops *ops, const GemmCall *call);
/// True if it is to compute the call once A is rounded to bfloat16, which B is stored in. Weights of other
/// types are rounded in gee-cl's own tile instead, so that no copy of them takes memory.
bool gemm_rounds_for_vendor(const Ops *ops, const GemmCall *call);
/// Sets ops->vendor_rounds: a vendor's GEMM that gives wrong numbers in the self-test of products in
/// bfloat16, or refuses one, is given up with a line. STATUS_FAILED if memory runs out, or the device fails.
STATUS_CHECKED Status gemm_prove_vendor(Ops *ops);
/// True if device.gemm = auto takes the vendor's GEMM where no other choice was kept: a GPU's, not a CPU's.
bool gemm_is_usually_vendors(const Device *device);
/// The set where no other was kept.
unsigned char gemm_usual_set(const DeviceInfo *info);
/// The set that cl/gemm.cl computes the call in, and its kernel, NULL in a plan.
const GemmSet *gemm_choose_set(const Ops *ops, const GemmCall *call, Kernel **kernel);

/// Takes the choice that was kept of the device, or the usual one: the vendor's GEMM wherever ops->vendor is
/// set, and gemm_usual_set. What the vendor's computes is taken only if `automatic`. *stale = the file, which
/// the caller frees, that is there but of another driver or program, or damaged; NULL if there is none.
STATUS_CHECKED Status gemm_choice_take(Ops *ops, const Device *device, bool automatic, char **stale);
/// Whether the choice is another than the first set, or the vendor's GEMM, for everything.
bool gemm_choice_is_tuned(const Ops *ops);
/// Compiles the sets of the choice that are not compiled yet.
STATUS_CHECKED Status gemm_choice_build(Ops *ops);
void gemm_choice_free(Ops *ops);

/// The text of a choice, a line for each form: "forward vendor 16x2x16 8x8x16 8x8x16".
STATUS_CHECKED Status gemm_choice_print(const GemmChoice *choice, Str *out);
/// True if the text is one that gemm_choice_print makes.
bool gemm_choice_parse(const char *text, GemmChoice *out);
