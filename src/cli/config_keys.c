// The table of every config key: where it is stored, its default, its range, its effect on a resume, and its
// help. Rule: where the published method has a value, it is the default (docs/DESIGN.md, section 1).
#include "config.h"

#define FIELD(field) offsetof(Config, field)
#define BOOL(section, name, field, fallback, effect, help)                                                   \
  { section, name, KEY_BOOL, FIELD(field), fallback, 0, 0, NULL, effect, help }
#define SIZE(section, name, field, fallback, low, high, effect, help)                                        \
  { section, name, KEY_SIZE, FIELD(field), fallback, low, high, NULL, effect, help }
#define SEED(section, name, field, fallback, effect, help)                                                   \
  { section, name, KEY_SEED, FIELD(field), fallback, 0, 0, NULL, effect, help }
#define NUMBER(section, name, field, fallback, low, high, effect, help)                                      \
  { section, name, KEY_NUMBER, FIELD(field), fallback, low, high, NULL, effect, help }
#define CHOICE(section, name, field, fallback, choices, effect, help)                                        \
  { section, name, KEY_CHOICE, FIELD(field), fallback, 0, 0, choices, effect, help }
#define TEXT(section, name, field, fallback, effect, help)                                                   \
  { section, name, KEY_TEXT, FIELD(field), fallback, 0, 0, NULL, effect, help }
#define LINES(section, name, field, fallback, effect, help)                                                  \
  { section, name, KEY_LINES, FIELD(field), fallback, 0, 0, NULL, effect, help }
#define WORD(section, name, field, fallback, choices, effect, help)                                          \
  { section, name, KEY_TEXT, FIELD(field), fallback, 0, 0, choices, effect, help }

// What a resume does if the value differs (config.h, KeyEffectKind).
#define DECIDES                                                                                              \
  { EFFECT_DECIDES, "", NULL }
#define DECIDES_WITH(only, why)                                                                              \
  { EFFECT_DECIDES, why, only }
#define EXTENDS_WITH(only)                                                                                   \
  { EFFECT_EXTENDS, "", only }
#define LEADS_TO(fact)                                                                                       \
  { EFFECT_LEADS, fact, NULL }
#define ROUNDS(why)                                                                                          \
  { EFFECT_ROUNDS, why, NULL }
#define FREE(why)                                                                                            \
  { EFFECT_FREE, why, NULL }
#define LORA     DECIDES_WITH("train.mode=lora", "")
#define ANNEALED DECIDES_WITH("loss.auto_anneal=true", "")
#define PROMPTS  LEADS_TO("data (contents), bias_eval")
#define ANSWERS  LEADS_TO("sampling.max_new_tokens (within train.max_sequence_tokens), bias_eval")
#define MEASURED LEADS_TO("bias_eval")
#define APART    FREE("training runs no benchmarks")

#define MANY 1e9 // in effect no limit

