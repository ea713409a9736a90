// write_kernels FOLDER: writes what a GPU's compiler is given, for tests/compilers/compile.py: NAME.cl, the
// whole text of a kernel file, and NAME.options, for each file that KERNEL_LIST names, for cl/probe_gpu.cl,
// and for cl/gemm_tile.cl with each of its matrix instructions, in bf16 and in f16.
#include "context.h"
#include "kernels.h"
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static const char *const files[] = {
#define KERNEL_ROW(file, kernel) #file ".cl",
    KERNEL_LIST(KERNEL_ROW)
#undef KERNEL_ROW
};

static bool is_listed(const char *name) {
  for (size_t i = 0; i < sizeof files / sizeof *files; i++)
    if (strcmp(files[i], name) == 0) return !str_ends(name, "_cpu.cl");
  return strcmp(name, "probe_gpu.cl") == 0;
}

static Status write_part(const char *folder, const char *name, const char *end, const char *text) {
  Str path = {0};
  Status status = str_append_format(&path, "%s/%s%s", folder, name, end);
  FILE *file = status == STATUS_OK ? fopen(str_text(&path), "w") : NULL;
  bool written = file != NULL && fputs(text, file) >= 0;
  if (file != NULL && fclose(file) != 0) written = false;
  if (!written && status == STATUS_OK)
    status = status_fail(STATUS_FAILED, "cannot write %s", str_text(&path));
  str_free(&path);
  return status;
}

/// The file as it is compiled with `tile` and the compute, or without one.
static Status write_kernel(const char *folder, const char *file, const Tile *tile, Compute compute) {
  const Ops ops = {
      .family = &gpu_family, .group_items = 256, .vector_width = 4, .tile = tile, .compute = compute};
  Str options = {0}, name = {0};
  char *source = NULL;
  Status status = STATUS_OK;
  TRY_CLEAN(ops_kernel_options(&ops, &options));
  TRY_CLEAN(kernel_source(file, &source));
  TRY_CLEAN(str_append_format(&name, "%.*s", (int)(strlen(file) - 3), file));
  if (tile != NULL) TRY_CLEAN(str_append_format(&name, "-%s-%s", tile->macro, compute_name(compute)));
  TRY_CLEAN(write_part(folder, str_text(&name), ".cl", source));
  TRY_CLEAN(write_part(folder, str_text(&name), ".options", str_text(&options)));
cleanup:
  free(source);
  str_free(&options);
  str_free(&name);
  return status;
}

static Status write_tiles(const char *folder, const char *file) {
  static const Compute computes[] = {COMPUTE_BF16, COMPUTE_F16};
  for (size_t i = 0; i < 2 * TILES; i++) {
    const Tile *tile = &matrix_tiles[i / 2];
    Compute compute = computes[i % 2];
    if ((tile->factors & tile_factors(compute)) != 0) TRY(write_kernel(folder, file, tile, compute));
  }
  return STATUS_OK;
}

static Status write_all(const char *folder) {
  for (size_t i = 0; kernel_sources[i].name != NULL; i++) {
    const char *file = kernel_sources[i].name;
    if (strcmp(file, "gemm_tile.cl") == 0)
      TRY(write_tiles(folder, file));
    else if (is_listed(file))
      TRY(write_kernel(folder, file, NULL, COMPUTE_F32));
  }
  return STATUS_OK;
}

int main(int count, char **arguments) {
  if (count != 2) {
    (void)fprintf(stderr, "usage: write_kernels FOLDER\n");
    return 2;
  }
  if (write_all(arguments[1]) == STATUS_OK) return 0;
  (void)fprintf(stderr, "write_kernels: %s\n", status_message());
  return 1;
}
