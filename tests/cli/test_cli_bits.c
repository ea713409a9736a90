// Bits of a CPU run: training, the gap, scores and greedy answers on tiny models give exactly the numbers
// that an earlier version recorded in tests/golden/bits (make_bits.sh says how). Rule: bits depend on the
// driver, the processor it compiles for, and the C library. Without a recording from such a machine the test
// is skipped; it never passes.
//
// Every number and text of a recording must be found again, to the last bit. A later version may add members,
// but not drop or change any. Of a safetensors file, the bytes of each tensor are compared, not the header.
// GEE_BITS_RECORD=FILE records instead of comparing, with the program that GEE_BITS_BINARY names.
#include "support/process.h"

#include "io/file.h"
#include "util/hash.h"
#include "util/str.h"
#include <cjson/cJSON.h>
#include <dirent.h>
#include <gnu/libc-version.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#define RECORDINGS GEE_SOURCE_DIR "/tests/golden/bits"

static const char *folder;
static cJSON *recording; // {"machine": {...}, "runs": {name: what a run left}}

// ---- the runs ----

enum { MAX_SETS = 12 };

typedef struct TrainRun {
  const char *name, *model;   // a folder of tests/golden
  const char *weights;        // the tensors it leaves
  const char *sets[MAX_SETS]; // --set= of each, NULL-ended
} TrainRun;

#define ADAPTER "adapter_model.safetensors"
#define WEIGHTS "model.safetensors"

// Between them: both families, tied and untied heads, biases, one file and shards; LoRA on some and on all
// matrices, full training; both pairings, forms and norms; two groups and more; every stored type; micro
// batches and checkpointing.
static const TrainRun train_runs[] = {
    {"lora_paired",
     "llama",
     ADAPTER,
     {"--set=lora.targets=all", "--set=train.micro_batch_size=3", "--set=train.schedule=cosine",
      "--set=train.warmup_steps=1", "--set=loss.unbiased=true", "--set=sampling.top_k=20"}},
    {"lora_own_dropout",
     "qwen2",
     ADAPTER,
     {"--set=loss.pairing=own", "--set=lora.dropout=0.25", "--set=train.micro_batch_size=2",
      "--set=sampling.repetition_penalty=1.3", "--set=loss.em_weight=1", "--set=loss.use_l1=true"}},
    {"full_f32",
     "llama",
     WEIGHTS,
     {"--set=train.mode=full", "--set=train.micro_batch_size=4", "--set=train.schedule=linear",
      "--set=loss.auto_anneal=true"}},
    {"full_untied_shards",
     "qwen2_untied",
     WEIGHTS,
     {"--set=train.mode=full", "--set=train.activation_checkpointing=true", "--set=loss.temperature=0.7"}},
    {"bf16_checkpointing",
     "llama",
     ADAPTER,
     {"--set=model.dtype=bf16", "--set=train.activation_checkpointing=true", "--set=lora.targets=all",
      "--set=lora.dropout=0.1", "--set=train.head_tile_rows=5"}},
    {"f16_many_groups",
     "qwen2",
     ADAPTER,
     {"--set=model.dtype=f16", "--set=groups.file=race", "--set=groups.counterfactual=template",
      "--set=loss.form=centred", "--set=train.share_prompts=false", "--set=train.micro_batch_size=5",
      "--set=train.bias_eval_steps=2"}},
};
enum { TRAIN_RUNS = sizeof train_runs / sizeof train_runs[0] };

static const char prompts[] =
    "She works as a pilot. Describe her day.\nHe works as a baker. Describe his day.\n"
    "She works as a nurse. Describe her day.\nHe is a judge: is he just?\n"
    "She sings; her friends listen.\nHe paints, and his house is blue.\n"
    "She works as a clerk. Describe her day.\nHe works as a miner. Describe his day.\n"
    "She repairs her car.\nHe cooks his own soup.\n"
    "What does she do at night?\nWhat does he do at noon?\n";

static const char config_text[] =
    "[data]\nheld_out = 0.34\neval_sets = 3\neval_answers = 2\nchat = off\n"
    "[sampling]\nmax_new_tokens = 9\nsample_temp = 0.9\ntop_p = 0.95\nrepetition_penalty = 1.0\n"
    "[loss]\npairing = paired\nlambda_weight = 50\nem_weight = -0.1\n[lora]\nrank = 4\n"
    "[train]\nmax_steps = 4\neffective_batch = 8\nmicro_batch_size = 8\nlearning_rate = 5e-3\n"
    "[output]\nsave_steps = 0\n[track]\nsamples = true\n";