// The words of a CHOICE are in the order of its enum.
const ConfigKey config_keys[] = {
    TEXT("model", "path", model.path, "", LEADS_TO("model (weights)"),
         "A Hugging Face folder or a .gguf file. Required."),
    CHOICE("model", "dtype", model.dtype, "stored", "stored|f32|f16|bf16", DECIDES,
           "How frozen weights are kept on the device; model.compute says how they are multiplied. stored "
           "keeps them as the file has them, so that a quantised .gguf stays as small as it is, and rounds "
           "nothing: on a CPU the bits are those of f32, which widens all. f16 and bf16 round to half of "
           "f32's memory."),
    CHOICE(
        "model", "quantise", model.quantise, "none", "none|q8_0|q4_k|nf4", LEADS_TO("model (weights)"),
        "Quantises the matrices of the layers when they are loaded, and keeps them so on the device (QLoRA): "
        "8.5, 4.5 and 4.5 bits a weight. The embedding and the head are kept as model.dtype says. Where "
        "no block of q4_k (256) or nf4 (64) divides the rows, q8_0 (32) is taken. Needs train.mode = lora "
        "and a "
        "model that is not quantised."),
    CHOICE(
        "model", "compute", model.compute, "f32", "f32|bf16|f16|int8", DECIDES,
        "How products with frozen weights are computed; everything else stays float32. bf16, on GPUs and on "
        "CPUs with AVX512-BF16: forward and back both factors are rounded to bfloat16. A GPU uses its matrix "
        "engine if it passes the self-test (NVIDIA from compute capability 8.0 on, AMD's RDNA 3 and 4 and "
        "CDNA, Intel's XMX), and reads weights of every type as they are stored. AMD's Zen 4 has these "
        "products at twice the rate of float32's, Intel's Emerald Rapids at half: see gee-cl bench. f16, on "
        "GPUs: the same with IEEE halves, which older cards have instructions for too (NVIDIA from 7.5 on, "
        "AMD's dot2 of Vega 20 and RDNA 2). Each row of the input and each matrix of weights is multiplied "
        "by a power of two that brings it into a half's range, so nothing overflows or is lost and no loss "
        "scale is needed. int8, "
        "on CPUs with AVX512-VNNI: where no gradient is needed (sampling, reading answers again, gap, "
        "eval, generate, score) both are rounded to 8 bits with a scale for each 32, and blocks of a "
        "quantised file that model.dtype = stored keeps are taken as they are; about three times as fast. "
        "Entropies of tokens change by 0.01 nats on average with bf16, by 0.06 with int8. Needs train.mode "
        "= lora."),
    TEXT("model", "chat_template", model.chat_template, "auto", PROMPTS,
         "auto recognises the model's template; otherwise the name of one (chatml, smollm2, qwen2.5, llama3, "
         "...; a wrong name lists them)."),
    TEXT("model", "chat_date", model.chat_date, "", PROMPTS,
         "What a template that prints today's date (Llama 3.1 and later) prints; if empty, 26 Jul 2024, on "
         "any "
         "day."),

    TEXT("data", "train", data.train, "", PROMPTS,
         "Prompts: Parquet, JSON Lines, a JSON list, CSV, TSV, or .txt with one prompt per line; also packed "
         "(.gz, .zst)."),
    TEXT("data", "column", data.column, "", PROMPTS,
         "The column (or JSON member) that holds the prompt; \"outer.inner\" for nested objects. If empty, "
         "prompt; a file without columns needs none."),
    TEXT("data", "answer_column", data.answer_column, "", PROMPTS,
         "The column with the answer to each prompt, for train.objective = sft. If empty, `column` has "
         "chats, and "
         "each answer of the assistant in them is trained on."),
    BOOL("data", "use_test_data", data.use_test_data, "false", PROMPTS,
         "Use the built-in prompts about 80 occupations; column is then prompt, story, question or advice."),
    BOOL("data", "balance_dataset", data.balance_dataset, "true", PROMPTS,
         "Keep the same number of prompts for every group."),
    SIZE("data", "target_size", data.target_size, "0", 0, MANY, PROMPTS,
         "Prompts to keep after balancing; 0 keeps all."),
    NUMBER(
        "data", "held_out", data.held_out, "0.25", 0, 0.95, PROMPTS,
        "Share of the distinct prompts that are never trained on; the gap (of sft: the loss) is measured on "
        "them. Ignored if data.eval is set."),
    TEXT("data", "eval", eval.file, "", PROMPTS,
         "A file of prompts to measure the gap on (of sft: rows to measure the loss on), instead of held-out "
         "ones."),
    TEXT("data", "eval_column", eval.column, "", MEASURED, "The column of data.eval; if empty, data.column."),
    SIZE("data", "eval_sets", eval.sets, "40", 0, MANY, MEASURED,
         "Most counterfactual sets to measure the gap on (of sft: rows to measure the loss on), drawn by the "
         "seed; "
         "0 takes all."),
    SIZE("data", "eval_answers", eval.answers, "1", 1, 10000, MEASURED,
         "Answers sampled for each of these prompts."),
    WORD("data", "chat", data.chat, "auto", "auto|on|off", PROMPTS,
         "Wrap prompts in the chat template; auto does so if the model has one."),
    LINES("data", "system", data.system, "", PROMPTS, "System prompt; if empty, the template's default."),
    SIZE("data", "max_prompt_tokens", data.max_prompt_tokens, "2048", 1, MANY, PROMPTS,
         "Longer prompts are cut at the end."),
    TEXT("data", "types", data.types_file, "", PROMPTS,
         "A .json file of prompt types; if empty, the built-in ones."),

    TEXT("groups", "file", data.groups_file, "gender", PROMPTS,
         "gender, race, age, gender-zh and others in docs/GROUPS.md, or a .json file of your own."),
    CHOICE("groups", "counterfactual", data.counterfactual, "auto", "off|swap|template|auto", PROMPTS,
           "How a prompt becomes a set that differs only in the group. swap exchanges its group words, "
           "template puts "
           "the group in front, auto swaps if the prompt names a group and else takes a template; off does "
           "nothing."),

    SIZE("sampling", "max_new_tokens", sampling.max_new_tokens, "512", 1, 1e6, ANSWERS,
         "Most tokens of an answer."),
    NUMBER("sampling", "sample_temp", sampling.temperature, "0.5", 0, 100, DECIDES,
           "Sampling temperature; 0 is greedy."),
    NUMBER("sampling", "top_p", sampling.top_p, "0.95", 1e-6, 1, DECIDES,
           "Nucleus sampling; 1 turns it off."),
    SIZE("sampling", "top_k", sampling.top_k, "0", 0, MANY, DECIDES,
         "Keep the k likeliest tokens; 0 turns it off."),
    NUMBER("sampling", "repetition_penalty", sampling.repetition_penalty, "1.15", 1e-3, 100, DECIDES,
           "Above 1 makes tokens already seen less likely; 1 turns it off."),

    NUMBER("loss", "lambda_weight", loss.lambda_weight, "3.0", 0, MANY, DECIDES,
           "Weight of the group gap in the loss."),
    BOOL("loss", "use_l1", loss.use_l1, "false", DECIDES, "Use absolute differences instead of squares."),
    CHOICE("loss", "form", loss.form, "pairwise", "pairwise|centred|symmetric_kl", DECIDES,
           "pairwise: differences between groups. centred: differences between each group and the mean. "
           "symmetric_kl: the KL divergence, in both directions, between the distributions that the prompts "
           "of a set give at each token of an answer; it needs pairing = paired."),
    NUMBER("loss", "em_weight", loss.em_weight, "1.0", -MANY, MANY,
           DECIDES_WITH("loss.debias_only=false", ""),
           "Weight of the mean entropy (entropy minimisation); 0 trains the gap alone."),
    NUMBER("loss", "kl_weight", loss.kl_weight, "0", 0, MANY, DECIDES,
           "Weight of the KL divergence of the trained model from the base model, which keeps what it says "
           "close to what it said. It needs train.mode = lora."),
    BOOL("loss", "auto_anneal", loss.auto_anneal, "false", DECIDES,
         "Scale lambda_weight by gap / first gap, within anneal_min and anneal_max. Both gaps are smoothed: "
         "the "
         "first is that of the first four steps, and then each step counts a quarter."),
    NUMBER("loss", "anneal_min", loss.anneal_min, "0.1", 0, MANY, ANNEALED,
           "Smallest factor of auto_anneal."),
    NUMBER("loss", "anneal_max", loss.anneal_max, "10", 0, MANY, ANNEALED, "Largest factor of auto_anneal."),
    NUMBER("loss", "temperature", loss.entropy_temperature, "1.0", 1e-3, 1000, DECIDES,
           "Temperature of the entropy, not of sampling; plain entropy minimisation uses 0.5."),
    CHOICE("loss", "pairing", loss.pairing, "own", "own|paired", DECIDES,
           "own: each group's own answers, as published. paired: every answer is scored under every group's "
           "prompt, which removes the noise of what the answers say from the gap."),
    BOOL("loss", "unbiased", loss.unbiased, "false", DECIDES,
         "Subtract the variance of the measured gap from its square, which it biases upward."),
    BOOL(
        "loss", "debias_only", loss.debias_only, "false", DECIDES,
        "Train only the gap (em_weight = 0), and stop once the 95 % interval of the held-out paired gap lies "
        "within target_gap on both sides of 0. It is measured every train.bias_eval_steps, which must be "
        "set."),
    NUMBER("loss", "target_gap", loss.target_gap, "0.01", 0, MANY,
           DECIDES_WITH("loss.debias_only=true",
                        "the measurements in a row within it are counted across a resume"),
           "debias_only stops once the held-out gap, with its interval, is smaller than this many nats."),
    SIZE("loss", "target_evals", loss.target_evals, "3", 1, MANY, FREE("it only decides when a run ends"),
         "Measurements in a row that must say so. One could be chance, since the interval is looked at many "
         "times."),
    BOOL("loss", "task_weights_em", task_weights_em, "false", DECIDES,
         "Apply [task_weights] to the entropy term too, not only to the gap."),

    SIZE("lora", "rank", lora.rank, "8", 1, 4096, LORA, "Rank of the adapters."),
    NUMBER("lora", "alpha", lora.alpha, "16", 1e-6, MANY, LORA, "The adapters are scaled by alpha / rank."),
    NUMBER("lora", "dropout", lora.dropout, "0", 0, 0.99, LORA,
           "Dropout before the adapters during training."),
    TEXT("lora", "targets", lora.targets, "q_proj,v_proj", LORA,
         "all, or any of q_proj k_proj v_proj o_proj gate_proj up_proj down_proj, separated by commas."),

    CHOICE("train", "objective", objective, "gee", "gee|sft", LEADS_TO("data (contents)"),
           "gee trains the entropies of groups, on the model's own answers. sft trains on given answers: the "
           "mean "
           "cross-entropy of their tokens, with the token that ends an answer; the prompt is read but not "
           "learnt. "
           "[loss], [sampling] and [groups] are of gee alone."),
    SIZE("train", "epochs", epochs, "0", 0, 1e6, LEADS_TO("train.max_steps"),
         "How often sft sees each row, in place of max_steps: as many steps as that takes, the last one "
         "filled up "
         "with rows of another epoch; 0: max_steps says it."),
    CHOICE("train", "mode", mode, "lora", "lora|full", DECIDES,
           "lora trains small adapters, full every weight, in float32."),
    SIZE("train", "max_steps", train.max_steps, "50", 1, 1e8, EXTENDS_WITH("train.schedule=linear|cosine"),
         "Steps to train."),
    SIZE("train", "effective_batch", train.effective_batch, "64", 1, 1e6, DECIDES,
         "Prompts per step, each answered once; a multiple of the number of groups. The gap is measured over "
         "all of them."),
    SIZE("train", "micro_batch_size", train.micro_batch_size, "2", 1, 1e6,
         ROUNDS("the entropies stay the same; gradients are summed in other portions"),
         "Sequences that are trained on at once; a sequence is an answer after a prompt, so with pairing = "
         "paired each answer makes one for every group. It sets the memory; only rounding changes."),
    NUMBER("train", "learning_rate", train.learning_rate, "2e-5", 0, 10, DECIDES, "Learning rate of AdamW."),
    NUMBER("train", "beta1", train.beta1, "0.9", 0, 0.999999, DECIDES, "AdamW's first moment."),
    NUMBER("train", "beta2", train.beta2, "0.999", 0, 0.999999, DECIDES, "AdamW's second moment."),
    NUMBER("train", "epsilon", train.epsilon, "1e-8", 1e-30, 1, DECIDES,
           "AdamW's guard against division by zero."),
    NUMBER("train", "weight_decay", train.weight_decay, "0.01", 0, 10, DECIDES,
           "AdamW's decoupled weight decay."),
    NUMBER("train", "max_grad_norm", train.max_grad_norm, "1.0", 0, MANY, DECIDES,
           "Gradients with a larger norm are scaled down to it; 0 turns it off."),
    SIZE("train", "warmup_steps", train.warmup_steps, "0", 0, 1e8, DECIDES,
         "Steps over which the learning rate rises."),
    CHOICE("train", "schedule", train.schedule, "constant", "constant|linear|cosine", DECIDES,
           "The learning rate after the warm-up: constant, or falling to 0 at max_steps."),
    BOOL("train", "activation_checkpointing", train.activation_checkpointing, "false",
         FREE("recomputing gives the same bits"),
         "Keep only each layer's input and recompute the rest: less memory, a third more time."),
    SIZE("train", "head_tile_rows", train.head_tile_rows, "128", 1, 65536,
         ROUNDS("with train.mode = full the head's gradient is summed in other portions"),
         "Positions whose logits are held in memory at a time."),
    SIZE("train", "max_sequence_tokens", train.max_sequence_tokens, "4096", 2, 1e7, ANSWERS,
         "Most tokens of a prompt and its answer together; sft cuts what is longer at its end."),
    BOOL("train", "share_prompts", train.share_prompts, "true",
         ROUNDS("the gradient of a prompt's rows is summed in another order"),
         "Compute a prompt that several answers share only once: less work, the same numbers but for "
         "rounding."),
    SIZE("train", "log_steps", train.log_steps, "1", 1, 1e8, FREE(""),
         "Print a line every so many steps; metrics.jsonl has every step."),
    SIZE("train", "bias_eval_steps", train.bias_eval_steps, "0", 0, 1e8,
         FREE("measuring has random numbers of its own"),
         "Measure the gap (of sft: the loss) on held-out prompts every so many steps; 0 turns it off."),
    NUMBER(
        "train", "max_drift", train.max_drift, "0.25", 0, MANY, FREE("it only decides when a run ends"),
        "Stop once the mean entropy, smoothed over steps, has moved by more than this share of the first "
        "step's, beyond what may be noise; warn at half of it. A model that becomes certain of everything, "
        "or of nothing, has no gap either. 0 turns it off."),
    SEED("train", "seed", train.seed, "15", DECIDES,
         "Seed of all random numbers. The same config on the same device gives the same bits."),

    TEXT("output", "save_root", output.save_root, "runs", FREE(""), "Folder for all runs."),
    TEXT("output", "run_name", output.run_name, "gee", FREE(""), "Folder of this run, inside save_root."),
    SIZE("output", "save_steps", output.save_steps, "10", 0, 1e8, FREE(""),
         "Save a checkpoint every so many steps; 0 saves only the final one."),
    BOOL("output", "save_initial", output.save_initial, "false", FREE(""),
         "Also save step_0, before the first step."),

    TEXT("eval", "tasks", benchmarks.tasks, "", APART,
         "Benchmarks that gee-cl eval runs, between commas; gee-cl eval --help lists them."),
    TEXT("eval", "data_dir", benchmarks.data, "", APART,
         "The folder with the benchmarks' data, each in a folder of its own, as crows_pairs/."),
    SIZE("eval", "limit", benchmarks.limit, "0", 0, MANY, APART,
         "Most items of each benchmark, from the first on; 0 takes all."),

    WORD("device", "backend", device.backend, "auto", "auto|cuda|opencl",
         ROUNDS("another device sums in another order"),
         "auto takes CUDA where NVIDIA's libraries are, else OpenCL; `gee-cl devices` says what was found."),
    TEXT("device", "name", device.name, "auto", ROUNDS("another device sums in another order"),
         "auto (a GPU, else a CPU), cpu, gpu, an index from `gee-cl devices`, cuda:N or opencl:N, or part of "
         "a name."),
    WORD(
        "device", "gemm", gemm, "auto", "auto|own|vendor|clblast|cublas",
        ROUNDS("another product sums in another order"),
        "Matrix products: auto uses gee-cl's own kernel on a CPU, and on a GPU what `gee-cl tune` kept, else "
        "cuBLAS or CLBlast."),
    TEXT("device", "cache", device.cache_directory, "", FREE(""),
         "Folder for compiled kernels; if empty, $XDG_CACHE_HOME/gee-cl or ~/.cache/gee-cl."),

    BOOL("track", "samples", track.samples, "false", FREE(""),
         "Write every answer and its entropy to samples.jsonl."),
    BOOL("track", "tensorboard", track.tensorboard, "false", FREE(""),
         "Also write every metric for TensorBoard: tensorboard --logdir with output.save_root shows all "
         "runs."),
    BOOL("track", "wandb", track.wandb, "false", FREE(""),
         "Also write an offline run for Weights & Biases, in the folder wandb of the run; nothing is sent "
         "before `wandb sync` is called."),
    TEXT("track", "wandb_project", track.wandb_project, "gee-cl", FREE(""),
         "The project that `wandb sync` puts the run into; if empty, W&B's own choice."),
    TEXT("track", "wandb_name", track.wandb_name, "", FREE(""),
         "What W&B calls the run; if empty, output.run_name."),
    {0},
};

