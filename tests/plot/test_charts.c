// Charts as shapes and as files: the same data gives the same bytes, no text overlaps another or leaves the
// page, and whatever the data is, every coordinate is a number. GEE_PICTURES=FOLDER writes every picture
// there, to be looked at; the SVGs among them are what golden/ has.
#include "picture.h"
#include "samples.h"
#include "support/process.h"
#include "typeset.h"
#include "util/utf8.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static const double WIDTHS[] = {300, 480, 720, 1100};

static Picture *drawn(const struct Sample *sample, double width) {
  Picture *picture = NULL;
  assert_ok(sample->draw(width, &picture));
  return picture;
}

static const struct Sample *find(const char *name) {
  for (size_t i = 0; i < SAMPLE_COUNT; i++) {
    if (strcmp(SAMPLES[i].name, name) == 0) return &SAMPLES[i];
  }
  fail_msg("no sample %s", name);
  return NULL;
}

// ---- what holds of every picture ----

/// The space that a text takes, by the table of widths.
static void text_box(const Picture *picture, const Shape *shape, double *left, double *right, double *top,
                     double *bottom) {
  Point at = picture->points[shape->first];
  double width = typeset_width(shape->text, shape->style);
  *left = at.x - width * 0.5 * (double)shape->style.anchor;
  *right = *left + width;
  *top = at.y - shape->style.size * 0.75;
  *bottom = at.y + shape->style.size * 0.2;
}

static void assert_apart(const char *name, const Picture *picture, const Shape *a, const Shape *b) {
  double l1, r1, t1, b1, l2, r2, t2, b2;
  text_box(picture, a, &l1, &r1, &t1, &b1);
  text_box(picture, b, &l2, &r2, &t2, &b2);
  if (l1 < r2 && l2 < r1 && t1 < b2 && t2 < b1)
    fail_msg("%s, %.0f wide: \"%s\" lies over \"%s\"", name, picture->width, a->text, b->text);
}

static void assert_on_page(const char *name, const Picture *picture, const Shape *shape) {
  for (size_t i = 0; i < shape->points; i++) {
    Point at = picture->points[shape->first + i];
    if (!(at.x >= 0 && at.x <= picture->width && at.y >= 0 && at.y <= picture->height))
      fail_msg("%s, %.0f wide: a point at %g, %g", name, picture->width, at.x, at.y);
  }
  if (shape->kind != SHAPE_TEXT) return;
  double left, right, top, bottom;
  text_box(picture, shape, &left, &right, &top, &bottom);
  if (!(left >= 0 && right <= picture->width && top >= 0 && bottom <= picture->height))
    fail_msg("%s, %.0f wide: \"%s\" leaves the page", name, picture->width, shape->text);
}

static void texts_are_apart_and_on_the_page(void **state) {
  (void)state;
  for (size_t i = 0; i < SAMPLE_COUNT; i++) {
    for (size_t w = 0; w < sizeof WIDTHS / sizeof *WIDTHS; w++) {
      Picture *picture = drawn(&SAMPLES[i], WIDTHS[w]);
      for (size_t a = 0; a < picture->count; a++) {
        assert_on_page(SAMPLES[i].name, picture, &picture->shapes[a]);
        for (size_t b = 0; b < a && picture->shapes[a].kind == SHAPE_TEXT; b++) {
          if (picture->shapes[b].kind == SHAPE_TEXT)
            assert_apart(SAMPLES[i].name, picture, &picture->shapes[a], &picture->shapes[b]);
        }
      }
      picture_free(picture);
    }
  }
}

/// No chart is drawn narrower than its texts can be placed.
static void narrow_is_wider(void **state) {
  static const double widths[] = {-5, 0, 10, NAN};
  (void)state;
  for (size_t w = 0; w < 4; w++) {
    Picture *picture = drawn(find("training"), widths[w]);
    assert_true(picture->width > 239 && picture->width < 241);
    picture_free(picture);
  }
}

// ---- SVG ----

static Str svg_of(const char *name, double width, PlotTheme theme) {
  Picture *picture = drawn(find(name), width);
  Str svg = {0};
  assert_ok(picture_svg(picture, theme, &svg));
  picture_free(picture);
  return svg;
}

static void the_same_bytes(void **state) {
  static const char *const names[] = {"before_after", "bars", "holes"};
  (void)state;
  for (size_t i = 0; i < 3; i++) {
    char path[256];
    (void)snprintf(path, sizeof path, GEE_SOURCE_DIR "/tests/plot/golden/%s_480.svg", names[i]);
    Str svg = svg_of(names[i], 480, PLOT_AUTO), again = svg_of(names[i], 480, PLOT_AUTO);
    char *golden = read_file(path, NULL);
    assert_string_equal(str_text(&svg), golden);
    assert_string_equal(str_text(&again), golden);
    free(golden);
    str_free(&svg);
    str_free(&again);
  }
}

static void hostile_text_is_escaped(void **state) {
  (void)state;
  Str svg = svg_of("hostile", 480, PLOT_LIGHT);
  assert_false(test_contains(str_text(&svg), "<script"));
  assert_true(test_contains(str_text(&svg), "&lt;script&gt;"));
  assert_null(strstr(str_text(&svg), "\x01"));
  assert_null(strstr(str_text(&svg), "\xe2\x80\xae")); // would turn what follows around
  assert_int_equal(utf8_valid_prefix(svg.data, svg.size), svg.size);
  str_free(&svg);
}

