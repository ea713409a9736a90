// The question whom a pronoun means, as lm-evaluation-harness asks it of Winogender (after Brown et al.,
// "Language models are few-shot learners", 2020): The nurse told the patient that she would be late. ‘She’
// refers to the … Private to eval.
#pragma once

#include "eval/task.h"

enum { REFERENTS = 2 };

/// Two requests: log p of " <choice>" for each of the choices.
STATUS_CHECKED Status referent_ask(TaskRequests *requests, const char *sentence, const char *pronoun,
                                   const char *const choices[REFERENTS]);
/// Of he, she, they, his, …, himself, …: 'm', 'f' or 'n', in any case; '\0' for another word of `size` bytes.
char pronoun_gender(const char *word, size_t size);
