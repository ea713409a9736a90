// Writing HTML. A writer remembers its first failure and then writes no more. Rule: text from files only goes
// in by html_text, which escapes it.
#pragma once

#include "report/report.h"

/// Zero-initialise, but for `output`, which gets the pictures; free `text` with str_free.
typedef struct Html {
  Str text;
  ReportOutput *output;
  Status status; // the first failure
} Html;

/// Markup, as it is.
void html_raw(Html *html, const char *markup);
/// The same with values that need no escaping: numbers, and words of ours.
void html_format(Html *html, const char *format, ...) __attribute__((format(printf, 2, 3)));
/// Text, escaped.
void html_text(Html *html, const char *text);
/// The beginning of a text that may be long, escaped.
void html_excerpt(Html *html, const char *text);
/// A paragraph that says that something is missing, and how to get it.
void html_missing(Html *html, const char *text);
/// A section's heading; `id` is its anchor.
void html_heading(Html *html, const char *id, const char *title);
/// A number rounded to `decimals`, with its exact value in the markup; "not measured" if it is not finite.
void html_number(Html *html, double value, int decimals, bool plus);
/// "[low, high]"; nothing if there is no interval.
void html_interval(Html *html, double low, double high, int decimals, bool plus);
/// A chart as a figure. Takes it over, and keeps it under `name`. `status` is what drawing it returned. (A
/// pointer to it, because drawing it may be an argument of the same call.)
void html_picture(Html *html, const char *name, Status status, Picture **picture);
/// Records a failure of something else.
void html_check(Html *html, Status status);
