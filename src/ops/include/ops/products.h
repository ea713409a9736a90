// Which kernel computes float32 products on a device of the GPU family: the vendor's GEMM, or cl/gemm.cl in
// one of several sets of its parameters. `gee-cl tune` measures them and keeps the fastest beside the
// compiled programs; ops_create takes what was kept. Rules:
//
// - Every set adds up in the same order, so which one computes a product changes no bit of it, and may follow
//   from the product's size.
// - The vendor's GEMM adds up in another order. So it computes all products of a form or none: a row's bits
//   would depend on the rows beside it if their number decided.
#pragma once

#include "ops/ops.h"
#include "util/str.h"

/// What a product is of a linear layer.
typedef enum ProductForm { PRODUCT_FORWARD, PRODUCT_DX, PRODUCT_DW, PRODUCT_FORMS } ProductForm;
const char *product_form_name(ProductForm form); // "forward", "dx", "dw"

/// How large a product C[M,N] is, by the smaller of M and N: up to 16, up to 128, or more.
typedef enum ProductSize { PRODUCT_FEW, PRODUCT_SOME, PRODUCT_MANY, PRODUCT_SIZES } ProductSize;
ProductSize product_size(size_t m, size_t n);
const char *product_size_name(ProductSize size); // "few", "some", "many"

/// A set of parameters: the macros of cl/gemm.cl. The first set has that file's own values.
typedef struct GemmSet {
  const char *name;          // "8x8x16"
  size_t side, reach, depth; // SIDE, REACH, DEPTH
} GemmSet;
enum { GEMM_SETS = 8 };
extern const GemmSet gemm_sets[GEMM_SETS];

/// Work items of a group, rows (and columns) of its tile of C, and bytes of local memory.
size_t gemm_set_items(const GemmSet *set);
size_t gemm_set_tile(const GemmSet *set);
size_t gemm_set_local_memory(const GemmSet *set);
/// NULL if the set is one that the kernel can be compiled with, for this device; else what is wrong.
const char *gemm_set_fault(const GemmSet *set, const Ops *ops);
/// Appends what a set is: "64 x 64 by 64 work items, 16 steps, 8320 bytes local".
STATUS_CHECKED Status gemm_set_describe(const GemmSet *set, Str *out);

/// Which kernel computes which products.
typedef struct GemmChoice {
  bool vendor[PRODUCT_FORMS];                      // the vendor's GEMM, where it can do the call
  unsigned char set[PRODUCT_FORMS][PRODUCT_SIZES]; // else cl/gemm.cl in this set of gemm_sets
} GemmChoice;

/// Whether there is a choice: not in the CPU family, which has kernels of its own.
bool ops_can_choose(const Ops *ops);
/// The name of the vendor's GEMM, "CLBlast"; NULL if the device has none.
const char *ops_vendor_gemm(const Ops *ops);
/// How products are computed now, and how device.gemm = auto computes them where nothing was kept.
const GemmChoice *ops_gemm_choice(const Ops *ops);
GemmChoice ops_usual_gemm(const Ops *ops);
/// From here on products are computed so. Compiles what it takes. STATUS_FAILED for a set with a fault, or a
/// vendor's GEMM that is not there.
STATUS_CHECKED Status ops_choose_gemm(Ops *ops, const GemmChoice *choice);
/// Keeps the choice for later runs on this device, with this driver and this cl/gemm.cl. *path = the file,
/// which the caller frees.
STATUS_CHECKED Status ops_keep_choice(const Ops *ops, const GemmChoice *choice, char **path);
/// Appends which GEMM computes the products of each form: "CLBlast", "own", "forward CLBlast, dx own, dw
/// own". These, not the sets, decide about bits.
STATUS_CHECKED Status gemm_choice_describe(const struct Device *device, const GemmChoice *choice, Str *out);

/// The same of an Ops that ops_create would make of the device with `gemm`. Appends nothing for one of the
/// CPU family, whose products device.gemm itself names.
STATUS_CHECKED Status device_describe_gemm(const struct Device *device, const char *gemm, Str *out);

/// The self-test's checks of products, at every size that has a set of its own. *error = the largest error,
/// as a share of what is allowed: the device computes correctly if it is at most 1.
STATUS_CHECKED Status ops_selftest_products(Ops *ops, double *error);
