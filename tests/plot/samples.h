// Charts of every kind, and of data that is hard to draw; the tests of plot draw them all. Each program that
// includes this has its own.
#pragma once

#include "plot/charts.h"

#include <math.h>

enum { STEPS = 60, SETS = 40, TOKENS = 28 };
static double steps[STEPS], first[STEPS], second[STEPS], low[STEPS], high[STEPS];

static Status draw_training(double width, Picture **out) {
  for (int i = 0; i < STEPS; i++) {
    steps[i] = i + 1;
    first[i] = 2.42 - 0.1 * (1 - exp(-i / 20.0)) + 0.03 * sin(i * 1.7);
    second[i] = 2.36 - 0.05 * (1 - exp(-i / 20.0)) + 0.03 * sin(i * 1.7 + 0.5);
    low[i] = first[i] - 0.03;
    high[i] = first[i] + 0.03;
  }
  Series series[] = {{"male, with its 95 % interval", steps, first, low, high, STEPS},
                     {"female", steps, second, NULL, NULL, STEPS}};
  LineChart chart = {{"Mean entropy of each group while training",
                      "Each point is the mean over a step's answers.", "step", "entropy (nats)"},
                     series,
                     2,
                     .whole_x = true};
  return plot_lines(&chart, width, 300, out);
}

static Status draw_six(double width, Picture **out) {
  static double values[7][STEPS];
  static const char *const names[] = {
      "asian",
      "black",
      "hispanic",
      "white",
      "middle eastern",
      "pacific islander",
      "a seventh group with a very long name that has to be shortened somewhere"};
  Series series[7];
  for (int s = 0; s < 7; s++) {
    for (int i = 0; i < STEPS; i++) {
      steps[i] = i;
      values[s][i] = s * 0.4 + sin(i / 6.0 + s);
    }
    series[s] = (Series){names[s], steps, values[s], NULL, NULL, STEPS};
  }
  LineChart chart = {
      {"Seven lines", NULL, "step", "entropy gap (nats)"}, series, 7, .whole_x = true, .zero = true};
  return plot_lines(&chart, width, 320, out);
}

static Status draw_before_after(double width, Picture **out) {
  static const char *const series[] = {"before", "after"};
  static const Estimate rows[][2] = {{{0.0397, 0.0300, 0.0493}, {0.0066, -0.0028, 0.0160}},
                                     {{0.0965, -0.0035, 0.1965}, {0.0331, -0.0511, 0.1172}},
                                     {{0.05, NAN, NAN}, {NAN, NAN, NAN}}};
  EstimateRow list[] = {
      {"Paired gap", rows[0]},
      {"Total gap, each group's own answers", rows[1]},
      {"Without an interval; \xe6\x80\xa7\xe5\x88\xab, \xd8\xb0\xd9\x83\xd8\xb1 and \xe0\xa4\xb2\xe0"
       "\xa4\xbf\xe0\xa4\x82\xe0\xa4\x97",
       rows[2]}};
  EstimateChart chart = {.text = {"Entropy gap before and after training",
                                  "Male \xe2\x88\x92 female, on prompts that were not trained on, with 95 % "
                                  "intervals.",
                                  "gap (nats)", NULL},
                         .series = series,
                         .series_count = 2,
                         .rows = list,
                         .count = 3,
                         .zero = true,
                         .decimals = 4,
                         .plus = true};
  return plot_estimates(&chart, width, out);
}

static Status draw_bars(double width, Picture **out) {
  static const char *const series[] = {"SmolLM2-135M-Instruct", "after ten steps of GEE"};
  static const Estimate rows[][2] = {{{0.6113, 0.586, 0.636}, {0.602, 0.577, 0.627}},
                                     {{0.402, 0.35, 0.45}, {0.41, 0.36, 0.46}},
                                     {{0.79, 0.72, 0.86}, {0.84, 0.77, 0.9}}};
  static const double marks[] = {0.8};
  EstimateRow list[] = {{"crows_pairs: likelihood of the stereotype", rows[0]},
                        {"bbq: accuracy, ambiguous", rows[1]},
                        {"discrim_eval: selection ratio, age", rows[2]}};
  EstimateChart chart = {.text = {"Benchmarks", "Dashed: four fifths.", "share", NULL},
                         .series = series,
                         .series_count = 2,
                         .rows = list,
                         .count = 3,
                         .marks = marks,
                         .mark_count = 1,
                         .bars = true,
                         .decimals = 3};
  return plot_estimates(&chart, width, out);
}

static Status draw_sets(double width, Picture **out) {
  static PairPoint points[SETS];
  for (int i = 0; i < SETS; i++)
    points[i] = (PairPoint){"He works as a pilot.", 0.04 + 0.03 * sin(i * 2.3), 0.006 + 0.028 * sin(i * 3.1)};
  points[3].before = NAN;
  PairChart chart = {
      {"Paired gap of each set, before and after", "A line is one set of prompts.", NULL, "gap (nats)"},
      "before",
      "after ten steps",
      points,
      SETS,
      {0.0397, 0.03, 0.0493},
      {0.0066, -0.0028, 0.016},
      4};
  return plot_pairs(&chart, width, 360, out);
}

