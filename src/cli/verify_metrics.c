// metrics.jsonl of a run: a line a step, without a gap, whose sums are those of their parts. Rule: the
// weights of the loss are those of the config that the run was made with.
#include "io/file.h"
#include "verify.h"

#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

typedef struct Metrics {
  const char *path;
  Config config; // of the run
  bool weighed;  // the config is known
  size_t steps, faults;
  Findings *findings;
} Metrics;

static double number_at(const cJSON *line, const char *key) {
  const cJSON *value = cJSON_GetObjectItemCaseSensitive(line, key);
  return cJSON_IsNumber(value) ? value->valuedouble : NAN;
}

static Status add_fault(Metrics *m, size_t number, const char *what, double is, double expected) {
  char place[640], detail[200];
  m->faults++;
  (void)snprintf(place, sizeof place, "%.600s:%zu", m->path, number);
  char there[STR_NUMBER], from_others[STR_NUMBER];
  (void)snprintf(detail, sizeof detail, "%s is %s there, and %s from the others", what, str_number(there, is),
                 str_number(from_others, expected));
  return finding_wrong(m->findings, place, detail);
}

/// Numbers are printed with 15 digits.
static Status compare(Metrics *m, size_t number, const cJSON *line, const char *key, double expected) {
  double is = number_at(line, key);
  if (fabs(is - expected) <= 1e-9 * fmax(1, fabs(expected))) return STATUS_OK;
  return add_fault(m, number, key, is, expected);
}

/// Largest less smallest of the groups' H, which stand between H_bar and H_drift; groups without answers are
/// null.
static double groups_spread(const cJSON *line) {
  double low = INFINITY, high = -INFINITY;
  const cJSON *member = cJSON_GetObjectItemCaseSensitive(line, "H_bar");
  for (member = member != NULL ? member->next : NULL; member != NULL; member = member->next) {
    if (strcmp(member->string, "H_drift") == 0) break;
    if (!cJSON_IsNumber(member)) continue;
    low = fmin(low, member->valuedouble);
    high = fmax(high, member->valuedouble);
  }
  return high >= low ? high - low : NAN;
}

static double loss_of(const LossOptions *options, const cJSON *line) {
  double em = options->debias_only ? 0 : (double)options->em_weight;
  double loss =
      em * number_at(line, "loss_em") + number_at(line, "lambda_weight") * number_at(line, "loss_bias");
  return options->kl_weight > 0 ? loss + (double)options->kl_weight * number_at(line, "kl") : loss;
}

static Status check_step(Metrics *m, const cJSON *line, size_t number) {
  double H_bar = number_at(line, "H_bar"), gap = number_at(line, "entropy_gap");
  TRY(compare(m, number, line, "step", (double)++m->steps));
  TRY(compare(m, number, line, "entropy_gap", groups_spread(line)));
  TRY(compare(m, number, line, "gap_relative", H_bar > 0 ? gap / H_bar : 0));
  return m->weighed ? compare(m, number, line, "loss", loss_of(&m->config.loss, line)) : STATUS_OK;
}

static Status read_line(void *user, const char *text, size_t size, size_t number) {
  Metrics *m = user;
  cJSON *line = NULL;
  char place[640];
  (void)snprintf(place, sizeof place, "%.600s:%zu", m->path, number);
  Status status = json_parse(text, size, place, &line);
  if (status == STATUS_OK) status = check_step(m, line, number);
  cJSON_Delete(line);
  if (status != STATUS_INPUT) return status;
  m->faults++;
  return finding_wrong(m->findings, place, status_message());
}

/// The weights of the loss, which no resume may change.
static Status read_weights(Metrics *m, const cJSON *session) {
  const cJSON *config = cJSON_GetObjectItemCaseSensitive(session, "config");
  if (!cJSON_IsString(config) || *config->valuestring == '\0')
    return finding_unchecked(m->findings, "loss", "the config that weighs its parts is not known");
  Status status = config_parse(&m->config, config->valuestring, RUN_RECORD ", config");
  if (status == STATUS_INPUT) return finding_wrong(m->findings, RUN_RECORD, status_message());
  m->weighed = status == STATUS_OK;
  return status;
}

/// All steps of the last session must be there.
static Status check_steps(Metrics *m, const cJSON *session) {
  char detail[160];
  double step = number_at(session, "step");
  if (!isnan(step) && fabs(step - (double)m->steps) > 0.5) {
    (void)snprintf(detail, sizeof detail, "it has %zu steps, and " RUN_RECORD " says that %.0f were done",
                   m->steps, step);
    return finding_wrong(m->findings, m->path, detail);
  }
  (void)snprintf(detail, sizeof detail,
                 "%zu step%s without a gap; entropy_gap, gap_relative%s follow from their parts", m->steps,
                 str_plural(m->steps), m->weighed ? " and loss" : "");
  return m->faults == 0 ? finding_right(m->findings, m->path, detail) : STATUS_OK;
}

Status verify_metrics(const char *folder, const cJSON *session, Findings *findings) {
  char *path = NULL;
  Metrics m = {.findings = findings};
  Status status = STATUS_OK;
  TRY_CLEAN(path_join(&path, folder, "metrics.jsonl"));
  m.path = path;
  TRY_CLEAN(config_init(&m.config));
  if (!file_exists(path)) {
    status = finding_unchecked(findings, path, "the file is not here");
    goto cleanup;
  }
  TRY_CLEAN(read_weights(&m, session));
  TRY_CLEAN(file_lines(path, read_line, &m));
  TRY_CLEAN(check_steps(&m, session));
cleanup:
  config_free(&m.config);
  free(path);
  return status;
}
