// What was done, as the config has it.
#include "sections.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

static void write_value(const Report *report, const char *section, const char *name, Html *html) {
  const char *value = key_value(report, section, name);
  html_raw(html, "<strong>");
  html_text(html, value[0] != '\0' ? value : "not known");
  html_raw(html, "</strong>");
}

/// What the bias term is.
static const char *bias_words(const Report *report) {
  if (strcmp(key_value(report, "loss", "form"), "symmetric_kl") == 0)
    return " \xc3\x97 how far apart the distributions are that the groups\xe2\x80\x99 prompts give at each "
           "token (symmetric KL)";
  bool l1 = strcmp(key_value(report, "loss", "use_l1"), "true") == 0;
  return l1 ? " \xc3\x97 the absolute differences of the groups\xe2\x80\x99 mean entropies"
            : " \xc3\x97 the squared differences of the groups\xe2\x80\x99 mean entropies";
}

static void write_loss(const Report *report, Html *html) {
  bool paired = strcmp(key_value(report, "loss", "pairing"), "paired") == 0;
  const char *kl = key_value(report, "loss", "kl_weight");
  html_raw(html, "<p>In each step the model answered ");
  write_value(report, "train", "effective_batch", html);
  html_raw(html, " prompts. ");
  html_raw(html, paired ? "Every answer was then read under the prompt of every group, so that what the "
                          "answers say cancels out of the difference. "
                        : "Each group's own answers were compared, as the method was published. ");
  html_raw(html, "The trained weights moved to lower: ");
  write_value(report, "loss", "em_weight", html);
  html_raw(html, " \xc3\x97 mean entropy + ");
  write_value(report, "loss", "lambda_weight", html);
  html_raw(html, bias_words(report));
  if (strtod(kl, NULL) > 0) {
    html_raw(html, " + ");
    write_value(report, "loss", "kl_weight", html);
    html_raw(html, " \xc3\x97 the KL divergence from the model before training");
  }
  html_raw(html, ". No text was rewarded or punished, and no label was used.</p>\n");
}

static void write_model(const Report *report, Html *html) {
  const char *shape = TEXT_AT(report->record->state, "settings", "model (shape)");
  double steps = NUMBER_AT(report->record->state, "step");
  bool full = strcmp(key_value(report, "train", "mode"), "full") == 0;
  html_raw(html, "<p>gee-cl " GEE_VERSION " wrote this page. The run trained ");
  html_raw(html, full ? "every weight" : "a LoRA adapter of rank ");
  if (!full) write_value(report, "lora", "rank", html);
  html_raw(html, full ? " of " : " for ");
  html_text(html, key_value(report, "model", "path"));
  if (shape != NULL) {
    html_raw(html, " (");
    html_text(html, shape);
    html_raw(html, ")");
  }
  if (isfinite(steps)) html_format(html, ", and did <strong>%.0f</strong> steps", steps);
  html_raw(html, ", with One-shot Group-Entropy Equalization.</p>\n");
  if (!report->input->finished)
    html_missing(html, "the end of the run: it has no final folder, so its last checkpoint is described.");
}

void write_method(const Report *report, Html *html) {
  html_heading(html, "method", "3. Method");
  write_model(report, html);
  write_loss(report, html);
  html_raw(html, "<div class=\"wide\"><table><caption>Keys of the config that were given; all keys are in "
                 "section 10.</caption><thead><tr><th>key</th><th>value</th></tr></thead><tbody>\n");
  for (size_t i = 0; i < report->input->key_count; i++) {
    const ReportKey *key = &report->input->keys[i];
    if (!key->given) continue;
    html_raw(html, "<tr><th scope=\"row\"><code>");
    html_text(html, key->section);
    html_raw(html, ".");
    html_text(html, key->name);
    html_raw(html, "</code></th><td>");
    html_text(html, key->value);
    html_raw(html, "</td></tr>\n");
  }
  html_raw(html, "</tbody></table></div>\n");
}

static void write_key(const ReportKey *key, const char *section, Html *html) {
  if (strcmp(section, key->section) != 0) {
    html_raw(html, section[0] != '\0' ? "\n[" : "[");
    html_text(html, key->section);
    html_raw(html, "]\n");
  }
  html_text(html, key->name);
  html_raw(html, " = ");
  html_text(html, key->value);
  html_raw(html, "\n");
}

/// A path as a shell reads it.
static void write_path(Html *html, const char *path) {
  Str quoted = {0};
  html_check(html, str_append_shell(&quoted, path));
  html_text(html, str_text(&quoted));
  str_free(&quoted);
}

void write_repeat(const Report *report, Html *html) {
  html_heading(html, "repeat", "10. How to repeat it");
  html_raw(html,
           "<p>Compare the hashes of section 2 with your files. Then, with the config below as "
           "<code>config.ini</code>:</p>\n<pre>gee-cl train config.ini\ngee-cl gap config.ini --adapter ");
  write_path(html, report->input->checkpoint);
  html_raw(html, " \\\n    --output gap.json --items items.jsonl\ngee-cl report ");
  write_path(html, report->input->run);
  html_raw(html,
           " --gap gap.json --items items.jsonl</pre>\n<p>The same config on the same device gives the same "
           "bits. Another device rounds differently, and its numbers differ in the last digits.</p>\n");
  if (report->input->key_count == 0) {
    html_missing(html, "config.ini, the config as run.");
    return;
  }
  const char *section = "";
  html_raw(html, "<pre class=\"config\">");
  for (size_t i = 0; i < report->input->key_count; i++) {
    write_key(&report->input->keys[i], section, html);
    section = report->input->keys[i].section;
  }
  html_raw(html, "</pre>\n");
}
