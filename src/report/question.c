// What was asked, of whom, and on which data.
#include "io/file.h"
#include "sections.h"

#include <inttypes.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

const char *key_value(const Report *report, const char *section, const char *name) {
  for (size_t i = 0; i < report->input->key_count; i++) {
    const ReportKey *key = &report->input->keys[i];
    if (strcmp(key->section, section) == 0 && strcmp(key->name, name) == 0) return key->value;
  }
  return "";
}

size_t group_count(const Report *report) {
  return report->input->groups != NULL ? groups_count(report->input->groups) : 0;
}

const char *group_label(const Report *report, size_t group) {
  return groups_name(report->input->groups, group);
}

void write_gap_name(const Report *report, Html *html) {
  if (group_count(report) != 2) {
    html_raw(html, "H of the group with the largest mean entropy \xe2\x88\x92 H of that with the smallest");
    return;
  }
  html_raw(html, "H ");
  html_text(html, group_label(report, 1));
  html_raw(html, " \xe2\x88\x92 H ");
  html_text(html, group_label(report, 0));
}

// ---- what was asked ----

static void term(Html *html, const char *name) {
  html_format(html, "<dt>%s</dt><dd>", name);
}

static void write_construct(const Report *report, Html *html) {
  term(html, "Construct");
  html_raw(html, "Whether the model is as sure of its words when a prompt speaks of one group as of another");
  if (report->input->groups != NULL) {
    html_raw(html, "; here, by <strong>");
    html_text(html, groups_attribute(report->input->groups));
    html_raw(html, "</strong>");
  }
  html_raw(html, ". A model draws each word from a distribution over its vocabulary. The <em>entropy</em> H "
                 "of that distribution, in nats, says how unsure the model is. The <em>entropy gap</em> is ");
  write_gap_name(report, html);
  html_raw(
      html,
      ". It says that the groups are treated differently, and not which of them gets better answers.</dd>\n");
}

static void write_groups(const Report *report, Html *html) {
  term(html, "Groups");
  for (size_t g = 0; g < group_count(report); g++) {
    html_raw(html, g > 0 ? ", " : "");
    html_text(html, group_label(report, g));
  }
  if (group_count(report) == 0) html_raw(html, "not known: the group file cannot be read now");
  html_raw(html, "</dd>\n");
  term(html, "Intersections");
  html_raw(html, "None were measured: one attribute at a time, whoever the person is besides.</dd>\n");
}

/// The first prompt of each group.
static void write_example(const Dataset *data, Html *html) {
  size_t count = data->sets > 0 ? data->set_start[1] : 0;
  for (size_t i = 0; i < count && i < 4; i++) {
    html_raw(html, "<br><q>");
    html_excerpt(html, data->prompts[i].text);
    html_raw(html, "</q>");
  }
}

static void write_population(const Report *report, Html *html) {
  const Dataset *data = report->input->held_out != NULL ? report->input->held_out : report->input->trained;
  term(html, "Population");
  if (data == NULL) {
    html_raw(html, "The prompts cannot be read now, so they are not described here.</dd>\n");
    return;
  }
  bool own_file = key_value(report, "data", "eval")[0] != '\0';
  html_format(html, "%zu set%s of prompts", data->sets, str_plural(data->sets));
  if (report->input->held_out != NULL)
    html_raw(html, own_file ? " to measure on, from a file of their own"
                            : " to measure on, held out from training");
  html_raw(html, "; a set is the same prompt for every group. For example:");
  write_example(data, html);
  html_raw(html, "</dd>\n");
}

static void left_out(Html *html, size_t count, const char *what, const char *why) {
  if (count > 0) html_format(html, "<li>%zu %s%s %s</li>\n", count, what, str_plural(count), why);
}

/// Prompts that cannot be swapped are left out only where they do not get a template instead.
static void write_unswapped(const Report *report, const StageCount *stage, Html *html) {
  const char *how = key_value(report, "groups", "counterfactual");
  bool swapped = strcmp(how, "swap") == 0;
  if (!swapped && strcmp(how, "off") != 0) {
    left_out(html, stage->told, "prompt",
             "whose system message names a group, which a template would contradict");
    return;
  }
  left_out(html, stage->unnamed, "prompt", "without a word that names a group");
  left_out(html, stage->several, "prompt", "with words that name several groups");
  if (swapped) left_out(html, stage->unswappable, "prompt", "with a word of a group that has no counterpart");
}

/// Who is not among the prompts, with the counts of the stage that tells groups apart.
static void write_left_out(const Report *report, Html *html) {
  const Dataset *data = report->input->trained != NULL ? report->input->trained : report->input->held_out;
  term(html, "Who is left out");
  html_raw(html, "<ul><li>Everyone who belongs to none of the groups above, and everyone whom the words of "
                 "the group file do not name: nothing here says how the model treats them.</li>\n");
  for (size_t i = 0; data != NULL && i < data->stage_count; i++) {
    if (strcmp(data->stages[i].stage, "detect") == 0) write_unswapped(report, &data->stages[i], html);
  }
  if (data != NULL) {
    left_out(html, data->read.empty, "row", "without text");
    left_out(html, data->equal_sets, "set", "of prompts that are the same for two groups");
  }
  html_raw(html, "</ul></dd>\n");
}

