// The table of chat templates. Rule: an entry renders what transformers prints of every template that one of
// its patterns matches, with add_generation_prompt and without tools; tests/text/make_chat_golden.py holds it
// to that. In a pattern * stands for the whole inside of a branch that only tools reach.
#include "chat_families.h"

#include "chat_template.h"

#define LOOP     "{%formessageinmessages%}"
#define END_LOOP "{%endfor%}"
#define NO_PROMPT_BY_DEFAULT                                                                                 \
  "{%ifnotadd_generation_promptisdefined%}{%setadd_generation_prompt=false%}{%endif%}"
#define PROMPT(text)     "{%ifadd_generation_prompt%}{{'" text "'}}{%endif%}"
#define END_PROMPT(text) "{%ifloop.lastandadd_generation_prompt%}{{'" text "'}}{%endif%}" // inside the loop

// ---- ChatML ----

#define CHATML_TURN                                                                                          \
  { "<|im_start|>" CHAT_ROLE "\n", "<|im_end|>\n" }
#define CHATML_ANSWER  "<|im_start|>assistant\n"
#define CHATML_MESSAGE "{{'<|im_start|>'+message.role+'\n'+message.content+'<|im_end|>\n'}}"
#define CHATML(first)  LOOP first CHATML_MESSAGE END_LOOP PROMPT(CHATML_ANSWER)
#define DEFAULT_SYSTEM(text)                                                                                 \
  "{%ifloop.firstandmessages[0].role!='system'%}{{'<|im_start|>system\n" text "<|im_end|>\n'}}{%endif%}"
#define CHATML_ALL CHATML_TURN, CHATML_TURN, CHATML_TURN

// Qwen2.5 and the templates made after it.
#define QWEN25(text)                                                                                         \
  "{%iftools%}*{%else%}"                                                                                     \
  "{%ifmessages[0].role=='system'%}{{'<|im_start|>system\n'+messages[0].content+'<|im_end|>\n'}}"            \
  "{%else%}{{'<|im_start|>system\n" text "<|im_end|>\n'}}{%endif%}{%endif%}" LOOP                            \
  "{%if(message.role=='user')or(message.role=='system'andnotloop.first)"                                     \
  "or(message.role=='assistant'andnotmessage.tool_calls)%}" CHATML_MESSAGE                                   \
  "{%elifmessage.role=='assistant'%}*{%elifmessage.role=='tool'%}*{%endif%}" END_LOOP                        \
  PROMPT(CHATML_ANSWER)

#define SMOLLM2_TEXT "You are a helpful AI assistant named SmolLM, trained by Hugging Face"
#define QWEN25_TEXT  "You are Qwen, created by Alibaba Cloud. You are a helpful assistant."
#define QWEN2_TEXT   "You are a helpful assistant."
#define QWEN15_TEXT  "You are a helpful assistant" // without a full stop
// \boxed with one backslash; in the canonical form of a template it is escaped.
#define MATH_TEXT(backslash)                                                                                 \
  "Please reason step by step, and put your final answer within " backslash "boxed{}."

// ---- Llama 3 ----

#define LLAMA3_HEADER(role) "<|start_header_id|>" role "<|end_header_id|>\n\n"
#define LLAMA3_TURN                                                                                          \
  { LLAMA3_HEADER(CHAT_ROLE), "<|eot_id|>" }
#define LLAMA3_MESSAGE                                                                                       \
  "'<|start_header_id|>'+message.role+'<|end_header_id|>\n\n'+message.content|trim+'<|eot_id|>'"
#define LLAMA3                                                                                               \
  "{%setloop_messages=messages%}{%formessageinloop_messages%}{%setcontent=" LLAMA3_MESSAGE "%}"              \
  "{%ifloop.index0==0%}{%setcontent=bos_token+content%}{%endif%}{{content}}{%endfor%}"
