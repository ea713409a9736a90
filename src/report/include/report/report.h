// A run as a page that can be handed to an auditor, with a model card and results for the Hugging Face Hub.
// What is told comes from the run's own files, or is said to be missing.
#pragma once

#include "data/data.h"
#include "plot/picture.h"
#include "util/str.h"

/// The page begins with REPORT_HEAD, by which a report is told from a page that someone else wrote.
#define REPORT_HEAD                                                                                          \
  "<!DOCTYPE html>\n<html lang=\"en\">\n<head>\n<meta charset=\"utf-8\">\n"                                  \
  "<meta name=\"generator\" content=\"gee-cl report\">\n"

/// A key of the config as the run had it.
typedef struct ReportKey {
  const char *section, *name, *value;
  bool given; // not the default
} ReportKey;

/// A file that the run was made from; its hash and size are taken now.
typedef struct ReportFile {
  const char *what; // "prompts"
  const char *path;
} ReportFile;

/// How a metric of a result differs from the first result's, over the same items.
typedef struct ReportChange {
  const char *task, *metric;
  double change, low, high; // with its 95 % interval; NaN: there is none
  double p;                 // with Holm's correction; NaN: there is none
} ReportChange;

/// All of a result, or why there are none.
typedef struct ReportChanges {
  ReportChange *list;
  size_t count;
  const char *reason; // NULL: it was compared
} ReportChanges;

/// All borrowed; what is NULL or has count 0 is said to be missing.
typedef struct ReportInput {
  const char *run;            // the run's folder
  const char *checkpoint;     // the folder in it with config.ini, trainer_state.json and the adapter
  bool finished;              // the checkpoint is the run's end
  const char *gap, *items;    // what gap --output and --items wrote
  const char *const *results; // what eval --output wrote: the first is what the others are compared with
  size_t result_count;
  const ReportChanges *changes; // [result_count], the first's empty; NULL: there are not two results
  const ReportKey *keys;
  size_t key_count;
  const ReportFile *files;
  size_t file_count;
  const GroupFile *groups;
  const Dataset *trained, *held_out; // built without a tokenizer, from the files as they are now
} ReportInput;

/// A file of the Hub's .eval_results folder.
typedef struct ReportResult {
  char *name; // "crows_pairs.yaml"
  Str text;
} ReportResult;

/// A picture of the page.
typedef struct ReportPicture {
  char name[48]; // "sets": letters, digits, - and _ alone, so it can be the name of a file
  Picture *picture;
} ReportPicture;

enum { REPORT_MOST_PICTURES = 64 };

typedef struct ReportOutput {
  Str page; // HTML; one file, no network
  ReportPicture pictures[REPORT_MOST_PICTURES];
  size_t picture_count;
  Str card; // Markdown; empty if the run has no README.md to begin with
  ReportResult *results;
  size_t result_count;
} ReportOutput;

/// STATUS_INPUT names a file that is there and is not understood. Free with report_free in any case.
STATUS_CHECKED Status report_make(const ReportInput *input, ReportOutput *out);
/// Safe on a zeroed struct and twice.
void report_free(ReportOutput *output);
