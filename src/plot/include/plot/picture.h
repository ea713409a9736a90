// A finished picture: shapes in a plane, written as SVG or PNG. The same picture gives the same bytes of SVG
// on any machine: no dates, no numbered ids, and texts are laid out by a table of widths, not by a font.
#pragma once

#include "util/str.h"

typedef struct Picture Picture;

typedef enum PlotTheme {
  PLOT_LIGHT,
  PLOT_DARK,
  PLOT_AUTO, // SVG: light or dark as the reader's screen is set, light on paper. PNG: light
  PLOT_PAGE, // SVG: the colours are those of the page that it stands in (plot_css). PNG: light
} PlotTheme;

/// Appends the picture as one <svg> element, which is a file of its own unless the theme is PLOT_PAGE.
STATUS_CHECKED Status picture_svg(const Picture *picture, PlotTheme theme, Str *out);
/// Appends the bytes of a PNG, with `scale` pixels to a unit (1/96 inch), from 0.1 to 8. GLib, which Pango
/// draws text with, ends the process if memory runs out inside it: draw before files are opened for writing.
STATUS_CHECKED Status picture_png(const Picture *picture, PlotTheme theme, double scale, Str *out);
/// Safe on NULL.
void picture_free(Picture *picture);

/// Appends the CSS of a page with PLOT_PAGE pictures: light, and dark where the screen is.
STATUS_CHECKED Status plot_css(Str *out);

/// Appends text as HTML and XML show it: < > & and quotes are escaped, control characters and what is not
/// UTF-8 become U+FFFD. `size` bytes.
STATUS_CHECKED Status markup_append(Str *out, const char *text, size_t size);