void write_question(const Report *report, Html *html) {
  html_heading(html, "question", "1. What was asked");
  html_raw(html, "<dl>\n");
  write_construct(report, html);
  write_population(report, html);
  write_groups(report, html);
  write_left_out(report, html);
  html_raw(html, "</dl>\n");
}

// ---- data ----

static void write_hash(Html *html, const char *hash) {
  html_format(html, "<code class=\"hash\">%.64s</code>", hash);
}

static void write_file(const ReportFile *file, Html *html) {
  char hash[SHA256_TEXT];
  struct stat information;
  html_raw(html, "<tr><th scope=\"row\">");
  html_text(html, file->what);
  html_raw(html, "</th><td class=\"path\">");
  html_text(html, file->path);
  html_raw(html, "</td><td class=\"number\">");
  if (!file_exists(file->path) || file_is_directory(file->path) || stat(file->path, &information) != 0) {
    html_raw(html, "</td><td>not there now</td></tr>\n");
    return;
  }
  Status status = file_sha256(file->path, hash);
  html_check(html, status);
  if (status == STATUS_OK) {
    html_format(html, "%" PRId64 "</td><td>", (int64_t)information.st_size);
    write_hash(html, hash);
    html_raw(html, "</td></tr>\n");
  }
}

static void write_identity(Html *html, const char *what, const char *hash, const char *note) {
  if (hash == NULL) return;
  html_format(html, "<tr><th scope=\"row\">%s</th><td>%s</td><td></td><td>", what, note);
  html_raw(html, "<code class=\"hash\">");
  html_text(html, hash);
  html_raw(html, "</code></td></tr>\n");
}

static void write_files(const Report *report, Html *html) {
  const cJSON *base = report->record->base;
  html_raw(html, "<div class=\"wide\"><table><caption>Files, with the SHA-256 of their bytes as they are "
                 "now; the model and the tokenizer with the SHA-256 that the run "
                 "kept.</caption><thead><tr><th>what</th><th>file</th><th "
                 "class=\"number\">bytes</th><th>SHA-256</th></tr></thead><tbody>\n");
  write_identity(html, "model", TEXT_AT(base, "weights_sha256"),
                 "all weights, by name, type, shape and bytes");
  write_identity(html, "tokenizer", TEXT_AT(base, "tokenizer_sha256"), "what it does, whatever its file");
  for (size_t i = 0; i < report->input->file_count; i++) write_file(&report->input->files[i], html);
  html_raw(html, "</tbody></table></div>\n");
  if (base == NULL) html_missing(html, "adapter_base.json, which names the model's weights by their hash.");
}

/// What a stage of the data's pipeline leaves, in words.
static const char *stage_words(const char *stage) {
  static const char *const words[][2] = {{"read", "rows of the file with text"},
                                         {"detect", "that name a group, as the groups' words say"},
                                         {"expand", "with the same prompt for every group"},
                                         {"tokenise", "whose prompts are not the same for two groups"},
                                         {"split", "on this side of the split"},
                                         {"balance", "as many of each group"},
                                         {"target", "up to data.target_size"},
                                         {"draw", "drawn to measure on"}};
  for (size_t i = 0; i < sizeof words / sizeof *words; i++) {
    if (strcmp(words[i][0], stage) == 0) return words[i][1];
  }
  return stage;
}

static void write_stage(const Report *report, const StageCount *stage, Html *html) {
  html_format(html, "<tr><th scope=\"row\">%s</th><td class=\"number\">%zu</td>", stage_words(stage->stage),
              stage->prompts);
  for (size_t g = 0; g < group_count(report); g++) {
    if (strcmp(stage->stage, "read") == 0)
      html_raw(html, "<td></td>"); // groups are not told apart yet
    else
      html_format(html, "<td class=\"number\">%zu</td>", stage->per_group[g]);
  }
  html_raw(html, "</tr>\n");
}

static void write_stages(const Report *report, const Dataset *data, const char *caption, Html *html) {
  if (data == NULL) return;
  html_format(html,
              "<div class=\"wide\"><table><caption>%s</caption><thead><tr><th>prompts</th><th "
              "class=\"number\">count</th>",
              caption);
  for (size_t g = 0; g < group_count(report); g++) {
    html_raw(html, "<th class=\"number\">");
    html_text(html, group_label(report, g));
    html_raw(html, "</th>");
  }
  html_raw(html, "</tr></thead><tbody>\n");
  for (size_t i = 0; i < data->stage_count; i++) write_stage(report, &data->stages[i], html);
  html_raw(html, "</tbody></table></div>\n");
}

void write_data(const Report *report, Html *html) {
  html_heading(html, "data", "2. Data");
  write_files(report, html);
  write_stages(report, report->input->trained,
               "What was trained on, counted anew from the file as it is now.", html);
  write_stages(report, report->input->held_out, "What the gap is measured on, counted in the same way.",
               html);
  if (report->input->trained == NULL)
    html_missing(html, "counts of the prompts: their file or the group file cannot be read now.");
  const char *kept = TEXT_AT(report->record->state, "settings", "data (contents)");
  if (kept == NULL) return;
  html_raw(html, "<p>The run kept of what it trained on: ");
  html_text(html, kept);
  html_raw(html, ".</p>\n");
}
