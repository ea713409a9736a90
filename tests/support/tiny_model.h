// A Hugging Face folder of a tiny Llama with a tokenizer of single bytes, so that the command line is tested
// whole in a second. Its weights are random and say nothing.
#pragma once

/// Writes config.json, model.safetensors and tokenizer.json into `folder`, which exists. Fails the test where
/// it cannot.
void tiny_model_write(const char *folder);
