// Training with GEE: sample, measure, differentiate, update, save; and go on where a run stopped, to the same
// bits.
#pragma once

#include "data/data.h"
#include "eval/evaluation.h"
#include "gen/generate.h"
#include "loss/loss.h"
#include "model/model.h"
#include "track/progress.h"
#include "track/tracker.h"
#include <stdatomic.h>

typedef enum Schedule { SCHEDULE_CONSTANT, SCHEDULE_LINEAR, SCHEDULE_COSINE } Schedule;

typedef struct TrainOptions {
  bool full; // train.mode = full; else LoRA
  size_t max_steps, effective_batch, micro_batch_size;
  float learning_rate, beta1, beta2, epsilon, weight_decay, max_grad_norm;
  size_t warmup_steps;
  Schedule schedule;
  bool activation_checkpointing;
  size_t head_tile_rows;
  size_t max_sequence_tokens;
  bool share_prompts;
  size_t log_steps, bias_eval_steps;
  uint64_t seed;
} TrainOptions;

typedef struct OutputOptions {
  const char *save_root, *run_name;
  size_t save_steps;
  bool save_initial;
} OutputOptions;

/// Weight of a prompt type in the bias term ([task_weights]).
typedef struct TaskWeight {
  const char *type;
  double weight;
} TaskWeight;

/// What it means for a resume that a setting of the run differs from the config's.
typedef enum SettingKind {
  SETTING_DECIDES, // other numbers: refused
  SETTING_EXTENDS, // a whole number: refused as well, but a larger one is taken with TrainJob.extend
  SETTING_ROUNDS,  // the same numbers but for rounding: taken, with a note
} SettingKind;

/// A value that a run depends on. Two values are the same where their texts are.
typedef struct Setting {
  const char *key;   // as messages name it: "train.learning_rate"
  const char *value; // "2e-05"
  SettingKind kind;
} Setting;

/// Everything a run is. All pointers are borrowed for its length.
typedef struct TrainJob {
  Ops *ops;
  const ModelFiles *files;
  DType dtype;
  LoraOptions lora;
  const Tokenizer *tokenizer;
  const Dataset *dataset;
  SamplingOptions sampling;
  LossOptions loss;
  TrainOptions train;
  OutputOptions output;
  const TaskWeight *task_weights;
  size_t task_weight_count;
  bool task_weights_em; // types also weigh in the EM term
  bool track_samples;
  const char *config_text; // the config as run, saved with each checkpoint
  // What the config says of everything above that decides numbers; saved with each checkpoint and compared on
  // a resume. What no key says (the model's shape and weights, the data's contents, ...) the trainer adds
  // itself.
  const Setting *settings;
  size_t setting_count;
  bool resume;
  bool extend;             // on a resume: take a larger SETTING_EXTENDS; an error where there is none
  Progress *progress;      // NULL is silent
  const atomic_bool *stop; // set by SIGINT
  /// Run before the first step, every bias_eval_steps, and after the last step, in this order; not at all
  /// where bias_eval_steps is 0. The plan counts their memory.
  Evaluation *const *evaluations;
  size_t evaluation_count;
  const MetricSinkType *const *sinks; // what gets the metrics besides metrics.jsonl
  size_t sink_count;
} TrainJob;

/// Runs (or resumes) the job: metrics.jsonl, samples.jsonl and step_N/, final/ under save_root/run_name.
/// STATUS_INTERRUPTED after a saved step where `stop` was set.
STATUS_CHECKED Status train_run(const TrainJob *job);
/// Refuses what train_run would refuse before it takes memory: options that contradict one another, an
/// earlier run in the folder, a checkpoint of another config. Nothing is written, and job->ops is not used.
STATUS_CHECKED Status train_check(const TrainJob *job);
/// Plans the memory of the job on a plan Ops (ops_create_plan): creates everything, runs nothing.
STATUS_CHECKED Status train_plan(const TrainJob *job);