/// 67 tokens, as in the golden models: 0, 1, 2 and 5 are special, each of the others is a character. Other
/// characters are dropped.
static void write_tokenizer(const char *path) {
  static const char letters[] = " abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ.,?'-:!;01";
  char text[4096];
  size_t size = (size_t)snprintf(
      text, sizeof text,
      "{\"added_tokens\": [{\"id\": 0, \"content\": \"<pad>\", \"special\": true}, {\"id\": 1, \"content\": "
      "\"<s>\", \"special\": true}, {\"id\": 2, \"content\": \"</s>\", \"special\": true}, {\"id\": 5, "
      "\"content\": \"<end>\", \"special\": true}], \"pre_tokenizer\": {\"type\": \"ByteLevel\", "
      "\"add_prefix_space\": false, \"use_regex\": true}, \"decoder\": {\"type\": \"ByteLevel\"}, \"model\": "
      "{\"type\": \"BPE\", \"merges\": [], \"vocab\": {");
  for (unsigned i = 0, id = 3; letters[i] != '\0'; i++, id++) {
    id += id == 5;
    char character[8] = "\\u0120"; // how byte-level BPE writes a space
    if (letters[i] != ' ') (void)snprintf(character, sizeof character, "%c", letters[i]);
    size +=
        (size_t)snprintf(text + size, sizeof text - size, "%s\"%s\": %u", i > 0 ? ", " : "", character, id);
  }
  (void)snprintf(text + size, sizeof text - size, "}}}");
  write_text(path, text);
}

/// A folder with the golden model's files, linked, and the tokenizer.
static void link_model(const char *name) {
  const char *source = RECORDINGS "/..", *target = in_folder(folder, name);
  assert_ok(directory_create(target));
  const char *from = in_folder(source, name);
  DIR *files = opendir(from);
  assert_non_null(files);
  for (const struct dirent *file = readdir(files); file != NULL; file = readdir(files)) {
    if (file->d_name[0] != '.')
      assert_int_equal(symlink(in_folder(from, file->d_name), in_folder(target, file->d_name)), 0);
  }
  (void)closedir(files);
  write_tokenizer(in_folder(target, "tokenizer.json"));
}

/// "first" + "second" in static memory, of which the last 16 stay.
static const char *joined(const char *first, const char *second) {
  static char texts[16][1200];
  static size_t next;
  char *text = texts[next++ % 16];
  (void)snprintf(text, sizeof texts[0], "%s%s", first, second);
  return text;
}

// ---- what a run left, as JSON ----

static cJSON *parse(const char *text) {
  cJSON *root = cJSON_Parse(text);
  if (root == NULL) fail_msg("not JSON: %s", text);
  return root;
}

/// Removes members that hold a time or a path, at any depth: they are not numbers of the run.
static void drop_clock_and_paths(cJSON *value) {
  for (cJSON *member = value->child, *next = NULL; member != NULL; member = next) {
    next = member->next;
    const char *key = member->string;
    bool drop = key != NULL && (strncmp(key, "seconds", 7) == 0 || strstr(key, "per_second") != NULL ||
                                strstr(key, "time") != NULL);
    drop = drop || (cJSON_IsString(member) && strstr(member->valuestring, folder) != NULL);
    if (drop)
      cJSON_Delete(cJSON_DetachItemViaPointer(value, member));
    else
      drop_clock_and_paths(member);
  }
}

static cJSON *json_lines(const char *path) {
  char *text = read_file(path, NULL), *at = NULL;
  cJSON *lines = cJSON_CreateArray();
  for (char *line = strtok_r(text, "\n", &at); line != NULL; line = strtok_r(NULL, "\n", &at))
    assert_true(cJSON_AddItemToArray(lines, parse(line)));
  free(text);
  drop_clock_and_paths(lines);
  return lines;
}

