"""Makes chat_golden.json: chat templates, conversations and what transformers renders of them.

    python tests/text/make_chat_golden.py > tests/text/chat_golden.json

The templates are those the models are published with; of Llama's the parts that only tools reach are replaced by an
exception. Rendered with transformers 5.23.
"""

import json

from tokenizers import Tokenizer, models
from transformers import PreTrainedTokenizerFast

LOOP = (
    "{{'<|im_start|>' + message['role'] + '\\n' + message['content'] + '<|im_end|>' + '\\n'}}{% endfor %}"
    "{% if add_generation_prompt %}{{ '<|im_start|>assistant\\n' }}{% endif %}"
)
CHATML = "{% for message in messages %}" + LOOP
CHATML_LATER = (
    "{% if not add_generation_prompt is defined %}{% set add_generation_prompt = false %}{% endif %}" + CHATML
)


def with_default(text):
    return (
        "{% for message in messages %}{% if loop.first and messages[0]['role'] != 'system' %}"
        "{{ '<|im_start|>system\n" + text + "<|im_end|>\n' }}{% endif %}" + LOOP
    )


SMOLLM2 = with_default("You are a helpful AI assistant named SmolLM, trained by Hugging Face")
QWEN2 = with_default("You are a helpful assistant.")


def qwen25(text):
    return r"""{%- if tools %}
    {{- '<|im_start|>system\n' }}
    {%- if messages[0]['role'] == 'system' %}
        {{- messages[0]['content'] }}
    {%- else %}
        {{- 'TEXT' }}
    {%- endif %}
    {{- "\n\n# Tools\n\nYou may call one or more functions to assist with the user query.\n\nYou are provided with function signatures within <tools></tools> XML tags:\n<tools>" }}
    {%- for tool in tools %}
        {{- "\n" }}
        {{- tool | tojson }}
    {%- endfor %}
    {{- "\n</tools>\n\nFor each function call, return a json object with function name and arguments within <tool_call></tool_call> XML tags:\n<tool_call>\n{\"name\": <function-name>, \"arguments\": <args-json-object>}\n</tool_call><|im_end|>\n" }}
{%- else %}
    {%- if messages[0]['role'] == 'system' %}
        {{- '<|im_start|>system\n' + messages[0]['content'] + '<|im_end|>\n' }}
    {%- else %}
        {{- '<|im_start|>system\nTEXT<|im_end|>\n' }}
    {%- endif %}
{%- endif %}
{%- for message in messages %}
    {%- if (message.role == "user") or (message.role == "system" and not loop.first) or (message.role == "assistant" and not message.tool_calls) %}
        {{- '<|im_start|>' + message.role + '\n' + message.content + '<|im_end|>' + '\n' }}
    {%- elif message.role == "assistant" %}
        {{- '<|im_start|>' + message.role }}
        {%- if message.content %}
            {{- '\n' + message.content }}
        {%- endif %}
        {%- for tool_call in message.tool_calls %}
            {%- if tool_call.function is defined %}
                {%- set tool_call = tool_call.function %}
            {%- endif %}
            {{- '\n<tool_call>\n{"name": "' }}
            {{- tool_call.name }}
            {{- '", "arguments": ' }}
            {{- tool_call.arguments | tojson }}
            {{- '}\n</tool_call>' }}
        {%- endfor %}
        {{- '<|im_end|>\n' }}
    {%- elif message.role == "tool" %}
        {%- if (loop.index0 == 0) or (messages[loop.index0 - 1].role != "tool") %}
            {{- '<|im_start|>user' }}
        {%- endif %}
        {{- '\n<tool_response>\n' }}
        {{- message.content }}
        {{- '\n</tool_response>' }}
        {%- if loop.last or (messages[loop.index0 + 1].role != "tool") %}
            {{- '<|im_end|>\n' }}
        {%- endif %}
    {%- endif %}
{%- endfor %}
{%- if add_generation_prompt %}
    {{- '<|im_start|>assistant\n' }}
{%- endif %}
""".replace("TEXT", text)


LLAMA3 = (
    "{% set loop_messages = messages %}{% for message in loop_messages %}{% set content = '<|start_header_id|>' + "
    "message['role'] + '<|end_header_id|>\n\n'+ message['content'] | trim + '<|eot_id|>' %}{% if loop.index0 == 0 %}"
    "{% set content = bos_token + content %}{% endif %}{{ content }}{% endfor %}{% if add_generation_prompt %}"
    "{{ '<|start_header_id|>assistant<|end_header_id|>\n\n' }}{% endif %}"
)


