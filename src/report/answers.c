// Answers side by side, and what the model's entropy is at each of their tokens.
#include "sections.h"

#include "plot/charts.h"
#include "util/memory.h"
#include <math.h>
#include <stdlib.h>
#include <string.h>

enum { SETS_SHOWN = 3, MOST_TOKENS = 400, LONGEST_TEXT = 4000 };

/// Appends an answer's text: all of its tokens, as far as they have room.
static void write_answer_text(Html *html, const cJSON *line) {
  const cJSON *token = NULL;
  size_t size = 0;
  cJSON_ArrayForEach(token, JSON_AT(line, "tokens")) {
    const char *text = cJSON_GetStringValue(token);
    if (text == NULL) continue;
    size += strlen(text);
    if (size > LONGEST_TEXT) {
      html_raw(html, "\xe2\x80\xa6");
      return;
    }
    html_text(html, text);
  }
}

static void write_answer(const Report *report, size_t model, size_t set, size_t group, Html *html) {
  const cJSON *line = readings_line(report->readings, model, set, group, group);
  html_raw(html, "<td><bdi class=\"answer\">");
  if (line == NULL) html_raw(html, "<span class=\"none\">not kept</span>");
  write_answer_text(html, line);
  html_raw(html, "</bdi>");
  if (line != NULL) {
    html_raw(html, "<div class=\"interval\">H ");
    html_number(html, NUMBER_AT(line, "H"), 3, false);
    html_raw(html, " nats</div>");
  }
  html_raw(html, "</td>");
}

static void write_set(const Report *report, size_t set, const char *why, Html *html) {
  html_raw(html, "<div class=\"wide\"><table class=\"answers\"><caption>");
  html_format(html, "Set %zu, %s: gap ", set, why);
  html_number(html, readings_gap(report->readings, 0, set), 4, true);
  html_raw(html, " nats before, ");
  html_number(html, readings_gap(report->readings, 1, set), 4, true);
  html_raw(html,
           " after.</caption><thead><tr><th>prompt</th><th>before</th><th>after</th></tr></thead><tbody>\n");
  for (size_t g = 0; g < group_count(report); g++) {
    const char *prompt = TEXT_AT(readings_line(report->readings, 0, set, g, g), "prompt");
    html_raw(html, "<tr><th scope=\"row\"><bdi>");
    html_excerpt(html, prompt != NULL ? prompt : group_label(report, g));
    html_raw(html, "</bdi></th>");
    for (size_t m = 0; m < READING_MODELS; m++) write_answer(report, m, set, g, html);
    html_raw(html, "</tr>\n");
  }
  html_raw(html, "</tbody></table></div>\n");
}

// ---- which sets ----

typedef struct Ranked {
  size_t set;
  double size;
} Ranked;

static int by_size(const void *a, const void *b) {
  const Ranked *x = a, *y = b;
  if (x->size < y->size) return 1;
  if (x->size > y->size) return -1;
  return x->set < y->set ? -1 : x->set > y->set;
}

/// out[3] = the sets with the largest gap before, the middle one and the smallest. *count = how many there
/// are.
static Status choose_sets(const Readings *readings, size_t out[SETS_SHOWN], size_t *count) {
  Ranked *ranked = NULL;
  size_t n = 0;
  TRY(mem_array(&ranked, readings->sets, "sets"));
  for (size_t set = 0; set < readings->sets; set++) {
    double size = fabs(readings_gap(readings, 0, set));
    if (isfinite(size)) ranked[n++] = (Ranked){set, size};
  }
  qsort(ranked, n, sizeof *ranked, by_size);
  *count = size_min(n, SETS_SHOWN);
  for (size_t i = 0; i < *count; i++) out[i] = ranked[i * (n - 1) / (SETS_SHOWN - 1)].set;
  free(ranked);
  return STATUS_OK;
}

// ---- tokens ----

/// One answer with its entropies under the prompt of each group; `values` and `steps` are owned.
typedef struct TokenTable {
  const char *tokens[MOST_TOKENS];
  double *values; // [groups][MOST_TOKENS]
  double *steps;  // [MOST_TOKENS] 1, 2, 3 ...
  size_t count;
} TokenTable;

