// Decoding what trackers wrote. Rule: nothing of src/track is used.
#include "support/tracker_files.h"

#include "io/file.h"
#include <glob.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

uint32_t tracker_crc(uint32_t polynomial, const uint8_t *bytes, size_t size) {
  uint32_t table[256], crc = UINT32_MAX;
  for (uint32_t i = 0; i < 256; i++) {
    table[i] = i;
    for (int bit = 0; bit < 8; bit++) table[i] = table[i] >> 1 ^ (table[i] % 2 * polynomial);
  }
  for (size_t i = 0; i < size; i++) crc = crc >> 8 ^ table[(crc ^ bytes[i]) & 255];
  return ~crc;
}

static uint64_t little_endian(const uint8_t *bytes, int size) {
  uint64_t value = 0;
  while (size-- > 0) value = value << 8 | bytes[size];
  return value;
}

/// The last path that fits; before it there may be those of empty files, if `may_follow`.
static const char *last_path(const char *folder, const char *pattern, bool may_follow) {
  static char path[1024];
  struct stat info;
  glob_t found = {0};
  (void)snprintf(path, sizeof path, "%s/%s", folder, pattern);
  assert_int_equal(glob(path, 0, NULL, &found), 0);
  assert_true(found.gl_pathc == 1 || may_follow);
  for (size_t i = 0; i + 1 < found.gl_pathc; i++) {
    assert_int_equal(stat(found.gl_pathv[i], &info), 0);
    assert_int_equal(info.st_size, 0);
  }
  (void)snprintf(path, sizeof path, "%s", found.gl_pathv[found.gl_pathc - 1]);
  globfree(&found);
  return path;
}

const char *tensorboard_path(const char *folder) {
  return last_path(folder, "events.out.tfevents.*", true);
}

const char *wandb_path(const char *folder) {
  return last_path(folder, "wandb/offline-run-*/run-*.wandb", false);
}

// ---- protobuf ----

typedef struct Message {
  const uint8_t *at, *end;
} Message;

typedef struct Field {
  uint64_t number;
  uint64_t value; // of a number
  Message bytes;  // of the others
} Field;

static uint64_t varint(Message *message) {
  uint64_t value = 0;
  for (int shift = 0;; shift += 7) {
    assert_true(message->at < message->end && shift < 64);
    value |= (uint64_t)(*message->at & 127) << shift;
    if (*message->at++ < 128) return value;
  }
}

static bool next_field(Message *message, Field *out) {
  if (message->at == message->end) return false;
  uint64_t key = varint(message), size = 0;
  *out = (Field){.number = key >> 3};
  switch (key & 7) {
  case 0:
    out->value = varint(message);
    return true;
  case 1:
    size = 8;
    break;
  case 2:
    size = varint(message);
    break;
  case 5:
    size = 4;
    break;
  default:
    fail_msg("a field of the kind %d", (int)(key & 7));
  }
  assert_true(size <= (uint64_t)(message->end - message->at));
  out->bytes = (Message){message->at, message->at + size};
  message->at += size;
  if ((key & 7) != 2) out->value = little_endian(out->bytes.at, (int)size);
  return true;
}

/// The last field of that number; all zero if there is none.
static Field find(Message message, uint64_t number) {
  Field field, found = {0};
  while (next_field(&message, &field)) {
    if (field.number == number) found = field;
  }
  return found;
}

static void append(Str *out, const char *format, ...) __attribute__((format(printf, 2, 3)));
static void append(Str *out, const char *format, ...) {
  char text[65536];
  va_list args;
  va_start(args, format);
  int length = vsnprintf(text, sizeof text, format, args);
  va_end(args);
  assert_true(length >= 0 && (size_t)length < sizeof text);
  assert_ok(str_append(out, text, (size_t)length));
}

static int size_of(Message message) {
  return (int)(message.end - message.at);
}

/// Arguments for "%.*s".
#define SHOWN(message) size_of(message), (const char *)(message).at

static bool is_text(Message message, const char *text) {
  return strlen(text) == (size_t)size_of(message) && memcmp(message.at, text, strlen(text)) == 0;
}

// ---- TensorBoard ----

static double double_of(uint64_t bits) {
  double value;
  memcpy(&value, &bits, sizeof value);
  return value;
}

static float float_of(uint64_t bits) {
  uint32_t low = (uint32_t)bits;
  float value;
  memcpy(&value, &low, sizeof value);
  return value;
}

static void append_value(Str *out, Message value) {
  Message tag = find(value, 1).bytes, tensor = find(value, 8).bytes, metadata = find(value, 9).bytes;
  if (tensor.at == NULL) {
    append(out, " %.*s=%.9g", SHOWN(tag), (double)float_of(find(value, 2).value));
    return;
  }
  Message text = find(tensor, 8).bytes;
  assert_int_equal(find(tensor, 1).value, 7); // strings
  assert_non_null(find(tensor, 2).bytes.at);  // a shape, without dimensions
  assert_true(is_text(find(find(metadata, 1).bytes, 1).bytes, "text"));
  assert_int_equal(find(metadata, 4).value, 2); // a tensor
  const uint8_t *line = memchr(text.at, '\n', (size_t)size_of(text));
  assert_non_null(line);
  text.end = line;
  append(out, " %.*s (text) %.*s", SHOWN(tag), SHOWN(text));
}

static void append_event(Str *out, Message event) {
  Message version = find(event, 3).bytes, summary = find(event, 5).bytes, start = find(event, 7).bytes;
  double time = double_of(find(event, 1).value);
  uint64_t step = find(event, 2).value;
  assert_true(time > 1.6e9 && time < 1e11);
  if (version.at != NULL) append(out, "version %.*s", SHOWN(version));
  if (start.at != NULL) assert_int_equal(find(start, 1).value, 1);
  if (start.at != NULL) append(out, "start %llu", (unsigned long long)step);
  if (summary.at != NULL) append(out, "%llu", (unsigned long long)step);
  for (Field field; summary.at != NULL && next_field(&summary, &field);) {
    assert_int_equal(field.number, 1);
    append_value(out, field.bytes);
  }
  append(out, "\n");
}

