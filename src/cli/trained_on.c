// Builds the prompts of a finished training anew, from the config that it left, to compare them with others.
#include "trained_on.h"
#include "io/file.h"
#include "util/log.h"

#include <math.h>
#include <stdlib.h>

static Status count_trained(const char *path, const Runtime *runtime, const Dataset *dataset, size_t *out) {
  Config config = {0};
  Dataset trained = {0};
  Status status = STATUS_OK;
  TRY_CLEAN(config_open(path, &(TextList){0}, NULL, &config));
  TRY_CLEAN(config_dataset(&config, runtime, false, &trained));
  TRY_CLEAN(dataset_overlap(dataset, &trained, out));
cleanup:
  dataset_free(&trained);
  config_free(&config);
  return status;
}

Status trained_on_find(const char *folder, const Runtime *runtime, const Dataset *dataset, TrainedOn *out) {
  char *path = NULL;
  Status status = STATUS_OK;
  *out = (TrainedOn){.first_H = NAN};
  TRY(path_join(&path, folder, "config.ini"));
  out->has_config = file_exists(path);
  if (out->has_config) status = count_trained(path, runtime, dataset, &out->prompts);
  out->known = out->has_config && status == STATUS_OK;
  if (status == STATUS_INPUT) { // the config or its prompts have been changed or moved: no reason to stop
    log_say(LOG_NOTE, "whether the measured prompts were trained on cannot be told: %s", status_message());
    status = STATUS_OK;
  }
  if (out->prompts > 0)
    log_say(LOG_WARNING,
            "%zu of %zu prompts %s trained on, as %s says: the gap on them is not a held-out "
            "one",
            out->prompts, dataset->count, out->prompts == 1 ? "was" : "were", path);
  if (status == STATUS_OK) status = train_first_entropy(folder, &out->first_H);
  free(path);
  return status;
}
