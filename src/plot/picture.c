// The list of shapes. Rule: after the first failure nothing is added.
#include "picture.h"
#include "util/memory.h"
#include "util/utf8.h"

#include <stdlib.h>
#include <string.h>

Status picture_create(double width, double height, const char *title, Picture **out) {
  TRY(mem_array(out, 1, "a picture"));
  (*out)->width = width;
  (*out)->height = height;
  Status status = str_copy(&(*out)->title, title, strlen(title));
  if (status != STATUS_OK) {
    picture_free(*out);
    *out = NULL;
  }
  return status;
}

void picture_free(Picture *picture) {
  if (picture == NULL) return;
  for (size_t i = 0; i < picture->count; i++) {
    free(picture->shapes[i].text);
    free(picture->shapes[i].hint);
  }
  free(picture->shapes);
  free(picture->points);
  free(picture->title);
  free(picture);
}

Status picture_done(Picture **picture) {
  Status status = (*picture)->status;
  if (status == STATUS_OK) return STATUS_OK;
  picture_free(*picture);
  *picture = NULL;
  return status;
}

/// Characters that would not be seen but change how others are: controls, and marks that turn the direction
/// of text.
static bool is_hidden(uint32_t c) {
  return c < 0x20 || (c >= 0x7f && c < 0xa0) || (c >= 0x202a && c <= 0x202e) || (c >= 0x2066 && c <= 0x2069);
}

/// *out = a copy in one line and as valid UTF-8, which is what Pango takes; more than `most` characters end
/// with "…".
static Status copy_line(char **out, const char *text, size_t most) {
  Str line = {0};
  Status status = STATUS_OK;
  size_t at = 0, size = strlen(text);
  for (size_t i = 0; i < most && at < size && status == STATUS_OK; i++) {
    Utf8Char c = utf8_read(text + at, size - at);
    char bytes[4];
    status = str_append(&line, bytes, utf8_write(is_hidden(c.code) ? ' ' : c.code, bytes));
    at += c.size;
  }
  if (status == STATUS_OK && at < size) status = str_append_text(&line, "\xe2\x80\xa6");
  if (status == STATUS_OK) status = str_copy(out, str_text(&line), line.size);
  str_free(&line);
  return status;
}

/// Adds a shape with its points and text (NULL: none).
static Status add(Picture *picture, Shape shape, const Point *points, const char *text) {
  TRY(mem_reserve(&picture->shapes, &picture->capacity, picture->count + 1, "a picture"));
  TRY(mem_reserve(&picture->points, &picture->point_capacity, picture->point_count + shape.points,
                  "a picture"));
  if (text != NULL) TRY(copy_line(&shape.text, text, SIZE_MAX));
  shape.first = picture->point_count;
  memcpy(picture->points + shape.first, points, shape.points * sizeof *points);
  picture->point_count += shape.points;
  picture->shapes[picture->count++] = shape;
  return STATUS_OK;
}

static void draw(Picture *picture, Shape shape, const Point *points, const char *text) {
  if (picture->status == STATUS_OK) picture->status = add(picture, shape, points, text);
}

void draw_path(Picture *picture, const Point *points, size_t count, Paint paint) {
  if (count > 0) draw(picture, (Shape){.kind = SHAPE_PATH, .paint = paint, .points = count}, points, NULL);
}

void draw_area(Picture *picture, const Point *points, size_t count, Paint paint) {
  if (count > 0) draw(picture, (Shape){.kind = SHAPE_AREA, .paint = paint, .points = count}, points, NULL);
}

void draw_line(Picture *picture, Point from, Point to, Paint paint) {
  draw_path(picture, (Point[]){from, to}, 2, paint);
}

void draw_rectangle(Picture *picture, Point corner, double width, double height, Paint paint) {
  double right = corner.x + width, bottom = corner.y + height;
  draw_area(picture, (Point[]){corner, {right, corner.y}, {right, bottom}, {corner.x, bottom}}, 4, paint);
}

void draw_circle(Picture *picture, Point centre, double radius, Paint paint) {
  draw(picture, (Shape){.kind = SHAPE_CIRCLE, .paint = paint, .points = 1, .radius = radius}, &centre, NULL);
}

void draw_text(Picture *picture, Point at, const char *text, TextStyle style) {
  draw(picture, (Shape){.kind = SHAPE_TEXT, .points = 1, .style = style}, &at, text);
}

void draw_hint(Picture *picture, const char *hint) {
  enum { LONGEST = 120 };
  if (picture->status != STATUS_OK || picture->count == 0) return;
  char **place = &picture->shapes[picture->count - 1].hint;
  free(*place);
  *place = NULL;
  picture->status = copy_line(place, hint, LONGEST);
}
