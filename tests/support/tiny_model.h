// A Hugging Face folder with a tiny Llama and a tokenizer of single bytes, so that whole commands are tested
// in a second. Its weights are random.
#pragma once

/// Writes config.json, model.safetensors and tokenizer.json into `folder`, which exists. Fails the test if it
/// cannot.
void tiny_model_write(const char *folder);
