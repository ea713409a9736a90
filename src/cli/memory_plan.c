// Memory: what a run will take, by kind, and whether the device and the host have that much.
#include "cli.h"

#include <inttypes.h>
#include <stdio.h>
#include <string.h>

/// The number after `name` in a file of "name: number kB" lines, in bytes; 0 if it is missing.
static uint64_t read_kilobytes(const char *path, const char *name) {
  FILE *file = fopen(path, "r");
  if (file == NULL) return 0;
  char line[256];
  uint64_t kilobytes = 0;
  while (kilobytes == 0 && fgets(line, sizeof line, file) != NULL) {
    if (strncmp(line, name, strlen(name)) == 0 && sscanf(line + strlen(name), ": %" SCNu64, &kilobytes) != 1)
      break;
  }
  (void)fclose(file);
  return kilobytes * 1024;
}

/// This process's memory as the kernel counts it, now ("VmRSS") or at most so far ("VmHWM"), on a CPU, which
/// shares it; 0 for a device with memory of its own.
static uint64_t process_memory(const DeviceInfo *info, const char *which) {
  return info->kind == DEVICE_CPU ? read_kilobytes("/proc/self/status", which) : 0;
}

static void print_line(const char *label, uint64_t bytes) {
  char text[32];
  format_bytes(text, bytes);
  if (bytes > 0) say("  %-13s %10s", label, text);
}

static void print_memory(const MemoryUse *use, uint64_t program, const char *title) {
  char text[32];
  format_bytes(text, use->peak_total + program);
  say("%s%-15s%s %10s", style(stderr, STYLE_BOLD), title, style(stderr, STYLE_PLAIN), text);
  for (int kind = 0; kind < MEMORY_KINDS; kind++)
    print_line(memory_kind_name((MemoryKind)kind), use->peak[kind]);
  print_line("program", program);
}

void memory_print_planned(const MemoryUse *use, const DeviceInfo *info) {
  print_memory(use, process_memory(info, "VmRSS"), "memory planned");
}

void memory_print_peak(const MemoryUse *use, const DeviceInfo *info) {
  uint64_t most = process_memory(info, "VmHWM");
  print_memory(use, most > use->peak_total ? most - use->peak_total : 0, "memory at peak");
}

/// The number in a file; UINT64_MAX if the file holds a word ("max") or is missing.
static uint64_t read_number(const char *path) {
  FILE *file = fopen(path, "r");
  uint64_t value = UINT64_MAX;
  if (file == NULL) return value;
  if (fscanf(file, "%" SCNu64, &value) != 1) value = UINT64_MAX;
  (void)fclose(file);
  return value;
}

uint64_t host_memory_available(void) {
  uint64_t available = read_kilobytes("/proc/meminfo", "MemAvailable");
  if (available == 0) available = UINT64_MAX; // no such file: unknown
  uint64_t limit = read_number("/sys/fs/cgroup/memory.max"),
           used = read_number("/sys/fs/cgroup/memory.current");
  if (limit != UINT64_MAX && used != UINT64_MAX) {
    uint64_t left = limit > used ? limit - used : 0;
    if (left < available) available = left;
  }
  return available;
}

/// What to change if this kind of memory is the largest.
static const char *advice(MemoryKind kind, MemoryWork work) {
  if (work == MEMORY_OF_GAP && kind != MEMORY_WEIGHTS)
    return "lower data.eval_answers, sampling.max_new_tokens or data.max_prompt_tokens";
  if (work == MEMORY_OF_EVAL && kind != MEMORY_WEIGHTS) return "take a device with more memory";
  switch (kind) {
  case MEMORY_WEIGHTS:
    return "set model.quantise = q4_k or model.dtype = bf16, or take a smaller model";
  case MEMORY_TRAINABLE:
    return "lower lora.rank or lora.targets, or set train.mode = lora";
  case MEMORY_ACTIVATIONS:
    return "lower train.micro_batch_size or sampling.max_new_tokens, or set train.activation_checkpointing = "
           "true";
  case MEMORY_CACHE:
    return "lower train.effective_batch, sampling.max_new_tokens or data.max_prompt_tokens";
  case MEMORY_HEAD:
    return "lower train.head_tile_rows";
  case MEMORY_KINDS:
    break;
  }
  return "lower train.micro_batch_size";
}

Status memory_plan_error(Status status, MemoryWork work) {
  if (status != STATUS_FAILED) return status;
  Str reason = {0};
  TRY(str_append_text(&reason, status_message()));
  status = status_fail(STATUS_INPUT, "the run does not fit: %s; %s", str_text(&reason),
                       work != MEMORY_OF_TRAINING ? advice(MEMORY_CACHE, work)
                                                  : "lower train.micro_batch_size or train.effective_batch");
  str_free(&reason);
  return status;
}

Status memory_check(const MemoryUse *planned, const DeviceInfo *info, MemoryWork work) {
  uint64_t limit = info->memory;
  const char *whose = "the device has";
  uint64_t host = info->kind == DEVICE_CPU ? host_memory_available() : UINT64_MAX;
  if (host < limit) {
    limit = host;
    whose = "this machine has free";
  }
  if (planned->peak_total <= limit) return STATUS_OK;
  MemoryKind largest = MEMORY_WEIGHTS;
  for (int kind = 0; kind < MEMORY_KINDS; kind++) {
    if (planned->peak[kind] > planned->peak[largest]) largest = (MemoryKind)kind;
  }
  char needed[32], available[32], most[32];
  format_bytes(needed, planned->peak_total);
  format_bytes(available, limit);
  format_bytes(most, planned->peak[largest]);
  return status_fail(STATUS_INPUT, "the run needs %s, but %s only %s; most of it, %s, is for %s: %s", needed,
                     whose, available, most, memory_kind_name(largest), advice(largest, work));
}
