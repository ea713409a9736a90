// Drawing a picture. Like io's JSON writer, a picture remembers its first failure and then draws no more, so
// that only picture_done is checked. Units are 1/96 inch, y points down.
#pragma once

#include "plot/picture.h"

enum { SERIES_COLOURS = 6 };

/// What a colour is for; theme.c has the colours.
typedef enum Role {
  ROLE_NONE,
  ROLE_PAPER,
  ROLE_INK,  // titles, axes
  ROLE_SOFT, // labels
  ROLE_GRID,
  ROLE_SERIES, // + 0 … SERIES_COLOURS − 1
  ROLES = ROLE_SERIES + SERIES_COLOURS
} Role;

typedef struct Point {
  double x, y;
} Point;

typedef enum Dash { DASH_SOLID, DASH_LONG, DASH_DOTS, DASH_MIXED, DASHES } Dash;

/// How a shape is drawn; ROLE_NONE draws nothing.
typedef struct Paint {
  Role fill, line;
  double width;   // of the line
  double opacity; // of the fill, 0 to 1; 0 stands for 1
  Dash dash;
} Paint;

typedef enum Anchor { ANCHOR_START, ANCHOR_MIDDLE, ANCHOR_END } Anchor;

typedef struct TextStyle {
  double size; // of the font
  Role role;
  Anchor anchor;
  bool bold, mono;
} TextStyle;

typedef enum ShapeKind { SHAPE_PATH, SHAPE_AREA, SHAPE_CIRCLE, SHAPE_TEXT } ShapeKind;

typedef struct Shape {
  ShapeKind kind;
  Paint paint;
  size_t first, points; // of Picture.points
  double radius;
  char *text; // owned
  TextStyle style;
  char *hint; // shown when pointed at; owned; may be NULL
} Shape;

struct Picture {
  double width, height;
  char *title; // owned
  Shape *shapes;
  size_t count, capacity;
  Point *points;
  size_t point_count, point_capacity;
  Status status; // the first failure
};

/// `title` is what the picture is called where it cannot be seen; it is not drawn.
STATUS_CHECKED Status picture_create(double width, double height, const char *title, Picture **out);
/// The first failure of drawing; on failure frees the picture and sets *picture to NULL.
STATUS_CHECKED Status picture_done(Picture **picture);

void draw_path(Picture *picture, const Point *points, size_t count, Paint paint);
/// A closed path.
void draw_area(Picture *picture, const Point *points, size_t count, Paint paint);
void draw_line(Picture *picture, Point from, Point to, Paint paint);
void draw_rectangle(Picture *picture, Point corner, double width, double height, Paint paint);
void draw_circle(Picture *picture, Point centre, double radius, Paint paint);
/// `at` is on the baseline.
void draw_text(Picture *picture, Point at, const char *text, TextStyle style);
/// What a reader sees when pointing at the shape drawn last; at most 120 characters of it.
void draw_hint(Picture *picture, const char *hint);