// `date` sets date_string; `environment` prints what only tools need.
#define LLAMA31(date, environment)                                                                           \
  "{{bos_token}}{%ifcustom_toolsisdefined%}{%settools=custom_tools%}{%endif%}"                               \
  "{%ifnottools_in_user_messageisdefined%}*{%endif%}{%ifnotdate_stringisdefined%}" date "{%endif%}"          \
  "{%ifnottoolsisdefined%}{%settools=none%}{%endif%}"                                                        \
  "{%ifmessages[0].role=='system'%}{%setsystem_message=messages[0].content|trim%}"                           \
  "{%setmessages=messages[1:]%}{%else%}{%setsystem_message=''%}{%endif%}"                                    \
  "{{'" LLAMA3_HEADER("system") "'}}" environment "{{'Cutting Knowledge Date: December 2023\n'}}"            \
                                "{{'Today Date: '+date_string+'\n\n'}}"                                      \
                                "{%iftoolsisnotnoneandnottools_in_user_message%}*{%endif%}{{system_message}" \
                                "}{{'<|eot_id|>'}}"                                                          \
                                "{%iftools_in_user_messageandnottoolsisnone%}*{%endif%}" LOOP                \
                                "{%ifnot(message.role=='ipython'ormessage.role=='tool'or'tool_calls'"        \
                                "inmessage)%}{{" LLAMA3_MESSAGE "}}"                                         \
                                "{%elif'tool_calls'inmessage%}*{%elifmessage.role=='tool'ormessage.role=='"  \
                                "ipython'%}*{%endif%}"                                                       \
                                "{%endfor%}" PROMPT(LLAMA3_HEADER("assistant"))
#define LLAMA31_DATE "{%setdate_string='26 Jul 2024'%}"
// strftime_now is today's date in transformers.
#define LLAMA32_DATE                                                                                         \
  "{%ifstrftime_nowisdefined%}{%setdate_string=strftime_now('%d %b %Y')%}{%else%}" LLAMA31_DATE "{%endif%}"

// ---- Llama 2 and Mistral ----

#define ALTERNATE "Conversation roles must alternate user/assistant/user/assistant/..."
#define CHECK_TURN(text)                                                                                     \
  "{%if(message.role=='user')!=(loop.index0%2==0)%}{{raise_exception('" text "')}}{%endif%}"
#define CHECK_LATER_TURN                                                                                     \
  "After the optional system message, conversation roles must alternate user/assistant/user/assistant/..."
#define ONLY_TWO_ROLES                                                                                       \
  "{%else%}{{raise_exception('Only user and assistant roles are supported, with the exception of an "        \
  "initial optional system message!')}}{%endif%}"
#define LLAMA2                                                                                               \
  "{%ifmessages[0].role=='system'%}{%setloop_messages=messages[1:]%}"                                        \
  "{%setsystem_message=messages[0].content%}{%else%}{%setloop_messages=messages%}"                           \
  "{%setsystem_message=false%}{%endif%}{%formessageinloop_messages%}" CHECK_TURN(                            \
      ALTERNATE) "{%ifloop.index0==0andsystem_message!=false%}"                                              \
                 "{%setcontent='<<SYS>>\n'+system_message+'\n<</SYS>>\n\n'+message.content%}"                \
                 "{%else%}{%setcontent=message.content%}{%endif%}"                                           \
                 "{%ifmessage.role=='user'%}{{bos_token+'[INST] '+content.strip()+' [/INST]'}}"              \
                 "{%elifmessage.role=='assistant'%}{{' '+content.strip()+' '+eos_token}}{%endif%}{%endfor%}"
#define MISTRAL                                                                                              \
  "{{bos_token}}" LOOP CHECK_TURN(                                                                           \
      ALTERNATE) "{%ifmessage.role=='user'%}{{'[INST] '+message.content+' [/INST]'}}"                        \
                 "{%elifmessage.role=='assistant'%}{{message.content+eos_token}}"                            \
                 "{%else%}{{raise_exception('Only user and assistant roles are "                             \
                 "supported!')}}{%endif%}" END_LOOP
#define TAKE_SYSTEM                                                                                          \
  "{%ifmessages[0].role=='system'%}{%setsystem_message=messages[0].content%}"                                \
  "{%setloop_messages=messages[1:]%}{%else%}{%setloop_messages=messages%}{%endif%}"
