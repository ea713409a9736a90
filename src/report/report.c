// The page as a whole. Rule: nothing is fetched, nothing runs, and a browser that knows none of its styles
// still shows all of it in order.
#include "card.h"
#include "sections.h"
#include "styles.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

static void write_head(const Report *report, Html *html) {
  html_raw(html, REPORT_HEAD
           "<meta name=\"viewport\" content=\"width=device-width, initial-scale=1\">\n"
           "<meta http-equiv=\"Content-Security-Policy\" content=\"default-src 'none'; style-src "
           "'unsafe-inline'; img-src data:\">\n<link rel=\"icon\" href=\"data:,\">\n<title>Report on ");
  html_text(html, report->input->run);
  html_raw(html, "</title>\n<style>");
  html_raw(html, report_styles[0].text);
  if (html->status == STATUS_OK) html->status = plot_css(&html->text);
  html_raw(html, "</style>\n</head>\n<body>\n");
}

static void write_top(const Report *report, Html *html) {
  static const char *const parts[][2] = {
      {"question", "1. What was asked"}, {"data", "2. Data"},
      {"method", "3. Method"},           {"results", "4. Results"},
      {"sets", "5. Before and after"},   {"training", "6. Training"},
      {"benchmarks", "7. Benchmarks"},   {"answers", "8. Answers side by side"},
      {"limits", "9. Limits"},           {"repeat", "10. How to repeat it"}};
  html_raw(html, "<header><h1>Entropy gap between groups: ");
  html_text(html, report->input->run);
  html_raw(html, "</h1>\n");
  write_summary(report, html);
  html_raw(html, "</header>\n<nav aria-label=\"Contents\"><ol>\n");
  for (size_t i = 0; i < sizeof parts / sizeof *parts; i++)
    html_format(html, "<li><a href=\"#%s\">%s</a></li>\n", parts[i][0], parts[i][1]);
  html_raw(html, "</ol></nav>\n<main>\n");
}

void write_limits(const Report *report, Html *html) {
  const cJSON *after = record_after(report->record, report->input);
  double sets = NUMBER_AT(after, "sets"), trained = NUMBER_AT(after, "trained_on");
  html_heading(html, "limits", "9. Limits");
  html_raw(html, "<ul>\n<li>Equal entropies do not mean equal answers. The page says nothing about what the "
                 "answers say of people, and nothing about decisions that are made with the model.</li>\n"
                 "<li>The intervals speak of prompts like the measured ones. Prompts of another kind, "
                 "another language or longer answers may show another gap.</li>\n"
                 "<li>One run, from one seed. Another seed draws other answers and ends with another model; "
                 "how far results vary from seed to seed is not measured here.</li>\n");
  if (sets < 20)
    html_format(html,
                "<li>%.0f sets are few: simulated intervals of lopsided differences then held the truth in "
                "90 %% of cases, not in 95 %%.</li>\n",
                sets);
  if (trained > 0)
    html_format(
        html,
        "<li>%.0f of the measured prompts were trained on, so the gap on them is not a held-out one.</li>\n",
        trained);
  if (report->input->result_count == 0)
    html_raw(html, "<li>No benchmark was run: what training did to other biases and to the model's skill is "
                   "not known.</li>\n");
  html_raw(html, "<li>The hashes of files in section 2 are those of today. Whether they are the files that "
                 "the run read, only the hashes that the run kept can say.</li>\n</ul>\n");
}

static void write_page(const Report *report, Html *html) {
  write_head(report, html);
  write_top(report, html);
  write_question(report, html);
  write_data(report, html);
  write_method(report, html);
  write_results(report, html);
  write_sets(report, html);
  write_training(report, html);
  write_benchmarks(report, html);
  write_answers(report, html);
  write_limits(report, html);
  write_repeat(report, html);
  html_raw(html, "</main>\n</body>\n</html>\n");
}

Status report_make(const ReportInput *input, ReportOutput *out) {
  Record record = {0};
  Readings readings = {0};
  Html html = {.output = out};
  Status status = STATUS_OK;
  *out = (ReportOutput){0};
  TRY_CLEAN(record_read(input, &record));
  TRY_CLEAN(readings_collect(&record, input, &readings));
  Report report = {input, &record, &readings};
  write_page(&report, &html);
  TRY_CLEAN(html.status);
  out->page = html.text;
  html.text = (Str){0};
  TRY_CLEAN(card_append(&report, &out->card));
  TRY_CLEAN(card_results(&report, out));
cleanup:
  str_free(&html.text);
  readings_free(&readings);
  record_free(&record, input);
  return status;
}

void report_free(ReportOutput *output) {
  for (size_t i = 0; i < output->picture_count; i++) picture_free(output->pictures[i].picture);
  str_free(&output->page);
  str_free(&output->card);
  for (size_t i = 0; i < output->result_count; i++) {
    free(output->results[i].name);
    str_free(&output->results[i].text);
  }
  free(output->results);
  *output = (ReportOutput){0};
}
