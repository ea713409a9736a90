// Colours after M. Okabe and K. Ito, "Color Universal Design" (2008), which people with any kind of colour
// vision tell apart; on dark paper some are lighter, so that all are seen. Rule: nothing is told by colour
// alone: series also differ in dash and marker.
#include "theme.h"

static const struct {
  const char *name;
  unsigned light, dark;
} ROLES_TABLE[ROLES] = {
    [ROLE_NONE] = {"n", 0, 0},
    [ROLE_PAPER] = {"p", 0xffffff, 0x15181d},
    [ROLE_INK] = {"i", 0x1b1f24, 0xe8eaed},
    [ROLE_SOFT] = {"s", 0x57606a, 0xa3abb5},
    [ROLE_GRID] = {"g", 0xdfe3e8, 0x343a43},
    [ROLE_SERIES] = {"0", 0x0072b2, 0x56b4e9},     // blue
    [ROLE_SERIES + 1] = {"1", 0xd55e00, 0xf08a3c}, // vermilion
    [ROLE_SERIES + 2] = {"2", 0x009e73, 0x2fc39a}, // bluish green
    [ROLE_SERIES + 3] = {"3", 0xb8578f, 0xe39cc4}, // reddish purple
    [ROLE_SERIES + 4] = {"4", 0xb27b00, 0xf0e442}, // orange, on dark paper yellow
    [ROLE_SERIES + 5] = {"5", 0x3d8fc7, 0xa9b4ff}, // sky blue
};

static const struct {
  const char *text;
  double lengths[6];
  size_t count;
} DASH_TABLE[DASHES] = {
    [DASH_SOLID] = {"", {0}, 0},
    [DASH_LONG] = {"7 4", {7, 4}, 2},
    [DASH_DOTS] = {"2 3", {2, 3}, 2},
    [DASH_MIXED] = {"8 3 2 3", {8, 3, 2, 3}, 4},
};

unsigned theme_colour(Role role, bool dark) {
  return dark ? ROLES_TABLE[role].dark : ROLES_TABLE[role].light;
}

const char *theme_class(Role role) {
  return ROLES_TABLE[role].name;
}

const char *theme_dash(Dash dash) {
  return DASH_TABLE[dash].text;
}

const double *theme_dash_lengths(Dash dash, size_t *count) {
  *count = DASH_TABLE[dash].count;
  return DASH_TABLE[dash].lengths;
}

double theme_opacity(Paint paint) {
  return paint.opacity > 0 ? paint.opacity : 1;
}

static Status append_colours(bool dark, Str *out) {
  for (Role role = ROLE_PAPER; role < ROLES; role++) {
    unsigned colour = theme_colour(role, dark);
    const char *name = theme_class(role);
    TRY(str_append_format(out, ".plot .f%s{fill:#%06x}.plot .l%s{stroke:#%06x}", name, colour, name, colour));
  }
  return STATUS_OK;
}

Status theme_css(PlotTheme theme, Str *out) {
  TRY(str_append_text(
      out,
      ".plot{fill:none;stroke-linejoin:round;stroke-linecap:butt;display:block;max-width:100%;height:auto}"
      ".plot text{white-space:pre;font-family:" FONT_TEXT
      ";font-variant-numeric:tabular-nums}.plot .m{font-family:" FONT_MONO "}.plot .b{font-weight:600}"));
  TRY(append_colours(theme == PLOT_DARK, out));
  if (theme == PLOT_LIGHT || theme == PLOT_DARK) return STATUS_OK;
  TRY(str_append_text(out, "@media screen and (prefers-color-scheme:dark){"));
  TRY(append_colours(true, out));
  return str_append_text(out, "}");
}

Status plot_css(Str *out) {
  return theme_css(PLOT_PAGE, out);
}
