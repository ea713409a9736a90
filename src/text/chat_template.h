// The canonical form of a chat template: templates that differ only in how they are written look the same.
#pragma once

#include "util/status.h"
#include "util/str.h"
#include <stdbool.h>

/// Appends the template without what does not change Jinja's output under the settings of transformers
/// (trim_blocks, lstrip_blocks):
///   - carriage returns, which are line ends
///   - white space that trimming removes, and the dashes that request it; comments; blanks in tags
///   - literals get single quotes, and characters instead of their escapes except \\ and \'
///   - 'a' + 'b' becomes 'ab'
///   - message['role'] becomes message.role
/// A text that is not Jinja becomes something that no pattern matches.
STATUS_CHECKED Status chat_template_canonical(const char *text, Str *out);

/// Whether `pattern` matches the whole of `text`, a canonical form. In the pattern * stands for the whole
/// inside of a branch, up to its else, elif or end, whatever other blocks are in it.
bool chat_template_matches(const char *pattern, const char *text);