/// {tensor: "shape type hash"} of a safetensors file: u64 size of the header, the header as JSON, then the
/// bytes.
static cJSON *tensor_hashes(const char *path) {
  size_t size = 0;
  char *file = read_file(path, &size);
  uint64_t header_size = 0;
  memcpy(&header_size, file, sizeof header_size);
  assert_true(size >= 8 && header_size <= size - 8);
  cJSON *header = cJSON_ParseWithLength(file + 8, header_size), *hashes = cJSON_CreateObject(),
        *tensor = NULL;
  assert_non_null(header);
  cJSON_ArrayForEach(tensor, header) {
    if (strcmp(tensor->string, "__metadata__") == 0) continue;
    const cJSON *offsets = cJSON_GetObjectItem(tensor, "data_offsets");
    size_t first = (size_t)cJSON_GetArrayItem(offsets, 0)->valuedouble;
    size_t end = (size_t)cJSON_GetArrayItem(offsets, 1)->valuedouble;
    assert_true(first <= end && end <= size - 8 - header_size);
    char *shape = cJSON_PrintUnformatted(cJSON_GetObjectItem(tensor, "shape")), text[256];
    (void)snprintf(text, sizeof text, "%s %s %016" PRIx64, shape,
                   cJSON_GetStringValue(cJSON_GetObjectItem(tensor, "dtype")),
                   hash_bytes(HASH_START, file + 8 + header_size + first, end - first));
    assert_non_null(cJSON_AddStringToObject(hashes, tensor->string, text));
    free(shape);
  }
  cJSON_Delete(header);
  free(file);
  return hashes;
}

/// Gives `item` to the object.
static void put(cJSON *object, const char *key, cJSON *item) {
  assert_non_null(item);
  assert_true(cJSON_AddItemToObject(object, key, item));
}

static cJSON *printed(Ran ran) {
  assert_code(ran, 0);
  cJSON *root = parse(ran.out);
  drop_clock_and_paths(root);
  return root;
}

static cJSON *run_training(const TrainRun *run) {
  const char *words[MAX_SETS + 8] = {"train", in_folder(folder, "config.ini")};
  size_t count = 2;
  words[count++] = joined("--set=model.path=", in_folder(folder, run->model));
  words[count++] = joined("--set=output.run_name=", run->name);
  for (size_t i = 0; i < MAX_SETS && run->sets[i] != NULL; i++) words[count++] = run->sets[i];
  assert_code(run_words(words), 0);
  const char *left = in_folder(in_folder(folder, "runs"), run->name), *final = in_folder(left, "final");
  cJSON *out = cJSON_CreateObject();
  put(out, "metrics", json_lines(in_folder(left, "metrics.jsonl")));
  put(out, "samples", json_lines(in_folder(left, "samples.jsonl")));
  put(out, "tensors", tensor_hashes(in_folder(final, run->weights)));
  const char *evaluations = in_folder(left, "bias_eval.jsonl");
  if (file_exists(evaluations)) put(out, "bias_eval", json_lines(evaluations));
  return out;
}

/// What `gap --adapter` measured on its only adapter. Earlier versions printed just that.
static cJSON *only_adapter(cJSON *gaps) {
  cJSON *list = cJSON_GetObjectItem(gaps, "adapters");
  if (list == NULL) return gaps;
  assert_int_equal(cJSON_GetArraySize(list), 1);
  cJSON *measured = cJSON_DetachItemFromArray(list, 0);
  cJSON_Delete(gaps);
  return measured;
}

/// Runs after lora_paired: gap, score and a greedy answer, with and without its adapter.
static cJSON *run_measurements(void) {
  const char *model = in_folder(folder, "llama"), *config = in_folder(folder, "config.ini");
  const char *adapter = in_folder(folder, "runs/lora_paired/final"),
             *scores = in_folder(folder, "scores.jsonl");
  const char *path = joined("--set=model.path=", model);
  cJSON *out = cJSON_CreateObject();
  put(out, "gap", printed(GEE("gap", config, path, "--json")));
  put(out, "gap_adapter", only_adapter(printed(GEE("gap", config, path, "--json", "--adapter", adapter))));
  put(out, "generate",
      printed(
          GEE("generate", "--model", model, "--prompt", "She works.", "--json", "--max-new-tokens", "40")));
  put(out, "generate_adapter",
      printed(GEE("generate", "--model", model, "--adapter", adapter, "--prompt", "He works.", "--json",
                  "--max-new-tokens", "40")));
  write_text(in_folder(folder, "in.jsonl"),
             "{\"prompt\": \"She works.\", \"answer\": \"Hello\"}\n{\"prompt\": \"She works.\", \"answer\": "
             "\" and sings all day\"}\n{\"prompt\": \"\", \"answer\": \"a\"}\n");
  assert_code(GEE("score", "--model", in_folder(folder, "qwen2"), "--input", in_folder(folder, "in.jsonl"),
                  "--output", scores),
              0);
  put(out, "score", json_lines(scores));
  return out;
}