#define MISTRAL_V1                                                                                           \
  TAKE_SYSTEM "{{bos_token}}{%formessageinloop_messages%}" CHECK_TURN(                                       \
      CHECK_LATER_TURN) "{%ifmessage.role=='user'%}{%ifloop.firstandsystem_messageisdefined%}"               \
                        "{{' [INST] '+system_message+'\n\n'+message.content+' [/INST]'}}"                    \
                        "{%else%}{{' [INST] '+message.content+' [/INST]'}}{%endif%}"                         \
                        "{%elifmessage.role=='assistant'%}{{' '+message.content+eos_token}}" ONLY_TWO_ROLES  \
                        "{%endfor%}"
// `open` and `calls` are how the two tokenizers write them; `answer` prints an assistant's message.
#define MISTRAL_V3(open, calls, answer)                                                                      \
  TAKE_SYSTEM "{%ifnottoolsisdefined%}{%settools=none%}{%endif%}"                                            \
              "{%setuser_messages=loop_messages|selectattr('role','equalto','user')|list%}"                  \
              "{%setns=namespace()%}{%setns.index=0%}{%formessageinloop_messages%}"                          \
              "{%ifnot(message.role=='tool'ormessage.role=='tool_results'or"                                 \
              "(message.tool_callsisdefinedandmessage.tool_callsisnotnone))%}"                               \
              "{%if(message.role=='user')!=(ns.index%2==0)%}{{raise_exception('" CHECK_LATER_TURN            \
              "')}}{%endif%}"                                                                                \
              "{%setns.index=ns.index+1%}{%endif%}{%endfor%}{{bos_token}}{%formessageinloop_messages%}"      \
              "{%ifmessage.role=='user'%}{%iftoolsisnotnoneand(message==user_messages[-1])%}*{%endif%}"      \
              "{%ifloop.lastandsystem_messageisdefined%}"                                                    \
              "{{'" open "'+system_message+'\n\n'+message.content+'[/INST]'}}"                               \
              "{%else%}{{'" open "'+message.content+'[/INST]'}}{%endif%}{%elif" calls "%}*"                  \
              "{%elifmessage.role=='assistant'%}{{" answer "+eos_token}}"                                    \
              "{%elifmessage.role=='tool_results'ormessage.role=='tool'%}*" ONLY_TWO_ROLES "{%endfor%}"
#define HAS_CALLS "message.tool_callsisdefinedandmessage.tool_callsisnotnone"
#define MISTRAL_V7                                                                                           \
  "{{bos_token}}" LOOP "{%ifmessage.role=='user'%}{{'[INST] '+message.content+'[/INST]'}}"                   \
  "{%elifmessage.role=='system'%}{{'[SYSTEM_PROMPT] '+message.content+'[/SYSTEM_PROMPT]'}}"                  \
  "{%elifmessage.role=='assistant'%}{{' '+message.content+eos_token}}"                                       \
  "{%else%}{{raise_exception('Only user, system and assistant roles are supported!')}}{%endif%}" END_LOOP

// ---- others ----

#define GEMMA                                                                                                \
  "{%ifmessages[0].role=='system'%}{{raise_exception('System role not supported')}}{%endif%}" LOOP           \
  CHECK_TURN(                                                                                                \
      ALTERNATE) "{%if(message.role=='assistant')%}{%setrole='model'%}{%else%}{%setrole=message.role%}{%"    \
                 "endif%}"                                                                                   \
                 "{{'<start_of_turn>'+role+'\n'+message.content|trim+'<end_of_turn>\n'}}" END_LOOP PROMPT(   \
                     "<start_of_turn>model\n")
#define PHI3(system)                                                                                         \
  LOOP                                                                                                       \
      "{%ifmessage.role=='system'" system "%}{{'<|system|>\n'+message.content+'<|end|>\n'}}"                 \
      "{%elifmessage.role=='user'%}{{'<|user|>\n'+message.content+'<|end|>\n'}}"                             \
      "{%elifmessage.role=='assistant'%}{{'<|assistant|>\n'+message.content+'<|end|>\n'}}{%endif%}" END_LOOP \
      "{%ifadd_generation_prompt%}{{'<|assistant|>\n'}}{%else%}{{eos_token}}{%endif%}"
