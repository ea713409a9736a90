// The sets of parameters of cl/gemm.cl, and which GEMM computes which products. Rule: what is kept is taken
// only if it is, to the byte, a text that this program writes, and if every set in it fits the device.
#include "gemm_choice.h"

#include "grid.h"
#include "util/hash.h"
#include "util/log.h"
#include "util/memory.h"
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static const char *const form_names[] = {"forward", "dx", "dw"}, *const size_names[] = {"few", "some",
                                                                                        "many"};
static const size_t most_of_size[] = {16, 128}; // the smaller of M and N
static const char kept_name[] = "gemm";

// A larger tile reads less of A and B for each element of C, but is one group, however few there are.
#define SET(side, reach, depth)                                                                              \
  { #side "x" #reach "x" #depth, side, reach, depth }
const GemmSet gemm_sets[GEMM_SETS] = {
    SET(8, 8, 16),  SET(16, 8, 8), SET(16, 4, 16), SET(8, 4, 16),
    SET(16, 2, 32), SET(8, 2, 32), SET(16, 1, 32), SET(8, 6, 8),
};
#undef SET

const char *product_form_name(ProductForm form) {
  return form_names[form];
}

const char *product_size_name(ProductSize size) {
  return size_names[size];
}

ProductSize product_size(size_t m, size_t n) {
  size_t size = 0, smaller = size_min(m, n);
  while (size < PRODUCT_MANY && smaller > most_of_size[size]) size++;
  return (ProductSize)size;
}

ProductForm product_form(const GemmCall *call) {
  return call->a.transposed ? PRODUCT_DW : call->b.transposed ? PRODUCT_FORWARD : PRODUCT_DX;
}

// ---- sets ----

size_t gemm_set_items(const GemmSet *set) {
  return set->side * set->side;
}

size_t gemm_set_tile(const GemmSet *set) {
  return set->side * set->reach;
}

size_t gemm_set_local_memory(const GemmSet *set) {
  return 2 * set->depth * (gemm_set_tile(set) + 1) * sizeof(float); // two slabs [DEPTH][ROW]
}

const char *gemm_set_fault(const GemmSet *set, const Ops *ops) {
  size_t slab = gemm_set_tile(set) * set->depth;
  if (set->side == 0 || set->reach == 0 || set->depth == 0) return "a size of it is 0";
  if (slab % gemm_set_items(set) != 0) return "its work items do not share a slab evenly";
  if (gemm_set_items(set) > ops->max_group) return "a group has more work items than the device allows";
  if (gemm_set_local_memory(set) > ops->local_memory) return "it needs more local memory than a group has";
  return NULL;
}

Status gemm_set_describe(const GemmSet *set, Str *out) {
  size_t tile = gemm_set_tile(set);
  return str_append_format(out, "%zu x %zu by %zu work items, %zu steps, %zu bytes local", tile, tile,
                           gemm_set_items(set), set->depth, gemm_set_local_memory(set));
}

/// Compiles cl/gemm.cl in a set of its own.
static Status build_set(Ops *ops, size_t index) {
  const GemmSet *set = &gemm_sets[index];
  Str options = {0};
  Status status =
      str_append_format(&options, " -DSIDE=%zu -DREACH=%zu -DDEPTH=%zu", set->side, set->reach, set->depth);
  if (status == STATUS_OK)
    status = ops_create_variant(ops, "gemm.cl", str_text(&options), &ops->set_programs[index]);
  if (status == STATUS_OK) status = kernel_create(ops->set_programs[index], "gemm", &ops->set_kernels[index]);
  str_free(&options);
  return status_context(status, "products in the set %s", set->name);
}

Status gemm_choice_build(Ops *ops) {
  if (ops->device == NULL) return STATUS_OK;
  for (size_t form = 0; form < PRODUCT_FORMS; form++) {
    for (size_t size = 0; size < PRODUCT_SIZES; size++) {
      size_t set = ops->products.set[form][size];
      if (set != 0 && ops->set_kernels[set] == NULL) TRY(build_set(ops, set));
    }
  }
  return STATUS_OK;
}

void gemm_choice_free(Ops *ops) {
  for (size_t set = 0; set < GEMM_SETS; set++) {
    kernel_free(ops->set_kernels[set]);
    program_free(ops->set_programs[set]);
  }
}

const GemmSet *gemm_choose_set(const Ops *ops, const GemmCall *call, Kernel **kernel) {
  size_t set = ops->products.set[product_form(call)][product_size(call->m, call->n)];
  *kernel = set == 0 ? ops->kernels[KERNEL_gemm] : ops->set_kernels[set];
  return &gemm_sets[set];
}

// ---- the choice ----

/// Devices for which the vendor's compiler spills registers in the first set, and a set without
/// (docs/GPU.md): found by a part of the device's name.
static const struct {
  const char *name;
  unsigned char set;
} spilling[] = {{"Data Center GPU Max", 2}};

unsigned char gemm_usual_set(const DeviceInfo *info) {
  for (size_t i = 0; i < sizeof spilling / sizeof *spilling; i++)
    if (strstr(info->name, spilling[i].name) != NULL) return spilling[i].set;
  return 0;
}

bool gemm_is_vendors(const Ops *ops, const GemmCall *call) {
  return ops->vendor != NULL && call->math == GEMM_F32 && ops->products.vendor[product_form(call)] &&
         device_can_gemm(ops->vendor, call);
}

static bool can_multiply_bf16(const Device *vendor) {
  const GemmMatrix bf16 = {.type = DTYPE_BF16};
  const GemmCall call = {.m = 1, .n = 1, .k = 1, .a = bf16, .b = bf16, .math = GEMM_HALF_INPUTS};
  return vendor != NULL && device_can_gemm(vendor, &call);
}

bool gemm_rounds_for_vendor(const Ops *ops, const GemmCall *call) {
  return ops->vendor_rounds && ops->vendor != NULL && call->math == GEMM_HALF_INPUTS &&
         call->b.type == DTYPE_BF16 && ops->products.vendor[product_form(call)];
}

Status gemm_prove_vendor(Ops *ops) {
  bool right = false;
  ops->vendor_rounds = ops->compute == COMPUTE_BF16 && can_multiply_bf16(ops->vendor);
  if (!ops->vendor_rounds || ops->device == NULL) return STATUS_OK;
  Status status = ops_try_halves(ops, &right);
  if (status != STATUS_OK && !device_gemm_refused(ops->vendor)) return status;
  if (right) return STATUS_OK;
  log_say(LOG_NOTE, "products in bf16 do without %s: %s", device_info(ops->vendor)->gemm,
          status == STATUS_OK ? "it gives wrong numbers on this device" : status_message());
  ops->vendor_rounds = false;
  return STATUS_OK;
}

static bool has_vendor(const Device *device) {
  static const GemmCall plain = {.m = 1, .n = 1, .k = 1}; // float32
  return device_can_gemm(device, &plain);
}

bool ops_can_choose(const Ops *ops) {
  return !ops->family->cpu_files;
}

const char *ops_vendor_gemm(const Ops *ops) {
  return ops->device != NULL && has_vendor(ops->device) ? device_info(ops->device)->gemm : NULL;
}

const GemmChoice *ops_gemm_choice(const Ops *ops) {
  return &ops->products;
}

bool gemm_is_usually_vendors(const Device *device) {
  return device_info(device)->kind == DEVICE_GPU && has_vendor(device);
}

GemmChoice ops_usual_gemm(const Ops *ops) {
  GemmChoice usual = {0};
  if (ops->device == NULL) return usual;
  memset(usual.set, gemm_usual_set(device_info(ops->device)), sizeof usual.set);
  for (size_t form = 0; form < PRODUCT_FORMS; form++)
    usual.vendor[form] = gemm_is_usually_vendors(ops->device);
  return usual;
}

bool gemm_choice_is_tuned(const Ops *ops) {
  bool tuned = false;
  for (size_t form = 0; form < PRODUCT_FORMS; form++) {
    tuned = tuned || ops->products.vendor[form] != (ops->vendor != NULL);
    for (size_t size = 0; size < PRODUCT_SIZES; size++) tuned = tuned || ops->products.set[form][size] != 0;
  }
  return tuned;
}

static bool wants_vendor(const GemmChoice *choice) {
  bool wanted = false;
  for (size_t form = 0; form < PRODUCT_FORMS; form++) wanted = wanted || choice->vendor[form];
  return wanted;
}

/// What keeps the device from computing so; NULL if nothing does.
static const char *choice_fault(const Ops *ops, const Device *device, const GemmChoice *choice) {
  if (wants_vendor(choice) && !has_vendor(device)) return "there is no vendor's GEMM";
  for (size_t form = 0; form < PRODUCT_FORMS; form++) {
    for (size_t size = 0; size < PRODUCT_SIZES; size++) {
      size_t set = choice->set[form][size];
      const char *fault = set < GEMM_SETS ? gemm_set_fault(&gemm_sets[set], ops) : "there is no such set";
      if (fault != NULL) return fault;
    }
  }
  return NULL;
}

Status ops_choose_gemm(Ops *ops, const GemmChoice *choice) {
  if (ops->device == NULL || !ops_can_choose(ops))
    return status_fail(STATUS_FAILED, "only a device of the GPU family has a choice of products");
  const char *fault = choice_fault(ops, ops->device, choice);
  if (fault != NULL) return status_fail(STATUS_FAILED, "products cannot be computed so: %s", fault);
  ops->products = *choice;
  ops->vendor = wants_vendor(choice) ? ops->device : NULL;
  return gemm_choice_build(ops);
}

Status gemm_choice_describe(const Device *device, const GemmChoice *choice, Str *out) {
  const char *names[PRODUCT_FORMS];
  bool alike = true;
  for (size_t form = 0; form < PRODUCT_FORMS; form++) {
    names[form] = choice->vendor[form] ? device_info(device)->gemm : "own";
    alike = alike && strcmp(names[form], names[0]) == 0;
  }
  if (alike) return str_append_text(out, names[0]);
  for (size_t form = 0; form < PRODUCT_FORMS; form++)
    TRY(str_append_format(out, "%s%s %s", form > 0 ? ", " : "", form_names[form], names[form]));
  return STATUS_OK;
}

// ---- kept ----

Status gemm_choice_print(const GemmChoice *choice, Str *out) {
  for (size_t form = 0; form < PRODUCT_FORMS; form++) {
    TRY(str_append_format(out, "%s %s", form_names[form], choice->vendor[form] ? "vendor" : "own"));
    for (size_t size = 0; size < PRODUCT_SIZES; size++)
      TRY(str_append_format(out, " %s", gemm_sets[choice->set[form][size]].name));
    TRY(str_append_text(out, "\n"));
  }
  return STATUS_OK;
}

/// If `*text` begins with `word` and a character of `end`, skips both.
static bool skip_word(const char **text, const char *word, char end) {
  size_t size = strlen(word);
  if (strncmp(*text, word, size) != 0 || (*text)[size] != end) return false;
  *text += size + 1;
  return true;
}

static bool parse_set(const char **text, char end, unsigned char *out) {
  for (size_t set = 0; set < GEMM_SETS; set++) {
    *out = (unsigned char)set;
    if (skip_word(text, gemm_sets[set].name, end)) return true;
  }
  return false;
}

bool gemm_choice_parse(const char *text, GemmChoice *out) {
  *out = (GemmChoice){0};
  for (size_t form = 0; form < PRODUCT_FORMS; form++) {
    if (!skip_word(&text, form_names[form], ' ')) return false;
    out->vendor[form] = skip_word(&text, "vendor", ' ');
    if (!out->vendor[form] && !skip_word(&text, "own", ' ')) return false;
    for (size_t size = 0; size < PRODUCT_SIZES; size++)
      if (!parse_set(&text, size + 1 < PRODUCT_SIZES ? ' ' : '\n', &out->set[form][size])) return false;
  }
  return *text == '\0';
}

/// A line that changes with whatever a choice depends on beside the device: the kernel and its options.
static Status choice_version(const Ops *ops, char out[SHA256_TEXT]) {
  Str text = {0};
  char *source = NULL;
  Status status = STATUS_OK;
  TRY_CLEAN(ops_kernel_options(ops, &text));
  TRY_CLEAN(kernel_source("gemm.cl", &source));
  TRY_CLEAN(str_append_text(&text, source));
  for (size_t set = 0; set < GEMM_SETS; set++) TRY_CLEAN(str_append_text(&text, gemm_sets[set].name));
  hash_sha256(text.data, text.size, out);
cleanup:
  free(source);
  str_free(&text);
  return status;
}

Status ops_keep_choice(const Ops *ops, const GemmChoice *choice, char **path) {
  char version[SHA256_TEXT];
  Str text = {0};
  KeptText kept = {0};
  Status status = STATUS_OK;
  *path = NULL;
  TRY_CLEAN(choice_version(ops, version));
  TRY_CLEAN(gemm_choice_print(choice, &text));
  TRY_CLEAN(device_keep(ops->device, kept_name, version, str_text(&text)));
  TRY_CLEAN(device_kept(ops->device, kept_name, version, &kept));
  if (kept.text == NULL || strcmp(kept.text, str_text(&text)) != 0)
    status = status_fail(STATUS_FAILED, "%s does not hold what was written to it", kept.path);
  *path = kept.path;
  kept.path = NULL;
cleanup:
  kept_text_free(&kept);
  str_free(&text);
  if (status != STATUS_OK) {
    free(*path);
    *path = NULL;
  }
  return status;
}

Status gemm_choice_take(Ops *ops, const Device *device, bool automatic, char **stale) {
  GemmChoice choice;
  char version[SHA256_TEXT];
  KeptText kept;
  *stale = NULL;
  for (size_t form = 0; form < PRODUCT_FORMS; form++) ops->products.vendor[form] = ops->vendor != NULL;
  if (!ops_can_choose(ops)) return STATUS_OK;
  memset(ops->products.set, gemm_usual_set(device_info(device)), sizeof ops->products.set);
  TRY(choice_version(ops, version));
  TRY(device_kept(device, kept_name, version, &kept));
  bool good = kept.text != NULL && gemm_choice_parse(kept.text, &choice) &&
              choice_fault(ops, device, &choice) == NULL;
  if (!good && (kept.stale || kept.text != NULL)) {
    *stale = kept.path;
    kept.path = NULL;
  }
  kept_text_free(&kept);
  if (!good) return STATUS_OK;
  memcpy(ops->products.set, choice.set, sizeof choice.set);
  if (!automatic) return STATUS_OK;
  memcpy(ops->products.vendor, choice.vendor, sizeof choice.vendor);
  ops->vendor = wants_vendor(&choice) ? device : NULL;
  return STATUS_OK;
}