// ---- comparing ----

/// Fails if something in `recorded` differs in `actual`; `path` names it.
static void assert_same(const char *path, const cJSON *recorded, const cJSON *actual) {
  if (actual == NULL) fail_msg("%s is missing; it was recorded", path);
  if ((recorded->type & 0xff) != (actual->type & 0xff)) fail_msg("%s has changed its type", path);
  if (cJSON_IsNumber(recorded) && memcmp(&recorded->valuedouble, &actual->valuedouble, sizeof(double)) != 0)
    fail_msg("%s is %.17g and was %.17g", path, actual->valuedouble, recorded->valuedouble);
  if (cJSON_IsString(recorded) && strcmp(recorded->valuestring, actual->valuestring) != 0)
    fail_msg("%s is \"%s\" and was \"%s\"", path, actual->valuestring, recorded->valuestring);
  int count = cJSON_GetArraySize(recorded);
  if (cJSON_IsArray(recorded) && count != cJSON_GetArraySize(actual))
    fail_msg("%s has %d entries and had %d", path, cJSON_GetArraySize(actual), count);
  const cJSON *pair = cJSON_IsArray(recorded) ? actual->child : NULL;
  size_t index = 0;
  for (const cJSON *member = recorded->child; member != NULL; member = member->next, index++) {
    char inner[1024];
    if (cJSON_IsArray(recorded))
      (void)snprintf(inner, sizeof inner, "%.900s[%zu]", path, index);
    else
      (void)snprintf(inner, sizeof inner, "%.900s.%.100s", path, member->string);
    assert_same(inner, member,
                cJSON_IsArray(recorded) ? pair : cJSON_GetObjectItemCaseSensitive(actual, member->string));
    if (pair != NULL) pair = pair->next;
  }
}

static const cJSON *recorded_run(const char *name) {
  return cJSON_GetObjectItemCaseSensitive(cJSON_GetObjectItemCaseSensitive(recording, "runs"), name);
}

/// Compares with the recording, or adds to the one being made.
static void settle(const char *name, cJSON *left) {
  if (getenv("GEE_BITS_RECORD") != NULL) {
    put(cJSON_GetObjectItemCaseSensitive(recording, "runs"), name, left);
    return;
  }
  const cJSON *expected = recorded_run(name);
  if (expected == NULL) fail_msg("the recording has no run \"%s\"", name);
  assert_same(name, expected, left);
  cJSON_Delete(left);
}

static void training_keeps_its_bits(void **state) {
  const TrainRun *run = *state;
  settle(run->name, run_training(run));
}

static void measurements_keep_their_bits(void **state) {
  (void)state;
  settle("measurements", run_measurements());
}

// ---- the machine and its recording ----

/// What bits depend on. pocl's device is "pthread-<what LLVM compiles for>-<the processor's own name>": the
/// last is left out.
static cJSON *this_machine(void) {
  Ran ran = GEE("devices", "--json");
  assert_code(ran, 0);
  cJSON *root = parse(ran.out), *machine = cJSON_CreateObject();
  const cJSON *device = NULL;
  cJSON_ArrayForEach(device, cJSON_GetObjectItem(root, "devices")) {
    if (cJSON_IsTrue(cJSON_GetObjectItem(device, "chosen"))) break;
  }
  if (device == NULL) {
    (void)fprintf(stderr, "skipped: there is no OpenCL device here\n");
    exit(TEST_SKIPPED);
  }
  char name[512] = "";
  (void)snprintf(name, sizeof name, "%s", cJSON_GetStringValue(cJSON_GetObjectItem(device, "name")));
  for (char *dash = strchr(name, '-'); dash != NULL; dash = strchr(dash + 1, '-')) {
    if (dash[1] >= 'A' && dash[1] <= 'Z') *dash = '\0';
    if (*dash == '\0') break;
  }
  put(machine, "platform", cJSON_Duplicate(cJSON_GetObjectItem(device, "platform"), true));
  put(machine, "driver", cJSON_Duplicate(cJSON_GetObjectItem(device, "driver"), true));
  put(machine, "device", cJSON_CreateString(name));
  put(machine, "libc", cJSON_CreateString(gnu_get_libc_version()));
  cJSON_Delete(root);
  return machine;
}

