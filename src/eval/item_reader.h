// An items file beside the figures that were computed from it: which file it is, its lines, and whether a
// figure is what they give.
#pragma once

#include "io/json.h"
#include "util/hash.h"
#include "util/str.h"

/// *out = the items of the figures `json`, read from `path`: the file `given`, or if that is NULL the one
/// that "items" names, where it says it is or else beside them. *bound = whether "items" has its SHA-256,
/// which then is right. STATUS_INPUT if there is no such file, and *out is then NULL, or if it is another
/// one.
STATUS_CHECKED Status items_find(const cJSON *json, const char *path, const char *given, char **out,
                                 bool *bound);

/// Whether a printed number is the computed one, within 1e-9 of its size, as another machine's exp and log
/// may round otherwise. What is not a number is null in a file.
bool figure_is(const cJSON *printed, double computed);
/// Appends a line if it is not. `name` is the figure, or its name and a part of it.
STATUS_CHECKED Status figure_compare(const cJSON *printed, const char *name, double computed, Str *out);