_Static_assert(sizeof config_keys / sizeof config_keys[0] <= CONFIG_MAX_KEYS,
               "CONFIG_MAX_KEYS holds every key");
_Static_assert(sizeof(Counterfactual) == sizeof(int) && sizeof(LossForm) == sizeof(int) &&
                   sizeof(Pairing) == sizeof(int) && sizeof(Schedule) == sizeof(int) &&
                   sizeof(TrainFor) == sizeof(int),
               "a KEY_CHOICE is stored as an int");
_Static_assert(COUNTERFACTUAL_OFF == 0 && COUNTERFACTUAL_SWAP == 1 && COUNTERFACTUAL_TEMPLATE == 2 &&
                   COUNTERFACTUAL_AUTO == 3,
               "the words of groups.counterfactual");
_Static_assert(LOSS_PAIRWISE == 0 && LOSS_CENTRED == 1 && LOSS_SYMMETRIC_KL == 2 && PAIRING_OWN == 0 &&
                   PAIRING_PAIRED == 1,
               "the words of loss.form and loss.pairing");
_Static_assert(TRAIN_GEE == 0 && TRAIN_SFT == 1, "the words of train.objective");
_Static_assert(SCHEDULE_CONSTANT == 0 && SCHEDULE_LINEAR == 1 && SCHEDULE_COSINE == 2,
               "the words of train.schedule");