static Status read_tokens(const Report *report, size_t model, size_t set, TokenTable *out) {
  TRY(mem_array(&out->values, group_count(report) * MOST_TOKENS, "entropies"));
  TRY(mem_array(&out->steps, MOST_TOKENS, "entropies"));
  for (size_t g = 0; g < group_count(report); g++) {
    const cJSON *line = readings_line(report->readings, model, set, 0, g);
    const cJSON *tokens = JSON_AT(line, "tokens"), *entropies = JSON_AT(line, "entropy");
    const cJSON *token = tokens != NULL ? tokens->child : NULL,
                *entropy = entropies != NULL ? entropies->child : NULL;
    size_t count = 0;
    for (; token != NULL && entropy != NULL && count < MOST_TOKENS;
         token = token->next, entropy = entropy->next) {
      const char *text = cJSON_GetStringValue(token);
      out->tokens[count] = text != NULL ? text : "";
      out->values[g * MOST_TOKENS + count] = cJSON_IsNumber(entropy) ? entropy->valuedouble : NAN;
      out->steps[count] = (double)count + 1;
      count++;
    }
    if (g == 0 || count < out->count) out->count = count;
  }
  return STATUS_OK;
}

static Status draw_tokens(const Report *report, size_t model, size_t set, const TokenTable *table,
                          Picture **picture) {
  TokenReading readings[DATA_MAX_GROUPS];
  size_t groups = group_count(report);
  for (size_t g = 0; g < groups; g++)
    readings[g] = (TokenReading){group_label(report, g), table->values + g * MOST_TOKENS};
  Str note = {0};
  const char *prompt = TEXT_AT(readings_line(report->readings, model, set, 0, 0), "prompt");
  Status status = str_append_format(
      &note, "The answer to \xe2\x80\x9c%s\xe2\x80\x9d, read under the prompt of each group.",
      prompt != NULL ? prompt : "");
  TokenChart chart = {
      {model == 0 ? "Entropy of each token before training" : "Entropy of each token after training",
       str_text(&note), "nats; the stronger the shade, the less sure", NULL},
      table->tokens,
      table->count,
      readings,
      groups};
  if (status == STATUS_OK) status = plot_tokens(&chart, PICTURE_WIDTH, picture);
  str_free(&note);
  return status;
}

static Status draw_along(const Report *report, size_t model, const TokenTable *table, Picture **picture) {
  Series series[DATA_MAX_GROUPS];
  size_t groups = group_count(report);
  for (size_t g = 0; g < groups; g++)
    series[g] = (Series){
        group_label(report, g), table->steps, table->values + g * MOST_TOKENS, NULL, NULL, table->count};
  LineChart chart = {{model == 0 ? "Entropy along the answer, before" : "Entropy along the answer, after",
                      "Of the same answer, read under the prompt of each group.", "token", "entropy (nats)"},
                     series,
                     groups,
                     .whole_x = true,
                     .zero = true};
  return plot_lines(&chart, HALF_WIDTH, HALF_HEIGHT, picture);
}

/// Both pictures of one answer, before and after.
static void write_tokens(const Report *report, size_t set, Html *html) {
  for (size_t pass = 0; pass < 2; pass++) {
    if (pass == 1) html_raw(html, "<div class=\"grid\">\n");
    for (size_t m = 0; m < READING_MODELS; m++) {
      TokenTable table = {0};
      Picture *picture = NULL;
      Status status = read_tokens(report, m, set, &table);
      if (status == STATUS_OK)
        status = pass == 0 ? draw_tokens(report, m, set, &table, &picture)
                           : draw_along(report, m, &table, &picture);
      static const char *const names[2][READING_MODELS] = {{"tokens-before", "tokens-after"},
                                                           {"along-before", "along-after"}};
      html_picture(html, names[pass][m], status, &picture);
      free(table.values);
      free(table.steps);
    }
    if (pass == 1) html_raw(html, "</div>\n");
  }
}

void write_answers(const Report *report, Html *html) {
  static const char *const why[] = {"the largest gap before training", "the one in the middle",
                                    "the smallest gap"};
  size_t sets[SETS_SHOWN] = {0}, count = 0;
  html_heading(html, "answers", "8. Answers side by side");
  if (report->readings->sets == 0 || report->readings->models[0] == NULL) {
    html_missing(html, "the answers of the measurement (gee-cl gap --adapter RUN/final --items FILE).");
    return;
  }
  html_check(html, choose_sets(report->readings, sets, &count));
  html_raw(
      html,
      "<p>Chosen by a rule, not by hand: the sets with the largest, the middle and the smallest gap before "
      "training, and of each the first answer. Both models drew with the same random numbers.</p>\n");
  for (size_t i = 0; i < count && i < SETS_SHOWN; i++) write_set(report, sets[i], why[i], html);
  if (count > 0) write_tokens(report, sets[0], html);
}
