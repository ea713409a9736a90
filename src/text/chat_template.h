// A chat template's text in a form in which two that print the same look the same.
#pragma once

#include "util/status.h"
#include "util/str.h"
#include <stdbool.h>

/// Appends the template with everything taken out that does not change what Jinja prints under the settings
/// transformers uses (trim_blocks, lstrip_blocks):
///   - white space that trimming removes, and with it the dashes that ask for that; comments; blanks inside of tags
///   - literals get single quotes and plain characters for their escapes (but for \\ and \'); 'a' + 'b' becomes 'ab'
///   - message['role'] becomes message.role
/// A template that is no Jinja comes out as something no pattern matches.
STATUS_CHECKED Status chat_template_canonical(const char *text, Str *out);

/// Whether the whole of `text` is `pattern`, in which * stands for any text.
bool chat_template_matches(const char *pattern, const char *text);
