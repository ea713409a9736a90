// Command line options as a table, from which `--help` is printed too.
#pragma once

#include "util/status.h"
#include <stdbool.h>
#include <stddef.h>

typedef enum OptionType {
  OPTION_FLAG,   // bool: --json
  OPTION_TEXT,   // const char *
  OPTION_SIZE,   // size_t, within [low, high]
  OPTION_SEED,   // uint64_t
  OPTION_NUMBER, // float, within [low, high]
  OPTION_LIST,   // TextList: may be repeated
} OptionType;

enum { TEXT_LIST_MAX = 64 };
typedef struct TextList {
  const char *items[TEXT_LIST_MAX];
  size_t count;
} TextList;

typedef struct Option {
  const char *name; // without the dashes
  OptionType type;
  void *out;         // unchanged if the option is not given
  const char *value; // placeholder in the help, "FILE"; NULL for a flag
  const char *help;
  double low, high;
} Option;

/// What a subcommand takes, and what its help says.
typedef struct Usage {
  const char *command;    // "train"
  const char *summary;    // one line
  const char *positional; // "CONFIG.ini", or NULL if it takes none
  const Option *options;  // ends with a NULL name; may be NULL
  const char *text;       // what it does, which is wrapped, and examples: lines that begin with a blank or {
} Usage;

/// Fills the options' `out`. `--help` prints to stdout and sets *helped; the command is then done.
/// *positional is NULL if the word was not given; `positional` may be NULL if the usage has none.
/// STATUS_INPUT suggests the nearest option, or key of the config, for an unknown one; only a list may be
/// given twice.
STATUS_CHECKED Status args_parse(const Usage *usage, int argc, char **argv, const char **positional,
                                 bool *helped);
/// The same with up to `most` words, at most TEXT_LIST_MAX, which are appended to `words`.
STATUS_CHECKED Status args_parse_words(const Usage *usage, int argc, char **argv, TextList *words,
                                       size_t most, bool *helped);
/// Whether the option was given to the command whose options args_parse read last.
bool args_given(const char *name);
/// Warns that the option has no effect, if it was given.
void args_warn_unused(const char *name, const char *why);
/// STATUS_INPUT unless `given` is set: "<what> is needed; see … --help".
STATUS_CHECKED Status args_need(const Usage *usage, const void *given, const char *what);
/// STATUS_INPUT if there is anything at the folder that --output is to make, be it a link to nothing, or if
/// its last part names no folder of its own.
STATUS_CHECKED Status args_check_new_folder(const char *output);
/// STATUS_INPUT if the file of `option` could not be written once the work is done, as far as it shows
/// before: its folder is missing or cannot be written, it is a folder, or it is `input`, which `what` names.
STATUS_CHECKED Status args_check_output(const char *option, const char *output, const char *input,
                                        const char *what);
/// STATUS_INPUT if `output`, which `option` named (NULL: it was not given), is a file that the command has
/// read: called once the inputs are open, before the work.
STATUS_CHECKED Status args_check_unread(const char *option, const char *output);
/// STATUS_INPUT if two options, either of which may be NULL, name one file, however they write it: the second
/// would replace the first.
STATUS_CHECKED Status args_check_apart(const char *option, const char *path, const char *other_option,
                                       const char *other);
/// STATUS_INPUT if two of the files are one, however their paths write it.
STATUS_CHECKED Status args_check_twice(const TextList *files);
/// Writes what --output asks for: a file, whole or not at all, or for "-" the standard output. If the file
/// cannot be written, the bytes go to the standard output, and the message says so.
STATUS_CHECKED Status args_write_output(const char *output, const char *bytes, size_t size);
