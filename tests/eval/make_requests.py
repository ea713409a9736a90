#!/usr/bin/env python3
"""Writes requests.json: contexts and continuations as lm-evaluation-harness turns them into tokens.

    python tests/eval/make_requests.py

with lm_eval 0.4.13, transformers and torch installed. The tokenizers are those of tests/text; llama3's puts a start token
in front by itself. The code that decides is HFLM's own (loglikelihood, _encode_pair and what follows it); only the model
behind it is left out. What it cannot score (an assertion of its own, or an index that is not there) has no tokens.
"""

import json
import os

from lm_eval.api.instance import Instance
from lm_eval.models.huggingface import HFLM
from transformers import PreTrainedTokenizerFast

HERE = os.path.dirname(os.path.abspath(__file__))
MAX_LENGTH = 24
TOKENIZERS = {  # folder: (bos, eos)
    "bpe_llama3": ("<|begin_of_text|>", "<|end|>"),
    "bpe_qwen2": (None, "<|endoftext|>"),
    "bpe_smollm": ("<|endoftext|>", "<pad>"),
}
PAIRS = [
    ("", "The nurse said no."), ("", " leading blank"), ("", "trailing blank "), ("", "\n"), ("", "’ typographic “quotes” é"),
    ("", "<|endoftext|>already there"), ("", "<|begin_of_text|>already there"), ("", "<|endoftext|>"), ("", ""),
    ("", "in the middle <|endoftext|> of it"), ("", "e\u0301 and \u00e9"), ("", "\ufeffBOM"), ("", "a\u00a0b\u2003c"),
    ("Question: why?\nAnswer:", " because"), ("Question: why?\nAnswer: ", "because"), ("Question: why?\nAnswer:", "because"),
    ("Two blanks  ", "x"), ("A line feed\n", "x"), ("A tab\t", " x"), ("No-break blank\u00a0", "x"), ("Unit separator\x1f", "x"),
    ("Zero width\u200b", "x"), ("next line\u0085", "x"), (" ", "x"), ("\n\n", "x"), ("A", ""), ("A ", ""), ("don", "'t"),
    ("123", "456"), ("The ‘She’ refers to the", " nurse"), ("<|begin_of_text|>The", " end"), ("<|endoftext|>The", " end"),
    ("word", "s"), ("emoji \U0001f469\u200d", "\U0001f680"), ("日本", "語"), ("of", "f"), ("  in front", " x"), ("a", "\n\n"),
    ("long context " * 12, "end"), ("a b c d e f g h i j k l m n o p q r s t u v w x y z", " and so on"),
    ("x", " a b c d e f g h i j k l m n o p q r s t u v w x y z"), ("end<|endoftext|>", " after"), ("A\r\n", "x"),
]


class Recorder(HFLM):
    """HFLM without a model: keeps what would be run."""

    def __init__(self, tokenizer):
        self.tokenizer, self.backend, self.add_bos_token = tokenizer, "causal", None
        self.custom_prefix_token_id, self._max_length, self.enable_thinking = None, MAX_LENGTH, False

    def _loglikelihood_tokens(self, requests, **_):
        (_, context, continuation), = requests
        assert len(context) > 0 and 0 < len(continuation) <= self.max_length
        kept = (context + continuation)[-(self.max_length + 1):]
        return [(kept[:-len(continuation)], continuation)]


output = {"max_length": MAX_LENGTH, "tokenizers": {}}
for folder, (bos, eos) in TOKENIZERS.items():
    tokenizer = PreTrainedTokenizerFast(tokenizer_file=os.path.join(HERE, "../text", folder, "tokenizer.json"), bos_token=bos,
                                        eos_token=eos)
    recorder, rows = Recorder(tokenizer), []
    for context, continuation in PAIRS:
        request = Instance(request_type="loglikelihood", doc={}, arguments=(context, continuation), idx=0)
        try:
            rows.append(recorder.loglikelihood([request], disable_tqdm=True)[0])
        except (AssertionError, IndexError):
            rows.append(None)
    output["tokenizers"][folder] = {"bos": bos, "eos": eos, "rows": rows}
output["pairs"] = PAIRS
with open(os.path.join(HERE, "requests.json"), "w", encoding="utf-8") as f:
    json.dump(output, f, ensure_ascii=False, separators=(",", ":"))
    f.write("\n")
