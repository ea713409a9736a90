// Runs of gee-cl on the tiny model that were stopped half-way. A run of 4 steps is copied as it was after
// step 2, and the copy is resumed with another config.
#pragma once

#include "support/process.h"

enum { STOPPED_STEPS = 4, STOPPED_AFTER = 2, STOPPED_MAX_SETS = 16 };

/// Makes a folder with model/ and run.ini, and returns it. Exits with TEST_SKIPPED if there is no OpenCL
/// device.
const char *stopped_open(void);
/// Makes a complete run, runs/<run>, with `sets` ("train.seed=3", …; NULL-ended), or fails the test.
void stopped_make(const char *run, const char *const *sets);
/// Copies runs/<run> as it was after step 2 to <root>/<name>; `root` NULL: runs.
void stopped_copy(const char *run, const char *root, const char *name);
/// gee-cl train run.ini <sets> <words>, under output.save_root = root and output.run_name = name.
Ran stopped_train(const char *root, const char *name, const char *const *sets, const char *const *words);

/// Number `key` in the metrics of a step of a run; fails the test if there is none.
double stopped_metric(const char *root, const char *name, size_t step, const char *key);
bool stopped_has_metric(const char *root, const char *name, size_t step, const char *key);
/// Fails unless two runs have the same metrics (but for the clock's) and the same adapter or weights and
/// moments.
void stopped_assert_same(const char *root_a, const char *a, const char *root_b, const char *b);
