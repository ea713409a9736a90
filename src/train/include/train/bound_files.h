// Which files belong to a checkpoint: trainer_state.json names each file that a resume reads, with the
// SHA-256 of its bytes, so that no file of another checkpoint, and none that has been changed, is taken for
// it.
#pragma once

#include "io/json.h"
#include "io/json_write.h"

/// Adds the member "files" with every file that is in `folder` now.
STATUS_CHECKED Status bound_files_write(const char *folder, JsonWriter *json);
/// Compares the files in `folder` with those that its state names. STATUS_INPUT names a file that is missing,
/// one that holds other bytes, and one with tensors that the state does not name, which might be read in
/// place of one that it does. A state of an older version that names none passes with a note.
STATUS_CHECKED Status bound_files_check(const cJSON *state, const char *folder);
/// The last part of that alone: STATUS_INPUT names a file with tensors that `files`, the state's member, does
/// not.
STATUS_CHECKED Status bound_files_check_surplus(const cJSON *files, const char *folder);
#define BOUND_FILES_STATE  "trainer_state.json"
#define BOUND_FILES_MEMBER "files"
