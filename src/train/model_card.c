// Writing the card. Rule: it tells only what the run knows, and its code can be run as it stands; figures are
// what `gap` measures.
#include "model_card.h"

#include <string.h>

/// Appends a text in double quotes, as YAML and Python read them.
static Status append_quoted(Str *out, const char *text) {
  TRY(str_append(out, "\"", 1));
  for (; *text != '\0'; text++) {
    if (*text == '"' || *text == '\\') TRY(str_append(out, "\\", 1));
    TRY(str_append(out, text, 1));
  }
  return str_append(out, "\"", 1);
}

static Status append_header(const TrainJob *job, Str *out) {
  TRY(str_append_text(out, "---\nbase_model: "));
  TRY(append_quoted(out, model_files_path(job->files)));
  TRY(str_append_format(out, "\nlibrary_name: %s\n", job->train.full ? "transformers" : "peft"));
  return str_append_format(out, "pipeline_tag: text-generation\ntags: [%s%s]\n---\n\n",
                           job->examples != NULL ? "sft" : "gee, debiasing", job->train.full ? "" : ", lora");
}

static Status append_groups(const GroupFile *groups, Str *out) {
  TRY(str_append_format(out, "%s: ", groups_attribute(groups)));
  for (size_t g = 0; g < groups_count(groups); g++)
    TRY(str_append_item(out, groups_name(groups, g), g, groups_count(groups), " and "));
  return STATUS_OK;
}

/// What it was trained for, as the rest of a sentence, and what is not known.
static Status append_aim(const TrainJob *job, Str *out) {
  if (job->examples != NULL)
    return str_append_format(out,
                             " on given answers (the cross-entropy of the answers of %zu rows) by gee-cl %s. "
                             "What training did to biases and to other skills is not known from this.\n\n",
                             job->examples->count, GEE_VERSION);
  TRY(str_append_format(out,
                        " with One-shot Group-Entropy Equalization by gee-cl %s, to bring the mean "
                        "token entropies of groups together (",
                        GEE_VERSION));
  TRY(append_groups(job->dataset->groups, out));
  return str_append_text(out,
                         "). What training did to other biases and to skill is not known from this.\n\n");
}

static Status append_summary(const TrainJob *job, size_t steps, Str *out) {
  const char *model = model_files_path(job->files);
  TRY(str_append_format(out, "# %s\n\n", job->output.run_name));
  if (job->train.full)
    TRY(str_append_format(out, "`%s`, every weight of it trained for", model));
  else
    TRY(str_append_format(out, "A LoRA adapter of rank %zu for `%s`, trained for", job->lora.rank, model));
  TRY(str_append_format(out, " %zu step%s", steps, str_plural(steps)));
  TRY(append_aim(job, out));
  if (job->identity != NULL && !job->train.full)
    TRY(str_append_format(
        out, "It belongs to the model with the SHA-256 `%s` (of its weights, as gee-cl reads them).\n",
        job->identity->weights));
  if (job->identity != NULL && job->identity->quantised != NULL)
    TRY(str_append_format(
        out, "The matrices of its layers were quantised to %s when it was loaded (model.quantise).\n",
        job->identity->quantised));
  if (ops_compute(job->ops) != COMPUTE_F32)
    TRY(str_append_format(
        out,
        "Products with %s were computed in %s (model.compute), which differs from float32; use and measure "
        "it as it was trained, or measure what the difference does.\n",
        ops_compute(job->ops) == COMPUTE_INT8 ? "frozen weights, in passes without a gradient,"
                                              : "frozen weights",
        compute_name(ops_compute(job->ops))));
  return str_append_text(out, "`config.ini` is the config as run.\n\n");
}

/// transformers reads a .gguf file by the folder it is in and its name.
static Status append_python(const TrainJob *job, const char *path, Str *out) {
  const char *model = model_files_path(job->files), *slash = strrchr(model, '/');
  const char *class = job->train.full ? "AutoModelForCausalLM" : "AutoPeftModelForCausalLM";
  TRY(str_append_format(out, "```python\nfrom transformers import %sAutoTokenizer\n",
                        job->train.full ? "AutoModelForCausalLM, " : ""));
  if (!job->train.full) TRY(str_append_text(out, "from peft import AutoPeftModelForCausalLM\n"));
  TRY(str_append_format(out, "\nmodel = %s.from_pretrained(", class));
  TRY(append_quoted(out, path));
  if (!job->train.full && str_ends(model, ".gguf")) {
    TRY(str_append_text(out, ", gguf_file="));
    TRY(append_quoted(out, slash != NULL ? slash + 1 : model));
  }
  TRY(str_append_text(out, ")\ntokenizer = AutoTokenizer.from_pretrained("));
  TRY(append_quoted(out, path));
  return str_append_text(out, ")\n```\n\n");
}

/// Appends `before`, and folder/name as a shell reads it.
static Status append_path(Str *out, const char *before, const char *folder, const char *name) {
  Str path = {0};
  Status status = str_append_format(&path, "%s%s", folder, name);
  if (status == STATUS_OK) status = str_append_text(out, before);
  if (status == STATUS_OK) status = str_append_shell(out, str_text(&path));
  str_free(&path);
  return status;
}

/// What was not held out cannot be measured, so other prompts are asked for.
static Status append_gap(const TrainJob *job, const char *path, Str *out) {
  TRY(append_path(out, "gee-cl gap ", path, "/config.ini"));
  TRY(append_path(out, job->train.full ? " --set " : " --adapter ", job->train.full ? "model.path=" : "",
                  path));
  if (!job->dataset->counterfactual) TRY(str_append_text(out, " --set groups.counterfactual=auto"));
  if (!job->measurable) TRY(str_append_text(out, " --set data.eval=FILE"));
  return str_append_text(out, job->train.full ? "\n" : "    # the gap before and after\n");
}

static Status append_commands(const TrainJob *job, const char *path, Str *out) {
  bool gap = job->examples == NULL;
  if (!gap && job->train.full) return STATUS_OK;
  if (gap && !job->measurable)
    TRY(str_append_format(out, "%s, so the gap can only be measured on prompts of another FILE:\n\n",
                          job->dataset->counterfactual ? "No prompts were held out from training"
                                                       : "Training used no counterfactual sets"));
  TRY(str_append_text(out, "```sh\n"));
  if (gap) TRY(append_gap(job, path, out));
  if (!job->train.full) {
    TRY(append_path(out, "gee-cl export --model ", model_files_path(job->files), ""));
    TRY(append_path(out, " --adapter ", path, ""));
    TRY(str_append_text(out, " --output merged\n"));
  }
  return str_append_text(out, "```\n");
}

Status model_card_append(const TrainJob *job, size_t steps, const char *path, Str *out) {
  TRY(append_header(job, out));
  TRY(append_summary(job, steps, out));
  TRY(str_append_text(out, "## Use\n\nFrom the folder in which it was trained:\n\n"));
  TRY(append_python(job, path, out));
  return append_commands(job, path, out);
}