static const char *const words[TOKENS] = {"As",
                                          " an",
                                          " experienced",
                                          " pilot",
                                          ",",
                                          " my",
                                          " day",
                                          " begins",
                                          " at",
                                          " \xe6\x97\xa9\xe4\xb8\x8a",
                                          " 5",
                                          ":",
                                          "30",
                                          "\n",
                                          "\n",
                                          "I",
                                          " check",
                                          " the",
                                          " weather",
                                          ",",
                                          " the",
                                          " plane_of_a_name_that_is_far_too_long_to_be_shown",
                                          " and",
                                          " then",
                                          " the",
                                          " <script>",
                                          " & crew",
                                          "."};

static Status draw_answer(double width, Picture **out) {
  static double his[TOKENS], hers[TOKENS];
  for (int i = 0; i < TOKENS; i++) {
    his[i] = fabs(3 * sin(i * 1.3)) + 0.2;
    hers[i] = his[i] + 0.3 * sin(i * 0.7);
    if (hers[i] < 0) hers[i] = 0;
  }
  hers[5] = NAN;
  TokenReading readings[] = {{"He \xe2\x80\xa6", his}, {"She \xe2\x80\xa6", hers}};
  TokenChart chart = {
      {"How unsure the model is of each token",
       "The same answer, read after \xe2\x80\x9cHe works as a pilot.\xe2\x80\x9d and after \xe2\x80\x9c"
       "She works as a pilot.\xe2\x80\x9d",
       "nats; the stronger the shade, the less sure", NULL},
      words,
      TOKENS,
      readings,
      2};
  return plot_tokens(&chart, width, out);
}

static Status draw_numbers(double width, const double *values, size_t count, Picture **out) {
  static const double x[] = {-2, -1, 0, 1, 2, 3, 4, 5};
  Series series = {"values", x, values, NULL, NULL, count};
  LineChart chart = {{"Numbers that are hard to draw", NULL, "x", "y"}, &series, 1, false, false};
  return plot_lines(&chart, width, 260, out);
}

static Status draw_nothing(double width, Picture **out) {
  return draw_numbers(width, NULL, 0, out);
}

static Status draw_one(double width, Picture **out) {
  static const double values[] = {2.5};
  return draw_numbers(width, values, 1, out);
}

static Status draw_holes(double width, Picture **out) {
  static const double values[] = {NAN, 1, 2, NAN, 3, INFINITY, 2, 1};
  return draw_numbers(width, values, 8, out);
}

static Status draw_huge(double width, Picture **out) {
  static const double values[] = {-3e9, 1.5e9, 2e9, 4e200, -1e9, 0, 1, -1};
  return draw_numbers(width, values, 8, out);
}

static Status draw_tiny(double width, Picture **out) {
  static const double values[] = {-3e-9, 1.5e-9, 2e-9, 1e-9, -1e-9, 0, 1e-10, -1e-10};
  return draw_numbers(width, values, 8, out);
}

static Status draw_constant(double width, Picture **out) {
  static const double values[] = {7e5, 7e5, 7e5, 7e5, 7e5, 7e5, 7e5, 7e5};
  return draw_numbers(width, values, 8, out);
}

static Status draw_no_rows(double width, Picture **out) {
  EstimateChart chart = {.text = {"An empty table", NULL, "nats", NULL}, .series_count = 1};
  return plot_estimates(&chart, width, out);
}

static Status draw_no_pairs(double width, Picture **out) {
  PairChart chart = {
      {"No sets", NULL, NULL, "nats"}, "before", "after", NULL, 0, {NAN, NAN, NAN}, {NAN, NAN, NAN}, 4};
  return plot_pairs(&chart, width, 300, out);
}

static Status draw_no_tokens(double width, Picture **out) {
  TokenChart chart = {{"No tokens", NULL, "nats", NULL}, NULL, 0, NULL, 0};
  return plot_tokens(&chart, width, out);
}

static Status draw_hostile(double width, Picture **out) {
  static const Estimate one = {1, -1e300, NAN};
  EstimateRow row = {"<script>alert(\"x\")</script>\x01\xff & 'quotes' \xe2\x80\xae"
                     "aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa"
                     "aaaaaaaaaaaaaaa",
                     &one};
  EstimateChart chart = {.text = {"]]></style><script>\n\ttitle", "", "<x>", NULL},
                         .series_count = 1,
                         .rows = &row,
                         .count = 1,
                         .decimals = 2};
  return plot_estimates(&chart, width, out);
}

static const struct Sample {
  const char *name;
  Status (*draw)(double width, Picture **out);
} SAMPLES[] = {{"training", draw_training}, {"six", draw_six},           {"before_after", draw_before_after},
               {"bars", draw_bars},         {"sets", draw_sets},         {"answer", draw_answer},
               {"nothing", draw_nothing},   {"one", draw_one},           {"holes", draw_holes},
               {"huge", draw_huge},         {"tiny", draw_tiny},         {"constant", draw_constant},
               {"no_rows", draw_no_rows},   {"no_pairs", draw_no_pairs}, {"no_tokens", draw_no_tokens},
               {"hostile", draw_hostile}};
enum { SAMPLE_COUNT = sizeof SAMPLES / sizeof *SAMPLES };
