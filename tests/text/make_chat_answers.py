#!/usr/bin/env python3
"""Writes tests/text/chat_answers.json: chats with their answers, as transformers renders and masks them.

    python tests/text/make_chat_answers.py        (transformers, as for make_chat_golden.py)

`texts`: for each template of make_chat_golden.py that takes the chat, what apply_chat_template prints with
add_generation_prompt=False, and for every answer in it the text before it with add_generation_prompt=True.
`masks`: for ChatML, with {% generation %} around an answer and what ends its turn, the ids and the assistant mask
(return_assistant_tokens_mask) by the tokenizers of tests/text. They have no token for <|im_end|>, so the tokens at the ends of
an answer may belong to the template too.
"""

import json
import os

import make_chat_golden as golden
from transformers import AutoTokenizer

HERE = os.path.dirname(os.path.abspath(__file__))
CHAT = [{"role": "user", "content": "What is 2 + 2?"}, {"role": "assistant", "content": "Four."},
        {"role": "user", "content": "And\n3 + 4?"}, {"role": "assistant", "content": " It is 7,\nI think. "}]
# an answer that begins with a line end, whose token may grow together with the template's
LINES = [{"role": "user", "content": "List"}, {"role": "assistant", "content": "\n\n- a\n- b\n"},
         {"role": "user", "content": "  more"}, {"role": "assistant", "content": "\tc"}]
CHATML = ("{% for message in messages %}{{ '<|im_start|>' + message['role'] + '\n' }}{% if message['role'] == 'assistant' %}"
          "{% generation %}{{ message['content'] + '<|im_end|>' }}{% endgeneration %}{% else %}"
          "{{ message['content'] + '<|im_end|>' }}{% endif %}{{ '\n' }}{% endfor %}")


def render(template, messages, prompt):
    tokenizer = golden.tokenizer_with(bos_token="<|bos|>", eos_token="<|eos|>")
    return tokenizer.apply_chat_template(messages, chat_template=template, tokenize=False, add_generation_prompt=prompt,
                                         date_string=golden.DATE)


def texts():
    out = {}
    for name, template in golden.TEMPLATES:
        try:
            whole = render(template, CHAT, False)
            out[name] = {"text": whole, "before": [render(template, CHAT[:i], True) for i in (1, 3)]}
        except Exception as refusal:  # noqa: BLE001: templates raise what they like
            print(name, "refuses:", refusal)
    return out


def masks():
    out = []
    for folder in ("bpe_smollm", "bpe_qwen2", "bpe_llama3"):
        tokenizer = AutoTokenizer.from_pretrained(os.path.join(HERE, folder))
        for chat in (CHAT, LINES):
            made = tokenizer.apply_chat_template(chat, chat_template=CHATML, return_dict=True, return_assistant_tokens_mask=True)
            out.append({"tokenizer": folder, "chat": chat, "ids": made["input_ids"], "mask": made["assistant_masks"]})
    return out


def main():
    with open(os.path.join(HERE, "chat_answers.json"), "w", encoding="utf-8") as f:
        json.dump({"chat": CHAT, "texts": texts(), "masks": masks()}, f, indent=1, ensure_ascii=True)
        f.write("\n")


if __name__ == "__main__":
    main()
