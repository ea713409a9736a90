// The colours of each role, and the fonts.
#pragma once

#include "picture.h"

/// 0xRRGGBB.
unsigned theme_colour(Role role, bool dark);
/// The name of a role in class names: "i", "0".
const char *theme_class(Role role);
/// The dash pattern, "6 4"; "" for a solid line.
const char *theme_dash(Dash dash);
/// The lengths of a dash pattern; *count = 0 for a solid line.
const double *theme_dash_lengths(Dash dash, size_t *count);
/// The opacity that the fill is drawn with.
double theme_opacity(Paint paint);
/// Appends the rules of a theme, for all <svg class="plot">.
STATUS_CHECKED Status theme_css(PlotTheme theme, Str *out);

#define FONT_TEXT "-apple-system, \"Segoe UI\", Roboto, \"Noto Sans\", Arial, \"DejaVu Sans\", sans-serif"
#define FONT_MONO "ui-monospace, \"SF Mono\", Menlo, Consolas, \"DejaVu Sans Mono\", monospace"