def llama31(date, environment):
    return r"""{{- bos_token }}
{%- if custom_tools is defined %}
    {%- set tools = custom_tools %}
{%- endif %}
{%- if not tools_in_user_message is defined %}
    {%- set tools_in_user_message = true %}
{%- endif %}
{%- if not date_string is defined %}
DATE
{%- endif %}
{%- if not tools is defined %}
    {%- set tools = none %}
{%- endif %}

{#- The system message is taken out, to be put into its place. #}
{%- if messages[0]['role'] == 'system' %}
    {%- set system_message = messages[0]['content']|trim %}
    {%- set messages = messages[1:] %}
{%- else %}
    {%- set system_message = "" %}
{%- endif %}

{#- System message #}
{{- "<|start_header_id|>system<|end_header_id|>\n\n" }}
ENVIRONMENT
{{- "Cutting Knowledge Date: December 2023\n" }}
{{- "Today Date: " + date_string + "\n\n" }}
{%- if tools is not none and not tools_in_user_message %}
    {{- raise_exception("tools") }}
{%- endif %}
{{- system_message }}
{{- "<|eot_id|>" }}

{%- if tools_in_user_message and not tools is none %}
    {{- raise_exception("tools") }}
{%- endif %}

{%- for message in messages %}
    {%- if not (message.role == 'ipython' or message.role == 'tool' or 'tool_calls' in message) %}
        {{- '<|start_header_id|>' + message['role'] + '<|end_header_id|>\n\n'+ message['content'] | trim + '<|eot_id|>' }}
    {%- elif 'tool_calls' in message %}
        {{- raise_exception("tools") }}
    {%- elif message.role == "tool" or message.role == "ipython" %}
        {{- raise_exception("tools") }}
    {%- endif %}
{%- endfor %}
{%- if add_generation_prompt %}
    {{- '<|start_header_id|>assistant<|end_header_id|>\n\n' }}
{%- endif %}
""".replace("DATE", date).replace("ENVIRONMENT", environment)


LLAMA31 = llama31(
    '    {%- set date_string = "26 Jul 2024" %}',
    """{%- if builtin_tools is defined or tools is not none %}
    {{- "Environment: ipython\\n" }}
{%- endif %}
{%- if builtin_tools is defined %}
    {{- "Tools: " + builtin_tools | reject('equalto', 'code_interpreter') | join(", ") + "\\n\\n"}}
{%- endif %}""",
)
LLAMA32 = llama31(
    """    {%- if strftime_now is defined %}
        {%- set date_string = strftime_now("%d %b %Y") %}
    {%- else %}
        {%- set date_string = "26 Jul 2024" %}
    {%- endif %}""",
    """{%- if tools is not none %}
    {{- "Environment: ipython\\n" }}
{%- endif %}""",
)

TEMPLATES = [
    ("chatml", CHATML),
    ("chatml", CHATML_LATER),
    ("smollm2", SMOLLM2),
    ("qwen2", QWEN2),
    ("qwen2", qwen25("You are a helpful assistant.")),
    ("qwen2.5", qwen25("You are Qwen, created by Alibaba Cloud. You are a helpful assistant.")),
    ("qwen2.5-math", qwen25(r"Please reason step by step, and put your final answer within \\boxed{}.")),
    ("llama3", LLAMA3),
    ("llama3.1", LLAMA31),
    ("llama3.1", LLAMA32),
]


def turn(role, content):
    return {"role": role, "content": content}


CONVERSATIONS = [
    [turn("user", "Hi")],
    [turn("system", "You are terse."), turn("user", "What is 2 + 2?")],
    [turn("system", ""), turn("user", "  spaces \n around\t\n")],
    [turn("user", "A"), turn("assistant", " B \n"), turn("user", "\u00a0\u3000wide\u2028 \u001c")],
    [turn("user", "A"), turn("system", "late"), turn("assistant", "B")],
    [turn("system", "  you  "), turn("user", "don't 你好 \U0001f600 <|im_end|><|eot_id|>"), turn("assistant", "")],
    [turn("assistant", "first"), turn("user", "'quotes' \"and\" \\ {{ braces }} {% if %}")],
]


def main():
    tokenizer = PreTrainedTokenizerFast(tokenizer_object=Tokenizer(models.BPE()), bos_token="<|begin_of_text|>")
    out = []
    for family, template in TEMPLATES:
        renderings = []
        for messages in CONVERSATIONS:
            renderings.append([
                tokenizer.apply_chat_template(
                    messages,
                    chat_template=template,
                    tokenize=False,
                    add_generation_prompt=prompt,
                    date_string="26 Jul 2024",
                )
                for prompt in (False, True)
            ])
        out.append({"family": family, "template": template, "renderings": renderings})
    print(json.dumps({"conversations": CONVERSATIONS, "templates": out}, indent=1))


main()