#define PHI4                                                                                                 \
  LOOP "{%if(message.role=='system')%}{{'<|im_start|>system<|im_sep|>'+message.content+'<|im_end|>'}}"       \
       "{%elif(message.role=='user')%}{{'<|im_start|>user<|im_sep|>'+message.content+'<|im_end|>'}}"         \
       "{%elif(message.role=='assistant')%}"                                                                 \
       "{{'<|im_start|>assistant<|im_sep|>'+message.content+'<|im_end|>'}}{%endif%}" END_LOOP PROMPT(        \
           "<|im_start|>assistant<|im_sep|>")
#define ZEPHYR                                                                                               \
  LOOP "{%ifmessage.role=='user'%}{{'<|user|>\n'+message.content+eos_token}}\n"                              \
       "{%elifmessage.role=='system'%}{{'<|system|>\n'+message.content+eos_token}}\n"                        \
       "{%elifmessage.role=='assistant'%}{{'<|assistant|>\n'+message.content+eos_token}}\n{%endif%}"         \
       "{%ifloop.lastandadd_generation_prompt%}{{'<|assistant|>'}}\n{%endif%}" END_LOOP
#define TULU                                                                                                 \
  LOOP "{%ifmessage.role=='system'%}{{'<|system|>\n'+message.content+'\n'}}"                                 \
       "{%elifmessage.role=='user'%}{{'<|user|>\n'+message.content+'\n'}}"                                   \
       "{%elifmessage.role=='assistant'%}{%ifnotloop.last%}"                                                 \
       "{{'<|assistant|>\n'+message.content+eos_token+'\n'}}"                                                \
       "{%else%}{{'<|assistant|>\n'+message.content+eos_token}}{%endif%}{%endif%}" END_PROMPT(               \
           "<|assistant|>\n") END_LOOP
#define VICUNA                                                                                               \
  LOOP "{%ifmessage.role=='system'%}{{''+message.content+'\n\n'}}"                                           \
       "{%else%}{%ifmessage.role=='user'%}{{'USER: '+message.content+'\n'}}"                                 \
       "{%else%}{{'ASSISTANT: '+message.content+'</s>\n'}}{%endif%}{%endif%}" END_LOOP PROMPT("ASSISTANT:")
#define ALPACA_TEXT                                                                                          \
  "Below are some instructions that describe some tasks. Write responses that appropriately complete each "  \
  "request."
#define ALPACA                                                                                               \
  "{{bos_token}}{%ifmessages[0].role=='system'%}{{messages[0].content+'\n\n'}}"                              \
  "{%setloop_messages=messages[1:]%}{%else%}{{'" ALPACA_TEXT "\n\n'}}"                                       \
  "{%setloop_messages=messages%}{%endif%}{%formessageinloop_messages%}"                                      \
  "{%ifmessage.role=='user'%}{{'### Instruction:\n'+message.content+'\n\n'}}"                                \
  "{%elifmessage.role=='assistant'%}{{'### Response:\n'+message.content+eos_token+'\n\n'}}"                  \
  "{%else%}{{raise_exception('Only user and assistant roles are supported!')}}{%endif%}{%endfor%}" PROMPT(   \
      "### Response:\n")

// ---- DeepSeek ----

#define DEEPSEEK                                                                                             \
  NO_PROMPT_BY_DEFAULT                                                                                       \
  "{{bos_token}}" LOOP "{%ifmessage.role=='user'%}{{'User: '+message.content+'\n\n'}}"                       \
  "{%elifmessage.role=='assistant'%}{{'Assistant: '+message.content+eos_token}}"                             \
  "{%elifmessage.role=='system'%}{{message.content+'\n\n'}}{%endif%}" END_LOOP PROMPT("Assistant:")
#define CODER_TEXT                                                                                           \
  "You are an AI programming assistant, utilizing the Deepseek Coder model, developed by Deepseek "          \
  "Company, and you only answer questions related to computer science. For politically sensitive "           \
  "questions, security and privacy issues, and other non-computer science questions, you will refuse to "    \
  "answer\n"
