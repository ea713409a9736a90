// Every task, in the order of the help. A task `name` is the constant task_<name>, in a file task_*.c.
// Private to eval.
#pragma once

#include "eval/task.h"

// clang-format off
#define TASK_LIST(TASK)                                                                                      \
  TASK(crows_pairs) TASK(winobias) TASK(winogender) TASK(stereoset) TASK(bbq)                                \
  TASK(discrim_eval) TASK(entropy_gap)                                                                       \
  TASK(mmlu) TASK(gsm8k) TASK(perplexity) TASK(perplexity_llamacpp)
// clang-format on

#define TASK(name) extern const TaskType task_##name;
TASK_LIST(TASK)
#undef TASK
