// Training with GEE (sample, measure, differentiate, update, save) or on given answers. A run that stopped
// can be resumed and computes the same bits.
#pragma once

#include "data/examples.h"
#include "eval/evaluation.h"
#include "gen/generate.h"
#include "loss/loss.h"
#include "model/model.h"
#include "track/progress.h"
#include "track/tracker.h"
#include "train/identity.h"
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
  float max_drift; // of the mean entropy, as a share of the first step's (train/drift.h); 0: off
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

/// What happens on a resume if the config's value of a setting differs from the run's.
typedef enum SettingKind {
  SETTING_DECIDES,    // other numbers: refused
  SETTING_IDENTIFIES, // another model: refused, unless TrainJob.force
  SETTING_EXTENDS,    // a whole number: refused too, but TrainJob.extend accepts a larger one
  SETTING_ROUNDS,     // the same numbers except for rounding: accepted, with a note
} SettingKind;

/// A value that a run depends on. Two values are equal if their texts are.
typedef struct Setting {
  const char *key;   // "train.learning_rate", as messages name it
  const char *value; // "2e-05"
  SettingKind kind;
} Setting;

/// Why a run ended.
typedef enum TrainEnd {
  TRAIN_ALL_STEPS,     // max_steps were done
  TRAIN_TARGET,        // debias_only: the held-out gap is within target_gap
  TRAIN_NOTHING_TO_DO, // debias_only: it was so before the first step; nothing was trained or saved
} TrainEnd;

/// What ends an answer that does not end by itself.
typedef struct AnswerLimit {
  size_t tokens;
  const char *set_by; // "sampling.max_new_tokens", or what allows no more: for people
} AnswerLimit;

/// What train_run says about a run that ended well; the numbers are in the run's files.
typedef struct TrainOutcome {
  TrainEnd end;
  size_t before, step; // steps done when it began, and now
  AnswerLimit answers; // of its steps
} TrainOutcome;

/// Everything that defines a run. All pointers are borrowed while it lasts.
typedef struct TrainJob {
  Ops *ops;
  const ModelFiles *files;
  const ModelIdentity *identity; // of `files` and `tokenizer`; not used by a plan
  DType dtype;
  LoraOptions lora;
  const Tokenizer *tokenizer;
  const Dataset *dataset;   // to train with GEE
  const Examples *examples; // or to train on given answers; the other is NULL
  bool measurable; // gee-cl gap finds sets that were not trained on with this config: the model card says how
  SamplingOptions sampling;
  LossOptions loss;
  TrainOptions train;
  OutputOptions output;
  const TaskWeight *task_weights;
  size_t task_weight_count;
  bool task_weights_em; // types weigh in the entropy term too
  bool track_samples;
  const char *config_text; // the config as run, saved with each checkpoint
  // An object of JSON that says what the run is made with and from, for run.json; NULL: no run.json is
  // written.
  const char *provenance;
  // The config keys that decide the run's numbers; saved with each checkpoint and compared on a resume. The
  // trainer adds what no key states (the model's shape and weights, the data's contents, ...).
  const Setting *settings;
  size_t setting_count;
  bool resume;
  bool force;              // on a resume: accept another model or tokenizer, with a warning
  bool extend;             // on a resume: accept a larger SETTING_EXTENDS; an error if none is larger
  Progress *progress;      // NULL is silent
  const atomic_bool *stop; // set by signals that ask for an end
  /// Run in this order before the first step, every bias_eval_steps, and after the last step; never if
  /// bias_eval_steps is 0. The plan counts their memory.
  Evaluation *const *evaluations;
  size_t evaluation_count;
  const MetricSinkType *const *sinks; // where metrics go besides metrics.jsonl
  size_t sink_count;
  TrackedRun tracked; // its name, project and sections, for the sinks; a run sets the rest
} TrainJob;

// In the folder of a run: its sessions (run_record.h).
#define RUN_RECORD        "run.json"
#define RUN_RECORD_FORMAT "gee-cl run 1"

/// Runs (or resumes) the job: run.json, metrics.jsonl, samples.jsonl and step_N/, final/ under
/// save_root/run_name. STATUS_INTERRUPTED if `stop` was set; the last step is then saved. STATUS_FAILED if
/// the mean entropy has drifted beyond max_drift: that step is saved too, but not as final, and the message
/// names the last checkpoint from before the drift. `outcome` may be NULL, and is set on STATUS_OK alone.
STATUS_CHECKED Status train_run(const TrainJob *job, TrainOutcome *outcome);
/// Refuses what train_run would refuse, but takes no memory: options that contradict each other, an earlier
/// run in the folder, a checkpoint of another config. Writes nothing and does not use job->ops.
STATUS_CHECKED Status train_check(const TrainJob *job);
/// Counts the memory of the job on a plan Ops (ops_create_plan): creates everything, computes nothing.
STATUS_CHECKED Status train_plan(const TrainJob *job);
/// *out = H̄ of the first step of the run that left the model or adapter in `folder`; NaN if no run of this
/// version did.
STATUS_CHECKED Status train_first_entropy(const char *folder, double *out);
