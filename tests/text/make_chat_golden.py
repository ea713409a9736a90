"""Makes chat_golden.json: chat templates, conversations and what transformers renders of them.

    python tests/text/make_chat_golden.py > tests/text/chat_golden.json

The templates are those the models are published with; of Llama's the parts that only tools reach are replaced by an
exception. Rendered with transformers 5.24.
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

LLAMA3_FIRST = LLAMA3.replace("{% if add_generation_prompt %}", "").removesuffix("{% endif %}")
ALTERNATE = "Conversation roles must alternate user/assistant/user/assistant/..."
LATER = "After the optional system message, conversation roles must alternate user/assistant/user/assistant/..."
TWO_ROLES = "Only user and assistant roles are supported, with the exception of an initial optional system message!"

LLAMA2 = (
    "{% if messages[0]['role'] == 'system' %}{% set loop_messages = messages[1:] %}"
    "{% set system_message = messages[0]['content'] %}{% else %}{% set loop_messages = messages %}"
    "{% set system_message = false %}{% endif %}{% for message in loop_messages %}"
    "{% if (message['role'] == 'user') != (loop.index0 % 2 == 0) %}{{ raise_exception('" + ALTERNATE + "') }}{% endif %}"
    "{% if loop.index0 == 0 and system_message != false %}"
    "{% set content = '<<SYS>>\\n' + system_message + '\\n<</SYS>>\\n\\n' + message['content'] %}"
    "{% else %}{% set content = message['content'] %}{% endif %}"
    "{% if message['role'] == 'user' %}{{ bos_token + '[INST] ' + content.strip() + ' [/INST]' }}"
    "{% elif message['role'] == 'assistant' %}{{ ' '  + content.strip() + ' ' + eos_token }}{% endif %}{% endfor %}"
)
MISTRAL = (
    "{{ bos_token }}{% for message in messages %}{% if (message['role'] == 'user') != (loop.index0 % 2 == 0) %}"
    "{{ raise_exception('" + ALTERNATE + "') }}{% endif %}{% if message['role'] == 'user' %}"
    "{{ '[INST] ' + message['content'] + ' [/INST]' }}{% elif message['role'] == 'assistant' %}"
    "{{ message['content'] + eos_token}}{% else %}"
    "{{ raise_exception('Only user and assistant roles are supported!') }}{% endif %}{% endfor %}"
)
TAKE_SYSTEM = """{%- if messages[0]["role"] == "system" %}
    {%- set system_message = messages[0]["content"] %}
    {%- set loop_messages = messages[1:] %}
{%- else %}
    {%- set loop_messages = messages %}
{%- endif %}
"""
MISTRAL_V1 = TAKE_SYSTEM + """
{{- bos_token }}
{%- for message in loop_messages %}
    {%- if (message['role'] == 'user') != (loop.index0 % 2 == 0) %}
        {{- raise_exception('LATER') }}
    {%- endif %}
    {%- if message['role'] == 'user' %}
        {%- if loop.first and system_message is defined %}
            {{- ' [INST] ' + system_message + '\\n\\n' + message['content'] + ' [/INST]' }}
        {%- else %}
            {{- ' [INST] ' + message['content'] + ' [/INST]' }}
        {%- endif %}
    {%- elif message['role'] == 'assistant' %}
        {{- ' ' + message['content'] + eos_token}}
    {%- else %}
        {{- raise_exception('TWO_ROLES') }}
    {%- endif %}
{%- endfor %}
""".replace("LATER", LATER).replace("TWO_ROLES", TWO_ROLES)


def mistral_v3(opening, calls, answer):
    return TAKE_SYSTEM + """{%- if not tools is defined %}
    {%- set tools = none %}
{%- endif %}
{%- set user_messages = loop_messages | selectattr("role", "equalto", "user") | list %}

