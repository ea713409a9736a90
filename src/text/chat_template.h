// The canonical form of a chat template: two that print the same look the same.
#pragma once

#include "util/status.h"
#include "util/str.h"
#include <stdbool.h>

/// Appends the template with everything taken out that does not change what Jinja prints under the settings
/// transformers uses (trim_blocks, lstrip_blocks):
///   - white space that trimming removes, and with it the dashes that ask for that; comments; blanks in tags
///   - literals get single quotes, and plain characters for their escapes except \\ and \'
///   - 'a' + 'b' becomes 'ab'
///   - message['role'] becomes message.role
/// What is not Jinja comes out as something that no pattern matches.
STATUS_CHECKED Status chat_template_canonical(const char *text, Str *out);

/// Whether the whole of `text` is `pattern`, in which * stands for any text.
bool chat_template_matches(const char *pattern, const char *text);