/// The recording from a machine like this one, or a skip.
static cJSON *find_recording(const cJSON *machine) {
  DIR *files = opendir(RECORDINGS);
  assert_non_null(files);
  cJSON *found = NULL;
  for (const struct dirent *file = readdir(files); file != NULL && found == NULL; file = readdir(files)) {
    if (strstr(file->d_name, ".json") == NULL) continue;
    char *text = read_file(in_folder(RECORDINGS, file->d_name), NULL);
    cJSON *root = parse(text);
    free(text);
    if (cJSON_Compare(cJSON_GetObjectItem(root, "machine"), machine, true))
      found = root;
    else
      cJSON_Delete(root);
  }
  (void)closedir(files);
  if (found != NULL) return found;
  char *here = cJSON_PrintUnformatted(machine);
  (void)fprintf(stderr, "skipped: no recording in tests/golden/bits was made on such a machine: %s\n", here);
  free(here);
  exit(TEST_SKIPPED);
}

static int set_up(void **state) {
  (void)state;
  folder = test_folder();
  if (folder == NULL) return -1;
  if (getenv("GEE_BITS_BINARY") != NULL) use_binary(getenv("GEE_BITS_BINARY"));
  static const char *const models[] = {"llama", "qwen2", "qwen2_untied"};
  for (size_t i = 0; i < sizeof models / sizeof models[0]; i++) link_model(models[i]);
  write_text(in_folder(folder, "prompts.txt"), prompts);
  char text[sizeof config_text + 2048];
  (void)snprintf(text, sizeof text, "%s[data]\ntrain = %s\n[output]\nsave_root = %s\n", config_text,
                 in_folder(folder, "prompts.txt"), in_folder(folder, "runs"));
  write_text(in_folder(folder, "config.ini"), text);
  cJSON *machine = this_machine();
  if (getenv("GEE_BITS_RECORD") == NULL) {
    recording = find_recording(machine);
    cJSON_Delete(machine);
    return 0;
  }
  recording = cJSON_CreateObject();
  put(recording, "machine", machine);
  put(recording, "runs", cJSON_CreateObject());
  return 0;
}

/// One line per run, so that a diff names what changed.
static void write_recording(const char *path) {
  Str text = {0};
  char *machine = cJSON_PrintUnformatted(cJSON_GetObjectItem(recording, "machine"));
  assert_non_null(machine);
  assert_ok(str_append_format(&text, "{\"machine\": %s,\n\"runs\": {", machine));
  free(machine);
  const cJSON *run = NULL, *runs = cJSON_GetObjectItem(recording, "runs");
  cJSON_ArrayForEach(run, runs) {
    char *line = cJSON_PrintUnformatted(run);
    assert_non_null(line);
    assert_ok(str_append_format(&text, "%s\n\"%s\": %s", run == runs->child ? "" : ",", run->string, line));
    free(line);
  }
  assert_ok(str_append_text(&text, "\n}}\n"));
  write_file(path, text.data, text.size);
  str_free(&text);
}

static int tear_down(void **state) {
  (void)state;
  const char *target = getenv("GEE_BITS_RECORD");
  if (target != NULL) write_recording(target);
  cJSON_Delete(recording);
  return 0;
}

int main(void) {
  struct CMUnitTest tests[TRAIN_RUNS + 1];
  for (size_t i = 0; i < TRAIN_RUNS; i++) {
    tests[i] = (struct CMUnitTest){.name = train_runs[i].name,
                                   .test_func = training_keeps_its_bits,
                                   .initial_state = (void *)(uintptr_t)&train_runs[i]};
  }
  tests[TRAIN_RUNS] = (struct CMUnitTest)cmocka_unit_test(measurements_keep_their_bits);
  return cmocka_run_group_tests(tests, set_up, tear_down);
}
