// The sizes and constants of a model as text, which a checkpoint and an adapter keep to be compared.
#pragma once

#include "train/identity.h"

/// Appends to a fact [FACT_SIZE]. That is large enough for every fact; anything longer is cut.
void fact_append(char *fact, const char *format, ...) __attribute__((format(printf, 2, 3)));
/// These append what the weights do not show and the numbers depend on.
void fact_shape(const ModelConfig *c, char *fact);
void fact_constants(const ModelConfig *c, char *fact);
/// Where answers end.
void fact_end_tokens(const ModelConfig *c, char *fact);
