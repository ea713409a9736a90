// page.css, which CMake puts into the program.
#pragma once

typedef struct ReportStyle {
  const char *name; // "page.css"
  const char *text;
} ReportStyle;

/// Ends with a NULL name.
extern const ReportStyle report_styles[];
