// Whom a pronoun means. Rule: the pronoun is quoted with a capital letter, and a choice has no article of its
// own.
#include "referent.h"

#include "util/str.h"
#include <ctype.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>

static Status append_pronoun(const char *pronoun, Str *out) {
  for (const char *c = pronoun; *c != '\0'; c++) {
    char letter = (char)(c == pronoun ? toupper((unsigned char)*c) : tolower((unsigned char)*c));
    TRY(str_append(out, &letter, 1));
  }
  return STATUS_OK;
}

Status referent_ask(TaskRequests *requests, const char *sentence, const char *pronoun,
                    const char *const choices[REFERENTS]) {
  Str context = {0};
  char *continuations[REFERENTS] = {NULL};
  Status status = STATUS_OK;
  TRY_CLEAN(str_append_format(&context, "%s \xE2\x80\x98", sentence));
  TRY_CLEAN(append_pronoun(pronoun, &context));
  TRY_CLEAN(str_append_text(&context, "\xE2\x80\x99 refers to the"));
  for (size_t i = 0; i < REFERENTS; i++) TRY_CLEAN(str_format(&continuations[i], " %s", choices[i]));
  TRY_CLEAN(
      request_continuations(requests, str_text(&context), (const char *const *)continuations, REFERENTS));
cleanup:
  str_free(&context);
  for (size_t i = 0; i < REFERENTS; i++) free(continuations[i]);
  return status;
}

char pronoun_gender(const char *word, size_t size) {
  static const struct {
    const char *word;
    char gender;
  } pronouns[] = {{"he", 'm'},    {"him", 'm'},    {"his", 'm'},      {"himself", 'm'},   {"she", 'f'},
                  {"her", 'f'},   {"hers", 'f'},   {"herself", 'f'},  {"they", 'n'},      {"them", 'n'},
                  {"their", 'n'}, {"theirs", 'n'}, {"themself", 'n'}, {"themselves", 'n'}};
  for (size_t i = 0; i < sizeof pronouns / sizeof *pronouns; i++)
    if (strlen(pronouns[i].word) == size && strncasecmp(word, pronouns[i].word, size) == 0)
      return pronouns[i].gender;
  return '\0';
}
