// PNG by Cairo, with text by Pango, which finds a font for every script and shapes it. Rule: every object is
// made and freed here; no state is left in the process.
#include "theme.h"

#include <cairo.h>
#include <pango/pangocairo.h>
#include <string.h>

enum { LARGEST_SIDE = 16384 };

typedef struct Canvas {
  cairo_t *cairo;
  PangoLayout *layout;
  bool dark;
} Canvas;

static void set_colour(const Canvas *canvas, Role role, double opacity) {
  unsigned colour = theme_colour(role, canvas->dark);
  cairo_set_source_rgba(canvas->cairo, (colour >> 16) / 255.0, (colour >> 8 & 255) / 255.0,
                        (colour & 255) / 255.0, opacity);
}

static void paint(const Canvas *canvas, const Paint *how) {
  if (how->fill != ROLE_NONE) {
    set_colour(canvas, how->fill, theme_opacity(*how));
    cairo_fill_preserve(canvas->cairo);
  }
  if (how->line != ROLE_NONE) {
    size_t dashes = 0;
    const double *lengths = theme_dash_lengths(how->dash, &dashes);
    set_colour(canvas, how->line, 1);
    cairo_set_dash(canvas->cairo, lengths, (int)dashes, 0);
    cairo_set_line_width(canvas->cairo, how->width);
    cairo_stroke_preserve(canvas->cairo);
  }
  cairo_new_path(canvas->cairo);
}

static void set_font(const Canvas *canvas, const TextStyle *style) {
  PangoFontDescription *font = pango_font_description_new();
  pango_font_description_set_family(font, style->mono ? "monospace" : "sans-serif");
  pango_font_description_set_absolute_size(font, style->size * PANGO_SCALE);
  pango_font_description_set_weight(font, style->bold ? PANGO_WEIGHT_SEMIBOLD : PANGO_WEIGHT_NORMAL);
  pango_layout_set_font_description(canvas->layout, font);
  pango_font_description_free(font);
}

static void draw_words(const Canvas *canvas, const Shape *shape, Point at) {
  int width = 0, height = 0;
  set_font(canvas, &shape->style);
  pango_layout_set_text(canvas->layout, shape->text, -1);
  pango_layout_get_size(canvas->layout, &width, &height);
  double left = at.x - width / (double)PANGO_SCALE * (0.5 * (double)shape->style.anchor);
  double top = at.y - pango_layout_get_baseline(canvas->layout) / (double)PANGO_SCALE;
  set_colour(canvas, shape->style.role, 1);
  cairo_move_to(canvas->cairo, left, top);
  pango_cairo_show_layout(canvas->cairo, canvas->layout);
  cairo_new_path(canvas->cairo);
}

static void draw_shape(const Canvas *canvas, const Picture *picture, const Shape *shape) {
  const Point *points = picture->points + shape->first;
  if (shape->kind == SHAPE_TEXT) {
    draw_words(canvas, shape, *points);
    return;
  }
  if (shape->kind == SHAPE_CIRCLE) {
    cairo_arc(canvas->cairo, points->x, points->y, shape->radius, 0, 2 * 3.14159265358979323846);
    cairo_close_path(canvas->cairo);
  } else {
    for (size_t i = 0; i < shape->points; i++) cairo_line_to(canvas->cairo, points[i].x, points[i].y);
    if (shape->kind == SHAPE_AREA) cairo_close_path(canvas->cairo);
  }
  paint(canvas, &shape->paint);
}

static void draw_all(const Canvas *canvas, const Picture *picture) {
  set_colour(canvas, ROLE_PAPER, 1);
  cairo_paint(canvas->cairo);
  cairo_set_line_join(canvas->cairo, CAIRO_LINE_JOIN_ROUND);
  pango_layout_set_single_paragraph_mode(canvas->layout, TRUE);
  for (size_t i = 0; i < picture->count; i++) draw_shape(canvas, picture, &picture->shapes[i]);
}

typedef struct Output {
  Str *out;
  Status status;
} Output;

static cairo_status_t append_bytes(void *closure, const unsigned char *bytes, unsigned int size) {
  Output *output = closure;
  output->status = str_append(output->out, (const char *)bytes, size);
  return output->status == STATUS_OK ? CAIRO_STATUS_SUCCESS : CAIRO_STATUS_WRITE_ERROR;
}

static Status fail_cairo(cairo_status_t fault) {
  return status_fail(STATUS_FAILED, "a PNG cannot be drawn: %s", cairo_status_to_string(fault));
}

static Status write_png(cairo_t *cairo, cairo_surface_t *surface, Str *out) {
  cairo_status_t fault = cairo_status(cairo);
  Output output = {out, STATUS_OK};
  if (fault == CAIRO_STATUS_SUCCESS)
    fault = cairo_surface_write_to_png_stream(surface, append_bytes, &output);
  TRY(output.status);
  return fault == CAIRO_STATUS_SUCCESS ? STATUS_OK : fail_cairo(fault);
}

Status picture_png(const Picture *picture, PlotTheme theme, double scale, Str *out) {
  double width = picture->width * scale, height = picture->height * scale;
  if (!(scale >= 0.1 && scale <= 8) || width > LARGEST_SIDE || height > LARGEST_SIDE)
    return status_fail(STATUS_INPUT,
                       "a PNG of %.0f times %.0f pixels is too large or too small; the limit is %d", width,
                       height, LARGEST_SIDE);
  Status status = STATUS_OK;
  cairo_surface_t *surface =
      cairo_image_surface_create(CAIRO_FORMAT_RGB24, (int)(width + 0.5), (int)(height + 0.5));
  cairo_t *cairo = cairo_create(surface);
  PangoFontMap *fonts = NULL;
  PangoContext *context = NULL;
  if (cairo_status(cairo) != CAIRO_STATUS_SUCCESS) {
    status = fail_cairo(cairo_status(cairo));
    goto cleanup;
  }
  cairo_scale(cairo, scale, scale);
  fonts = pango_cairo_font_map_new();
  context = pango_font_map_create_context(fonts);
  pango_cairo_update_context(cairo, context);
  Canvas canvas = {cairo, pango_layout_new(context), theme == PLOT_DARK};
  draw_all(&canvas, picture);
  g_object_unref(canvas.layout);
  TRY_CLEAN(write_png(cairo, surface, out));
cleanup:
  if (context != NULL) g_object_unref(context);
  if (fonts != NULL) g_object_unref(fonts);
  cairo_destroy(cairo);
  cairo_surface_destroy(surface);
  return status;
}