static uint32_t masked(const uint8_t *bytes, size_t size) {
  uint32_t crc = tracker_crc(0x82f63b78, bytes, size);
  return ((crc >> 15) | (crc << 17)) + 0xa282ead8;
}

void tensorboard_read(const char *folder, Str *out) {
  MappedFile file = {0};
  assert_ok(file_map(tensorboard_path(folder), &file));
  const uint8_t *at = file.bytes, *end = at + file.size;
  while (at < end) {
    assert_true(end - at >= 16);
    uint64_t size = little_endian(at, 8);
    assert_int_equal(little_endian(at + 8, 4), masked(at, 8));
    assert_true(size <= (uint64_t)(end - at) - 16);
    assert_int_equal(little_endian(at + 12 + size, 4), masked(at + 12, size));
    append_event(out, (Message){at + 12, at + 12 + size});
    at += size + 16;
  }
  file_unmap(&file);
}

// ---- W&B ----

/// Items whose key has that number: "key=json". Without _timestamp and _runtime, which are checked.
static void append_items(Str *out, Message items, uint64_t number) {
  for (Field field; items.at != NULL && next_field(&items, &field);) {
    if (field.number != number) continue;
    Message key = find(field.bytes, 1).bytes, json = find(field.bytes, 16).bytes;
    char value[32] = "";
    (void)snprintf(value, sizeof value, "%.*s", SHOWN(json));
    if (is_text(key, "_timestamp")) {
      assert_true(strtod(value, NULL) > 1.6e9);
    } else if (is_text(key, "_runtime")) {
      assert_true(strtod(value, NULL) >= 0 && strtod(value, NULL) < 1000);
    } else {
      append(out, " %.*s=%.*s", SHOWN(key), SHOWN(json));
    }
  }
}

static void append_run(Str *out, Message run) {
  Message id = find(run, 1).bytes;
  assert_int_equal(size_of(id), 8);
  assert_true(find(find(run, 17).bytes, 1).value > 1600000000);
  append(out, "run %.*s/%.*s", SHOWN(find(run, 3).bytes), SHOWN(find(run, 8).bytes));
  append_items(out, find(run, 4).bytes, 1);
}

static void append_record(Str *out, Message record) {
  Message copy = record;
  append(out, "%llu ", (unsigned long long)find(record, 1).value);
  for (Field field; next_field(&copy, &field);) {
    Message in = field.bytes;
    if (field.number == 2) {
      append(out, "row %llu", (unsigned long long)find(find(in, 2).bytes, 1).value);
      append_items(out, in, 1);
    } else if (field.number == 3 || field.number == 5) {
      append(out, field.number == 3 ? "summary" : "config");
      append_items(out, in, 1);
    } else if (field.number == 12) {
      append(out, "metric %.*s %.*s", SHOWN(find(in, 2).bytes), SHOWN(find(in, 4).bytes));
    } else if (field.number == 17) {
      append_run(out, in);
    } else if (field.number == 18) {
      append(out, "exit %llu", (unsigned long long)find(in, 1).value);
    } else if (field.number == 21) {
      Message producer = find(find(in, 1).bytes, 1).bytes; // with a version
      assert_true(size_of(producer) > 7);
      append(out, "header %.6s", (const char *)producer.at);
    } else {
      assert_int_equal(field.number, 1);
    }
  }
  append(out, "\n");
}

/// Moves *at over a piece, whose bytes go to `record`; returns its kind.
static int read_piece(const MappedFile *file, size_t *at, Str *record) {
  while (*at % 32768 > 32768 - 7) assert_int_equal(file->bytes[(*at)++], 0);
  assert_true(file->size - *at >= 7);
  const uint8_t *head = file->bytes + *at;
  size_t size = (size_t)little_endian(head + 4, 2);
  assert_true(size <= file->size - *at - 7);
  assert_true(*at % 32768 + 7 + size <= 32768);
  Str summed = {0};
  assert_ok(str_append(&summed, (const char *)head + 6, 1 + size)); // kind and bytes are side by side
  assert_int_equal(little_endian(head, 4), tracker_crc(0xedb88320, (uint8_t *)summed.data, summed.size));
  str_free(&summed);
  assert_ok(str_append(record, (const char *)head + 7, size));
  *at += 7 + size;
  return head[6];
}

void wandb_read(const char *folder, Str *out) {
  static const uint8_t begin[] = {':', 'W', '&', 'B', 0xe1, 0xbe, 0};
  MappedFile file = {0};
  assert_ok(file_map(wandb_path(folder), &file));
  assert_true(file.size > sizeof begin);
  assert_memory_equal(file.bytes, begin, sizeof begin);
  for (size_t at = sizeof begin; at < file.size;) {
    Str record = {0};
    int kind = read_piece(&file, &at, &record);
    assert_true(kind == 1 || kind == 2);
    while (kind == 2 || kind == 3) {
      kind = read_piece(&file, &at, &record);
      assert_true(kind == 3 || kind == 4);
    }
    const uint8_t *bytes = (const uint8_t *)str_text(&record);
    append_record(out, (Message){bytes, bytes + record.size});
    str_free(&record);
  }
  file_unmap(&file);
}

void tracker_files_in_memory(void) {
  if (access("/dev/shm", W_OK) == 0) assert_int_equal(setenv("TMPDIR", "/dev/shm", 0), 0);
}
