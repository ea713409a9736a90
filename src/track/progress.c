// Calls through a Progress. Rule: NULL is silent, so callers need no check.
#include "track/progress.h"

#include <stddef.h>

void progress_begin(Progress *progress, const char *label, const char *unit, uint64_t done, uint64_t total) {
  if (progress != NULL) progress->type->begin(progress, label, unit, done, total);
}

void progress_update(Progress *progress, uint64_t done) {
  if (progress != NULL) progress->type->update(progress, done);
}

void progress_line(Progress *progress, uint64_t done, const char *text) {
  if (progress != NULL) progress->type->line(progress, done, text, false);
}

void progress_result(Progress *progress, uint64_t done, const char *text) {
  if (progress != NULL) progress->type->line(progress, done, text, true);
}

void progress_phase(Progress *progress, const char *phase) {
  if (progress != NULL) progress->type->phase(progress, phase);
}

void progress_end(Progress *progress) {
  if (progress != NULL) progress->type->end(progress);
}