{#- Alternation is checked without the messages of tools. #}
{%- set ns = namespace() %}
{%- set ns.index = 0 %}
{%- for message in loop_messages %}
    {%- if not (message.role == "tool" or message.role == "tool_results" or (message.tool_calls is defined and message.tool_calls is not none)) %}
        {%- if (message["role"] == "user") != (ns.index % 2 == 0) %}
            {{- raise_exception("LATER") }}
        {%- endif %}
        {%- set ns.index = ns.index + 1 %}
    {%- endif %}
{%- endfor %}

{{- bos_token }}
{%- for message in loop_messages %}
    {%- if message["role"] == "user" %}
        {%- if tools is not none and (message == user_messages[-1]) %}
            {%- for tool in tools %}
                {{- raise_exception("tools") }}
            {%- endfor %}
        {%- endif %}
        {%- if loop.last and system_message is defined %}
            {{- "OPENING" + system_message + "\\n\\n" + message["content"] + "[/INST]" }}
        {%- else %}
            {{- "OPENING" + message["content"] + "[/INST]" }}
        {%- endif %}
    {%- elif CALLS %}
        {{- raise_exception("tools") }}
    {%- elif message["role"] == "assistant" %}
        {{- ANSWER + eos_token}}
    {%- elif message["role"] == "tool_results" or message["role"] == "tool" %}
        {%- if message.content is defined and message.content.content is defined %}
            {{- raise_exception("tools") }}
        {%- endif %}
        {{- raise_exception("tools") }}
    {%- else %}
        {{- raise_exception("TWO_ROLES") }}
    {%- endif %}
{%- endfor %}
""".replace("OPENING", opening).replace("CALLS", calls).replace("ANSWER", answer).replace("LATER", LATER).replace(
        "TWO_ROLES", TWO_ROLES
    )


MISTRAL_V3 = mistral_v3(
    "[INST] ", "message.tool_calls is defined and message.tool_calls is not none", '" " + message["content"]|trim'
)
MISTRAL_TEKKEN = mistral_v3(
    "[INST]", "(message.tool_calls is defined and message.tool_calls is not none)", 'message["content"]'
)
MISTRAL_V7 = (
    "{{ bos_token }}{% for message in messages %}{% if message['role'] == 'user' %}"
    "{{ '[INST] ' + message['content'] + '[/INST]' }}{% elif message['role'] == 'system' %}"
    "{{ '[SYSTEM_PROMPT] ' + message['content'] + '[/SYSTEM_PROMPT]' }}{% elif message['role'] == 'assistant' %}"
    "{{ ' ' + message['content'] + eos_token }}{% else %}"
    "{{ raise_exception('Only user, system and assistant roles are supported!') }}{% endif %}{% endfor %}"
)
GEMMA = (
    "{{ bos_token }}{% if messages[0]['role'] == 'system' %}{{ raise_exception('System role not supported') }}{% endif %}"
    "{% for message in messages %}{% if (message['role'] == 'user') != (loop.index0 % 2 == 0) %}"
    "{{ raise_exception('" + ALTERNATE + "') }}{% endif %}{% if (message['role'] == 'assistant') %}"
    "{% set role = 'model' %}{% else %}{% set role = message['role'] %}{% endif %}"
    "{{ '<start_of_turn>' + role + '\n' + message['content'] | trim + '<end_of_turn>\n' }}{% endfor %}"
    "{% if add_generation_prompt %}{{'<start_of_turn>model\n'}}{% endif %}"
)
PHI35 = (
    "{% for message in messages %}{% if message['role'] == 'system' and message['content'] %}"
    "{{'<|system|>\n' + message['content'] + '<|end|>\n'}}{% elif message['role'] == 'user' %}"
    "{{'<|user|>\n' + message['content'] + '<|end|>\n'}}{% elif message['role'] == 'assistant' %}"
    "{{'<|assistant|>\n' + message['content'] + '<|end|>\n'}}{% endif %}{% endfor %}"
    "{% if add_generation_prompt %}{{ '<|assistant|>\n' }}{% else %}{{ eos_token }}{% endif %}"
)
PHI3 = PHI35.replace(" and message['content']", "")
PHI4 = (
    "{% for message in messages %}{% if (message['role'] == 'system') %}"
    "{{'<|im_start|>system<|im_sep|>' + message['content'] + '<|im_end|>'}}{% elif (message['role'] == 'user') %}"
    "{{'<|im_start|>user<|im_sep|>' + message['content'] + '<|im_end|>'}}{% elif (message['role'] == 'assistant') %}"
    "{{'<|im_start|>assistant<|im_sep|>' + message['content'] + '<|im_end|>'}}{% endif %}{% endfor %}"
    "{% if add_generation_prompt %}{{ '<|im_start|>assistant<|im_sep|>' }}{% endif %}"
)
ZEPHYR = (
    "{% for message in messages %}\n{% if message['role'] == 'user' %}\n"
    "{{ '<|user|>\n' + message['content'] + eos_token }}\n{% elif message['role'] == 'system' %}\n"
    "{{ '<|system|>\n' + message['content'] + eos_token }}\n{% elif message['role'] == 'assistant' %}\n"
    "{{ '<|assistant|>\n'  + message['content'] + eos_token }}\n{% endif %}\n"
    "{% if loop.last and add_generation_prompt %}\n{{ '<|assistant|>' }}\n{% endif %}\n{% endfor %}"
)
TULU = (
    "{% for message in messages %}{% if message['role'] == 'system' %}{{ '<|system|>\n' + message['content'] + '\n' }}"
    "{% elif message['role'] == 'user' %}{{ '<|user|>\n' + message['content'] + '\n' }}"
    "{% elif message['role'] == 'assistant' %}{% if not loop.last %}"
    "{{ '<|assistant|>\n'  + message['content'] + eos_token + '\n' }}{% else %}"
    "{{ '<|assistant|>\n'  + message['content'] + eos_token }}{% endif %}{% endif %}"
    "{% if loop.last and add_generation_prompt %}{{ '<|assistant|>\n' }}{% endif %}{% endfor %}"
)
VICUNA = (
    "{%- for message in messages %}{%- if message['role'] == 'system' -%}{{- '' + message['content'] + '\n\n' -}}"
    "{%- else -%}{%- if message['role'] == 'user' -%}{{-'USER: ' + message['content'] + '\n'-}}{%- else -%}"
    "{{-'ASSISTANT: ' + message['content'] + '</s>\n' -}}{%- endif -%}{%- endif -%}{%- endfor -%}"
    "{%- if add_generation_prompt -%}{{-'ASSISTANT:'-}}{%- endif -%}"
)
ALPACA = (
    "{{ bos_token }}{% if messages[0]['role'] == 'system' %}{{ messages[0]['content'] + '\n\n' }}"
    "{% set loop_messages = messages[1:] %}{% else %}{{ 'Below are some instructions that describe some tasks. Write "
    "responses that appropriately complete each request.' + '\n\n' }}{% set loop_messages = messages %}{% endif %}"
    "{% for message in loop_messages %}{% if message['role'] == 'user' %}"
    "{{ '### Instruction:\n' + message['content'] + '\n\n' }}{% elif message['role'] == 'assistant' %}"
    "{{ '### Response:\n' + message['content'] + eos_token + '\n\n' }}{% else %}"
    "{{ raise_exception('Only user and assistant roles are supported!') }}{% endif %}{% endfor %}"
    "{% if add_generation_prompt %}{{ '### Response:\n' }}{% endif %}"
)
NO_PROMPT = "{% if not add_generation_prompt is defined %}{% set add_generation_prompt = false %}{% endif %}"
DEEPSEEK = NO_PROMPT + (
    "{{ bos_token }}{% for message in messages %}{% if message['role'] == 'user' %}"
    "{{ 'User: ' + message['content'] + '\n\n' }}{% elif message['role'] == 'assistant' %}"
    "{{ 'Assistant: ' + message['content'] + eos_token }}{% elif message['role'] == 'system' %}"
    "{{ message['content'] + '\n\n' }}{% endif %}{% endfor %}{% if add_generation_prompt %}{{ 'Assistant:' }}{% endif %}"
)
CODER = """{% if not add_generation_prompt is defined %}
{% set add_generation_prompt = false %}
{% endif %}
{%- set ns = namespace(found=false) -%}
{%- for message in messages -%}
    {%- if message['role'] == 'system' -%}
        {%- set ns.found = true -%}
    {%- endif -%}
{%- endfor -%}
{{bos_token}}{%- if not ns.found -%}
{{'You are an AI programming assistant, utilizing the Deepseek Coder model, developed by Deepseek Company, and you only answer questions related to computer science. For politically sensitive questions, security and privacy issues, and other non-computer science questions, you will refuse to answer\\n'}}
{%- endif %}
{%- for message in messages %}
    {%- if message['role'] == 'system' %}
{{ message['content'] }}
    {%- else %}
        {%- if message['role'] == 'user' %}
{{'### Instruction:\\n' + message['content'] + '\\n'}}
        {%- else %}
{{'### Response:\\n' + message['content'] + '\\n<|EOT|>\\n'}}
        {%- endif %}
    {%- endif %}
{%- endfor %}
{% if add_generation_prompt %}
{{'### Response:'}}
{% endif %}"""
R1 = NO_PROMPT + (
    "{% set ns = namespace(is_first=false, is_tool=false, is_output_first=true, system_prompt='') %}"
    "{%- for message in messages %}{%- if message['role'] == 'system' %}{% set ns.system_prompt = message['content'] %}"
    "{%- endif %}{%- endfor %}{{bos_token}}{{ns.system_prompt}}{%- for message in messages %}"
    "{%- if message['role'] == 'user' %}{%- set ns.is_tool = false -%}{{'<｜User｜>' + message['content']}}{%- endif %}"
    "{%- if message['role'] == 'assistant' and message['content'] is none %}{{ raise_exception('tools') }}{%- endif %}"
    "{%- if message['role'] == 'assistant' and message['content'] is not none %}{%- if ns.is_tool %}"
    "{{ raise_exception('tools') }}{%- else %}{% set content = message['content'] %}{% if '</think>' in content %}"
    "{% set content = content.split('</think>')[-1] %}{% endif %}"
    "{{'<｜Assistant｜>' + content + '<｜end▁of▁sentence｜>'}}{%- endif %}{%- endif %}"
    "{%- if message['role'] == 'tool' %}{%- set ns.is_tool = true -%}{%- if ns.is_output_first %}"
    "{{ raise_exception('tools') }}{%- else %}{{ raise_exception('tools') }}{%- endif %}{%- endif %}{%- endfor -%}"
    "{% if ns.is_tool %}{{ raise_exception('tools') }}{% endif %}"
    "{% if add_generation_prompt and not ns.is_tool %}{{'<｜Assistant｜>'}}{% endif %}"
)

TEMPLATES = [
    ("chatml", CHATML),
    ("chatml", CHATML_LATER),
    ("chatml", CHATML.replace("{% endfor %}{% if add", "{% if loop.last and add") + "{% endfor %}"),
    ("chatml-bos", "{{bos_token}}" + CHATML),
    ("smollm2", SMOLLM2),
    ("qwen1.5", with_default("You are a helpful assistant")),
    ("qwen2", QWEN2),
    ("qwen2", qwen25("You are a helpful assistant.")),
    ("qwen2.5", qwen25("You are Qwen, created by Alibaba Cloud. You are a helpful assistant.")),
    ("qwen2.5-math", qwen25(r"Please reason step by step, and put your final answer within \\boxed{}.")),
    ("llama2", LLAMA2),
    ("llama3", LLAMA3),
    ("llama3", LLAMA3_FIRST),
    ("llama3.1", LLAMA31),
    ("llama3.1", LLAMA32),
    ("mistral", MISTRAL),
    ("mistral-v1", MISTRAL_V1),
    ("mistral-v3", MISTRAL_V3),
    ("mistral-v3-tekken", MISTRAL_TEKKEN),
    ("mistral-v7", MISTRAL_V7),
    ("gemma", GEMMA),
    ("phi3", PHI3),
    ("phi3.5", PHI35),
    ("phi4", PHI4),
    ("zephyr", ZEPHYR),
    ("tulu", TULU),
    ("tulu-bos", "{{ bos_token }}" + TULU),
    ("vicuna", VICUNA),
    ("alpaca", ALPACA),
    ("deepseek", DEEPSEEK),
    ("deepseek-coder", CODER),
    ("deepseek-r1", R1.replace("{{'<｜Assistant｜>'}}", "{{'<｜Assistant｜><think>\\n'}}")),
    ("deepseek-r1-plain", R1),
]


def turn(role, content):
    return {"role": role, "content": content}


CONVERSATIONS = [
    [turn("user", "Hi")],
    [turn("system", "You are terse."), turn("user", "What is 2 + 2?")],
    [turn("user", "A"), turn("assistant", " B \n"), turn("user", "\u00a0\u3000wide\u2028 \u001c")],
    [turn("system", " S "), turn("user", "A"), turn("assistant", "<think>x</think> y</think>\nB"), turn("user", " C ")],
    [turn("system", ""), turn("user", "  spaces \n around\t\n")],
    [turn("user", "A"), turn("assistant", "")],
    [turn("user", "don't 你好 \U0001f600 <|im_end|><|eot_id|></s>"), turn("assistant", "'q' \"and\" \\ {{ b }} {% if %}")],
    [turn("user", "A"), turn("system", "late"), turn("assistant", "B")],
    [turn("assistant", "first"), turn("user", "")],
    [turn("user", "one"), turn("user", "two")],
    [turn("system", "alone")],
    [turn("system", "twice"), turn("system", "again"), turn("user", "A")],
    [turn("user", "A"), turn("tool", "4"), turn("user", "B")],
    [turn("user", "A"), turn("critic", "4"), turn("user", "B")],
]
PLAIN = 4  # the first ones, which every template that takes their roles must render

DATE = "26 Jul 2024"


def tokenizer_with(**tokens):
    return PreTrainedTokenizerFast(tokenizer_object=Tokenizer(models.BPE()), **tokens)


def render(tokenizer, template, messages, date=DATE):
    """The text, or None if the template raises an error."""
    try:
        return tokenizer.apply_chat_template(
            messages, chat_template=template, tokenize=False, add_generation_prompt=True, date_string=date
        )
    except Exception:
        return None


def main():
    both = tokenizer_with(bos_token="<|bos|>", eos_token="<|eos|>")
    short = CONVERSATIONS[2][:2] + [turn("user", "C")]
    out = []
    for family, template in TEMPLATES:
        out.append({
            "family": family,
            "template": template,
            "renderings": [render(both, template, messages) for messages in CONVERSATIONS],
            "no_bos": render(tokenizer_with(eos_token="<|eos|>"), template, short),
            "no_eos": render(tokenizer_with(bos_token="<|bos|>"), template, short),
            "dated": render(both, template, short, date="3 Mar 2031"),
        })
    print(json.dumps({"plain": PLAIN, "short": short, "conversations": CONVERSATIONS, "templates": out}, indent=1))


if __name__ == "__main__":
    main()
