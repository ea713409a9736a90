// Runs of gee-cl on the tiny model that were stopped half-way, to resume: whole runs of 4 steps, of which
// copies as they were after step 2 are resumed under another config.
#pragma once

#include "support/process.h"

enum { STOPPED_STEPS = 4, STOPPED_AFTER = 2, STOPPED_MAX_SETS = 12 };

/// Makes the folder with model/ and run.ini; exits with TEST_SKIPPED where there is no OpenCL device. Returns
/// the folder.
const char *stopped_open(void);
/// A run from the start: runs/<run> with `sets` ("train.seed=3", …; NULL-ended). Fails the test where it does
/// not end well.
void stopped_make(const char *run, const char *const *sets);
/// Copies runs/<run> as it was after step 2 to <root>/<name>; `root` NULL: runs.
void stopped_copy(const char *run, const char *root, const char *name);
/// gee-cl train run.ini <sets> <words>, under output.save_root = root and output.run_name = name.
Ran stopped_train(const char *root, const char *name, const char *const *sets, const char *const *words);

/// Number `key` of the metrics of a step in a run; fails where it is not there.
double stopped_metric(const char *root, const char *name, size_t step, const char *key);
bool stopped_has_metric(const char *root, const char *name, size_t step, const char *key);
/// Fails unless two runs have the same metrics (but for the clock's) and the same adapter or weights and
/// moments.
void stopped_assert_same(const char *root_a, const char *a, const char *root_b, const char *b);