#define CODER                                                                                                \
  NO_PROMPT_BY_DEFAULT                                                                                       \
  "{%setns=namespace(found=false)%}" LOOP                                                                    \
  "{%ifmessage.role=='system'%}{%setns.found=true%}{%endif%}" END_LOOP                                       \
  "{{bos_token}}{%ifnotns.found%}{{'" CODER_TEXT "'}}{%endif%}" LOOP                                         \
  "{%ifmessage.role=='system'%}{{message.content}}{%else%}"                                                  \
  "{%ifmessage.role=='user'%}{{'### Instruction:\n'+message.content+'\n'}}"                                  \
  "{%else%}{{'### Response:\n'+message.content+'\n<|EOT|>\n'}}{%endif%}{%endif%}" END_LOOP                   \
  "{%ifadd_generation_prompt%}{{'### Response:'}}\n{%endif%}"
#define R1_USER "<\xef\xbd\x9cUser\xef\xbd\x9c>"
#define R1_ANSWER                                                                                            \
  "<\xef\xbd\x9c"                                                                                            \
  "Assistant\xef\xbd\x9c>"
#define R1_END                                                                                               \
  "<\xef\xbd\x9c"                                                                                            \
  "end\xe2\x96\x81of\xe2\x96\x81sentence\xef\xbd\x9c>"
#define R1(prompt)                                                                                           \
  NO_PROMPT_BY_DEFAULT                                                                                       \
  "{%setns=namespace(is_first=false,is_tool=false,is_output_first=true,system_prompt='')%}" LOOP             \
  "{%ifmessage.role=='system'%}{%setns.system_prompt=message.content%}{%endif%}" END_LOOP                    \
  "{{bos_token}}{{ns.system_prompt}}" LOOP "{%ifmessage.role=='user'%}{%setns.is_tool=false%}{{'" R1_USER    \
  "'+message.content}}{%endif%}"                                                                             \
  "{%ifmessage.role=='assistant'andmessage.contentisnone%}*{%endif%}"                                        \
  "{%ifmessage.role=='assistant'andmessage.contentisnotnone%}{%ifns.is_tool%}*{%else%}"                      \
  "{%setcontent=message.content%}{%if'</think>'incontent%}{%setcontent=content.split('</think>')[-1]%}"      \
  "{%endif%}{{'" R1_ANSWER "'+content+'" R1_END "'}}{%endif%}{%endif%}"                                      \
  "{%ifmessage.role=='tool'%}*{%endif%}" END_LOOP "{%ifns.is_tool%}*{%endif%}"                               \
  "{%ifadd_generation_promptandnotns.is_tool%}{{'" prompt "'}}{%endif%}"
#define R1_FIELDS                                                                                            \
  .start = CHAT_BOS, .system = {"", ""}, .user = {R1_USER, ""}, .answer = {R1_ANSWER, R1_END},               \
  .place = SYSTEM_FIRST, .drop_thinking = true