static void themes(void **state) {
  (void)state;
  Str light = svg_of("one", 300, PLOT_LIGHT), dark = svg_of("one", 300, PLOT_DARK);
  Str both = svg_of("one", 300, PLOT_AUTO), page = svg_of("one", 300, PLOT_PAGE), css = {0};
  assert_ok(plot_css(&css));
  assert_true(test_contains(str_text(&light), "#0072b2") && !test_contains(str_text(&light), "#56b4e9"));
  assert_true(test_contains(str_text(&dark), "#56b4e9") && !test_contains(str_text(&dark), "#0072b2"));
  assert_true(test_contains(str_text(&both), "screen and (prefers-color-scheme:dark)"));
  assert_false(test_contains(str_text(&page), "<style") || test_contains(str_text(&page), "id=\""));
  assert_true(test_contains(str_text(&css), "#0072b2") && test_contains(str_text(&css), "#56b4e9"));
  str_free(&light);
  str_free(&dark);
  str_free(&both);
  str_free(&page);
  str_free(&css);
}

static void markup(void **state) {
  static const char text[] = "a<b>&\"c\"'\0\x1b\x7f\xc2\x85\xff\xef\xbf\xbf\n\t\xc3\xa4";
  Str out = {0};
  (void)state;
  assert_ok(markup_append(&out, text, sizeof text - 1));
  assert_string_equal(str_text(&out),
                      "a&lt;b&gt;&amp;&quot;c&quot;&#39;\xef\xbf\xbd\xef\xbf\xbd\xef\xbf\xbd\xef\xbf"
                      "\xbd\xef\xbf\xbd\xef\xbf\xbd\n\t\xc3\xa4");
  str_free(&out);
}

// ---- PNG ----

static unsigned big_endian(const char *bytes) {
  const unsigned char *b = (const unsigned char *)bytes;
  return (unsigned)b[0] << 24 | (unsigned)b[1] << 16 | (unsigned)b[2] << 8 | b[3];
}

static void png(void **state) {
  (void)state;
  Picture *picture = drawn(find("before_after"), 480);
  Str bytes = {0};
  assert_ok(picture_png(picture, PLOT_DARK, 2, &bytes));
  assert_memory_equal(bytes.data, "\x89PNG\r\n\x1a\n", 8);
  assert_int_equal(big_endian(bytes.data + 16), 960);
  assert_int_equal(big_endian(bytes.data + 20), (unsigned)(2 * picture->height + 0.5));
  static const double scales[] = {0, -1, 9, NAN, INFINITY};
  for (size_t i = 0; i < 5; i++)
    assert_fails(picture_png(picture, PLOT_LIGHT, scales[i], &bytes), STATUS_INPUT, "too large or");
  picture->height = 1e9;
  assert_fails(picture_png(picture, PLOT_LIGHT, 1, &bytes), STATUS_INPUT, "the limit is");
  str_free(&bytes);
  picture_free(picture);
}

// ---- looking at them ----

static void write_png(const char *folder, const struct Sample *sample, const Picture *picture,
                      PlotTheme theme) {
  Str bytes = {0};
  char name[128];
  assert_ok(picture_png(picture, theme, 1, &bytes));
  (void)snprintf(name, sizeof name, "%s_%.0f_%s.png", sample->name, picture->width,
                 theme == PLOT_DARK ? "dark" : "light");
  write_file(in_folder(folder, name), bytes.data, bytes.size);
  str_free(&bytes);
}

static void write_svg(const char *folder, const struct Sample *sample, const Picture *picture) {
  Str bytes = {0};
  char name[128];
  assert_ok(picture_svg(picture, PLOT_AUTO, &bytes));
  (void)snprintf(name, sizeof name, "%s_%.0f.svg", sample->name, picture->width);
  write_file(in_folder(folder, name), bytes.data, bytes.size);
  str_free(&bytes);
}

static void pictures_to_look_at(void **state) {
  const char *folder = getenv("GEE_PICTURES");
  (void)state;
  for (size_t i = 0; folder != NULL && i < SAMPLE_COUNT; i++) {
    for (size_t w = 0; w < sizeof WIDTHS / sizeof *WIDTHS; w++) {
      Picture *picture = drawn(&SAMPLES[i], WIDTHS[w]);
      write_png(folder, &SAMPLES[i], picture, PLOT_LIGHT);
      write_png(folder, &SAMPLES[i], picture, PLOT_DARK);
      write_svg(folder, &SAMPLES[i], picture);
      picture_free(picture);
    }
  }
}

int main(void) {
  const struct CMUnitTest tests[] = {
      cmocka_unit_test(pictures_to_look_at),
      cmocka_unit_test(texts_are_apart_and_on_the_page),
      cmocka_unit_test(narrow_is_wider),
      cmocka_unit_test(the_same_bytes),
      cmocka_unit_test(hostile_text_is_escaped),
      cmocka_unit_test(themes),
      cmocka_unit_test(markup),
      cmocka_unit_test(png),
  };
  return cmocka_run_group_tests(tests, NULL, NULL);
}
