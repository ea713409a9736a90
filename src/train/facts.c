// A model as text. Rule: two models that compute different numbers from the same weights have different
// texts, and the texts do not change from one version of gee-cl to the next, or no checkpoint would be
// resumed.
#include "facts.h"

#include <stdarg.h>
#include <stdio.h>
#include <string.h>

void fact_append(char *fact, const char *format, ...) {
  size_t used = strlen(fact);
  va_list arguments;
  va_start(arguments, format);
  (void)vsnprintf(fact + used, FACT_SIZE - used, format, arguments);
  va_end(arguments);
}

void fact_shape(const ModelConfig *c, char *fact) {
  fact_append(fact, "%s, %zu layers, width %zu, %zu/%zu heads of %zu, ffn %zu, vocabulary %zu%s",
              c->family->class_name, c->layers, c->width, c->heads, c->kv_heads, c->head_dim, c->ffn,
              c->vocab, c->tied ? ", tied head" : "");
}

void fact_constants(const ModelConfig *c, char *fact) {
  const Rope *rope = &c->rope;
  fact_append(fact, "rms_eps %.9g, rope %.17g", (double)c->rms_eps, rope->theta);
  if (rope->factor != 1)
    fact_append(fact, " scaled by %.9g (%.9g to %.9g of %.9g positions)", rope->factor, rope->low, rope->high,
                rope->original_positions);
  if (rope->type != ROPE_DEFAULT && rope->type != ROPE_LLAMA3)
    fact_append(fact, " as %s, scores by %.9g%s", rope_type_name(rope->type), rope->attention,
                rope->truncate ? ", whole pairs" : "");
}

void fact_end_tokens(const ModelConfig *c, char *fact) {
  fact_append(fact, ", end tokens");
  for (size_t i = 0; i < c->eos_count; i++) fact_append(fact, " %d", c->eos[i]);
}