static const ChatFamily FAMILIES[] = {
    {.name = "none"},
    {"chatml", "", CHATML_ALL, CHATML_TURN, .prompt = CHATML_ANSWER,
     .patterns = {CHATML(""), NO_PROMPT_BY_DEFAULT CHATML(""),
                  LOOP CHATML_MESSAGE END_PROMPT(CHATML_ANSWER) END_LOOP}},
    {"chatml-bos", CHAT_BOS, CHATML_ALL, CHATML_TURN, .prompt = CHATML_ANSWER,
     .patterns = {"{{bos_token}}" CHATML("")}},
    {"smollm2", "", CHATML_ALL, CHATML_TURN, .default_system = SMOLLM2_TEXT, .prompt = CHATML_ANSWER,
     .patterns = {CHATML(DEFAULT_SYSTEM(SMOLLM2_TEXT))}},
    {"qwen2.5", "", CHATML_ALL, .default_system = QWEN25_TEXT, .prompt = CHATML_ANSWER,
     .patterns = {QWEN25(QWEN25_TEXT)}},
    // of the two templates, the second drops other roles
    {"qwen2", "", CHATML_ALL, .default_system = QWEN2_TEXT, .prompt = CHATML_ANSWER,
     .patterns = {CHATML(DEFAULT_SYSTEM(QWEN2_TEXT)), QWEN25(QWEN2_TEXT)}},
    {"qwen1.5", "", CHATML_ALL, CHATML_TURN, .default_system = QWEN15_TEXT, .prompt = CHATML_ANSWER,
     .patterns = {CHATML(DEFAULT_SYSTEM(QWEN15_TEXT))}},
    {"qwen2.5-math", "", CHATML_ALL, .default_system = MATH_TEXT("\\"), .prompt = CHATML_ANSWER,
     .patterns = {QWEN25(MATH_TEXT("\\\\"))}},
    {"llama2", "", .system = {"<<SYS>>\n", "\n<</SYS>>\n\n"}, .user = {CHAT_NEEDED_BOS "[INST] ", " [/INST]"},
     .answer = {" ", " " CHAT_EOS}, .prompt = "", .place = SYSTEM_IN_FIRST_TURN, .strip = STRIP_ALL,
     .alternate = true, .patterns = {LLAMA2}},
    {"llama3", CHAT_NEEDED_BOS, LLAMA3_TURN, LLAMA3_TURN, LLAMA3_TURN, LLAMA3_TURN,
     .prompt = LLAMA3_HEADER("assistant"), .strip = STRIP_ALL,
     .patterns = {LLAMA3 PROMPT(LLAMA3_HEADER("assistant")), // the first release prompts always
                  LLAMA3 "{{'" LLAMA3_HEADER("assistant") "'}}"}},
    {"llama3.1", CHAT_BOS, LLAMA3_TURN, LLAMA3_TURN, LLAMA3_TURN, LLAMA3_TURN, .refuse_tools = true,
     .first_system = {LLAMA3_HEADER("system") "Cutting Knowledge Date: December 2023\nToday Date: " CHAT_DATE
                                              "\n\n",
                      "<|eot_id|>"},
     .default_system = "", .prompt = LLAMA3_HEADER("assistant"), .strip = STRIP_ALL,
     .patterns = {LLAMA31(LLAMA31_DATE, "{%ifbuiltin_toolsisdefinedortoolsisnotnone%}*{%endif%}"
                                        "{%ifbuiltin_toolsisdefined%}*{%endif%}"),
                  LLAMA31(LLAMA32_DATE, "{%iftoolsisnotnone%}*{%endif%}")}},
    {"mistral", CHAT_BOS, .user = {"[INST] ", " [/INST]"}, .answer = {"", CHAT_EOS}, .prompt = "",
     .alternate = true, .patterns = {MISTRAL}},
    {"mistral-v1", CHAT_BOS, .system = {"", "\n\n"}, .user = {" [INST] ", " [/INST]"},
     .answer = {" ", CHAT_EOS}, .prompt = "", .place = SYSTEM_IN_FIRST_TURN, .alternate = true,
     .patterns = {MISTRAL_V1}},
    {"mistral-v3", CHAT_BOS, .system = {"", "\n\n"}, .user = {"[INST] ", "[/INST]"},
     .answer = {" ", CHAT_EOS}, .prompt = "", .place = SYSTEM_IN_LAST_TURN, .strip = STRIP_ANSWERS,
     .alternate = true, .patterns = {MISTRAL_V3("[INST] ", HAS_CALLS, "' '+message.content|trim")}},
    {"mistral-v3-tekken", CHAT_BOS, .system = {"", "\n\n"}, .user = {"[INST]", "[/INST]"},
     .answer = {"", CHAT_EOS}, .prompt = "", .place = SYSTEM_IN_LAST_TURN, .alternate = true,
     .patterns = {MISTRAL_V3("[INST]", "(" HAS_CALLS ")", "message.content")}},
    {"mistral-v7", CHAT_BOS, .system = {"[SYSTEM_PROMPT] ", "[/SYSTEM_PROMPT]"},
     .user = {"[INST] ", "[/INST]"}, .answer = {" ", CHAT_EOS}, .prompt = "", .patterns = {MISTRAL_V7}},
    {"gemma", CHAT_BOS, .user = {"<start_of_turn>user\n", "<end_of_turn>\n"},
     .answer = {"<start_of_turn>model\n", "<end_of_turn>\n"}, .prompt = "<start_of_turn>model\n",
     .strip = STRIP_ALL, .alternate = true, .patterns = {"{{bos_token}}" GEMMA}},
    {"phi3", "", .system = {"<|system|>\n", "<|end|>\n"}, .user = {"<|user|>\n", "<|end|>\n"},
     .answer = {"<|assistant|>\n", "<|end|>\n"}, .prompt = "<|assistant|>\n", .patterns = {PHI3("")}},
    {"phi3.5", "", .system = {"<|system|>\n", "<|end|>\n"}, .user = {"<|user|>\n", "<|end|>\n"},
     .answer = {"<|assistant|>\n", "<|end|>\n"}, .prompt = "<|assistant|>\n", .skip_empty_system = true,
     .patterns = {PHI3("andmessage.content")}},
    {"phi4", "", .system = {"<|im_start|>system<|im_sep|>", "<|im_end|>"},
     .user = {"<|im_start|>user<|im_sep|>", "<|im_end|>"},
     .answer = {"<|im_start|>assistant<|im_sep|>", "<|im_end|>"}, .prompt = "<|im_start|>assistant<|im_sep|>",
     .patterns = {PHI4}},
    {"zephyr", "", // TinyLlama's too
     .system = {"<|system|>\n", CHAT_EOS "\n"}, .user = {"<|user|>\n", CHAT_EOS "\n"},
     .answer = {"<|assistant|>\n", CHAT_EOS "\n"}, .prompt = "<|assistant|>\n", .patterns = {ZEPHYR}},
    {"tulu", "", .system = {"<|system|>\n", "\n"}, .user = {"<|user|>\n", "\n"},
     .answer = {"<|assistant|>\n", CHAT_EOS "\n"}, .last_answer_after = CHAT_EOS, .prompt = "<|assistant|>\n",
     .patterns = {TULU}},
    {"tulu-bos", CHAT_BOS, // OLMo 2's
     .system = {"<|system|>\n", "\n"}, .user = {"<|user|>\n", "\n"},
     .answer = {"<|assistant|>\n", CHAT_EOS "\n"}, .last_answer_after = CHAT_EOS, .prompt = "<|assistant|>\n",
     .patterns = {"{{bos_token}}" TULU}},
    {"vicuna", "", .system = {"", "\n\n"}, .user = {"USER: ", "\n"}, .answer = {"ASSISTANT: ", "</s>\n"},
     .prompt = "ASSISTANT:", .patterns = {VICUNA}},
    {"alpaca", CHAT_BOS, .system = {"", "\n\n"}, .user = {"### Instruction:\n", "\n\n"},
     .answer = {"### Response:\n", CHAT_EOS "\n\n"}, .default_system = ALPACA_TEXT,
     .prompt = "### Response:\n", .place = SYSTEM_FIRST, .patterns = {ALPACA}},
    {"deepseek", CHAT_BOS, .system = {"", "\n\n"}, .user = {"User: ", "\n\n"},
     .answer = {"Assistant: ", CHAT_EOS}, .prompt = "Assistant:", .patterns = {DEEPSEEK}},
    {"deepseek-coder", CHAT_BOS, .system = {"", ""}, .user = {"### Instruction:\n", "\n"},
     .answer = {"### Response:\n", "\n<|EOT|>\n"}, .default_system = CODER_TEXT, .prompt = "### Response:\n",
     .place = SYSTEM_FIRST, .patterns = {CODER}},
    {.name = "deepseek-r1",
     R1_FIELDS,
     .prompt = R1_ANSWER "<think>\n",
     .patterns = {R1(R1_ANSWER "<think>\n")}},
    {.name = "deepseek-r1-plain", R1_FIELDS, .prompt = R1_ANSWER, .patterns = {R1(R1_ANSWER)}},
};

const ChatFamily *chat_family_at(size_t index) {
  return index < sizeof FAMILIES / sizeof *FAMILIES ? &FAMILIES[index] : NULL;
}

static bool matches(const ChatFamily *family, const char *canonical) {
  for (size_t i = 0; i < CHAT_MAX_PATTERNS && family->patterns[i] != NULL; i++) {
    if (chat_template_matches(family->patterns[i], canonical)) return true;
  }
  return false;
}

Status chat_family_of(const char *text, const ChatFamily **out) {
  Str canonical = {0};
  Status status = chat_template_canonical(text, &canonical);
  *out = NULL;
  for (size_t i = 0; status == STATUS_OK && *out == NULL && chat_family_at(i) != NULL; i++) {
    if (matches(chat_family_at(i), str_text(&canonical))) *out = chat_family_at(i);
  }
  str_free(&canonical);
  return status;
}
