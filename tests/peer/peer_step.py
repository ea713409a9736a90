"""Training recomputed elsewhere: from the config, samples.jsonl and step_0, PyTorch + PEFT give the loss, the gradient norm and
the weights that gee-cl logged and saved."""

import shutil

import torch
from common import FOLDER, MODEL, base_model, check, distributions, gee, json_lines, path
from peft import PeftModel, get_peft_model_state_dict, set_peft_model_state_dict
from safetensors.torch import load_file

GROUPS = ("female", "male")

CONFIG = """
[model]
path = {model}
[data]
use_test_data = true
[sampling]
max_new_tokens = 8
sample_temp = 1.0
repetition_penalty = 1.1
[loss]
pairing = {pairing}
lambda_weight = {lam}
em_weight = {em}
temperature = {tau}
use_l1 = {l1}
form = {form}
kl_weight = {kl}
[lora]
rank = 4
alpha = 8
targets = {targets}
[train]
mode = {mode}
max_steps = {steps}
effective_batch = 4
micro_batch_size = 3
learning_rate = {lr}
epsilon = {eps}
max_grad_norm = {clip}
[output]
save_root = runs
run_name = {name}
save_steps = 1
save_initial = true
[track]
samples = true
"""

# AdamW's first steps are ±lr by sign wherever |g| is above epsilon. At 1e-8 that holds for gradients the size of float32's
# rounding (a clipped gradient's elements are about 1e-3), so over several steps a few such elements decide the comparison;
# at 1e-6 it compares the arithmetic.
DEFAULTS = dict(model=MODEL, pairing="own", lam=3.0, em=1.0, tau=1.0, l1="false", targets="q_proj,v_proj", mode="lora",
                steps=2, lr=5e-4, clip=1.0, eps=1e-6, form="pairwise", kl=0.0, gradients=0)  # fmt: skip
# `gradients` names the step whose gradients are compared tensor by tensor: with adapters the second, when B is no longer 0 and
# A's are not.
RUNS = [
    dict(DEFAULTS, name="own", targets="all", gradients=2),
    dict(DEFAULTS, name="default_epsilon", eps=1e-8, steps=1),
    dict(DEFAULTS, name="paired", pairing="paired", lam=100.0, em=0.0, targets="all", gradients=2),
    dict(DEFAULTS, name="l1", pairing="paired", l1="true", tau=0.5, targets="o_proj,gate_proj,down_proj", clip=0.1),
    # Both divergences; at this rate they are far from 0 in the second step.
    dict(DEFAULTS, name="divergences", pairing="paired", form="symmetric_kl", kl=0.5, tau=0.8, targets="all", lr=2e-3,
         gradients=2),
    # At a small rate the change would drown in the rounding of the float32 weights it is added to.
    dict(DEFAULTS, name="full", mode="full", steps=1, lr=1e-3, gradients=1),
]


def kl(logp, logq):
    """The mean over the answer's tokens of KL(p ‖ q)."""
    return (logp.exp() * (logp - logq)).sum(-1).mean()


def entropy_bias(logps, batch, run):
    """(H_g − H_h)² or |·| of the groups' mean entropies."""
    H = [-(logp.exp() * logp).sum(-1).mean() for logp in logps]
    means = [torch.stack([h for h, s in zip(H, batch) if s["group"] == name]).mean() for name in GROUPS]
    difference = means[0] - means[1]
    return difference.abs() if run["l1"] == "true" else difference**2


def partner_bias(logps, batch):
    """The mean of KL(p ‖ q) over answers under either prompt, q under the other."""
    keys = [(s["unit"], s["answer_of"], s["group"]) for s in batch]
    other = {GROUPS[0]: GROUPS[1], GROUPS[1]: GROUPS[0]}
    partners = [keys.index((unit, of, other[group])) for unit, of, group in keys]
    return torch.stack([kl(logp, logps[partner]) for logp, partner in zip(logps, partners)]).mean()


def loss_of(logps, bases, batch, run):
    """em_weight · H̄ + λ · the bias + kl_weight · KL(trained ‖ base), as the method defines it."""
    H = torch.stack([-(logp.exp() * logp).sum(-1).mean() for logp in logps]).mean()
    bias = partner_bias(logps, batch) if run["form"] == "symmetric_kl" else entropy_bias(logps, batch, run)
    loss = run["em"] * H + run["lam"] * bias
    return loss + run["kl"] * torch.stack([kl(p, q) for p, q in zip(logps, bases)]).mean() if bases else loss


def saved(run, step):
    name = "model.safetensors" if run["mode"] == "full" else "adapter_model.safetensors"
    return load_file(path("runs", run["name"], f"step_{step}", name))


def gradients(run, step):
    """The clipped gradients that gee-cl took `step` with, from AdamW's first moment: m = 0.9 · m_before + 0.1 · g."""
    moments = load_file(path("runs", run["name"], f"step_{step}", "optimizer.safetensors"))
    before = load_file(path("runs", run["name"], f"step_{step - 1}", "optimizer.safetensors"))
    names = [name for name in moments if name.startswith("exp_avg.")]
    return {n.removeprefix("exp_avg."): (moments[n].double() - 0.9 * before[n].double()) / 0.1 for n in names}


def check_gradients(what, found, named):
    """Relative L2 per tensor, the worst; a tensor whose gradient is 0 (A before B has moved) must be 0 in both."""
    worst, where = 0.0, ""
    for name, parameter in named.items():
        g, own = parameter.grad, found.pop(name)
        norm = g.norm().item()
        error = (own - g).norm().item() / norm if norm > 0 else own.norm().item()
        assert error == error, f"the gradient of {name} is not a number"
        if error >= worst:
            worst, where = error, name
    assert not found, f"gee-cl trains what PyTorch does not: {list(found)[:3]}"
    check(f"{what}, the worst of {len(named)} gradients ({where}), relative L2", worst, 1e-4)


def check_run(run):
    print(run["name"], flush=True)
    with open(path("config.ini"), "w") as file:
        file.write(CONFIG.format(**run))
    gee("train", "config.ini")
    folder = path("runs", run["name"])
    samples, metrics = json_lines(folder + "/samples.jsonl"), json_lines(folder + "/metrics.jsonl")

    model = base_model()
    full = run["mode"] == "full"
    if not full:
        model = PeftModel.from_pretrained(model, folder + "/step_0", is_trainable=True)
    model = model.double()  # so that what differs is gee-cl's
    inner = model if full else model.get_base_model()
    trained = [p for p in model.parameters() if p.requires_grad]
    optimizer = torch.optim.AdamW(trained, lr=run["lr"], betas=(0.9, 0.999), eps=run["eps"], weight_decay=0.01)

    def state():
        return model.state_dict() if full else get_peft_model_state_dict(model)

    def load(values):
        if full:
            model.load_state_dict(values, strict=False)  # a tied head is not among gee-cl's
        else:
            set_peft_model_state_dict(model, dict(values))

    start = {name: value.clone() for name, value in state().items()}
    for name, value in saved(run, 0).items():
        assert torch.equal(value, start[name].float()), f"step_0: {name} is not what PyTorch loads"

    def read(batch):
        return [distributions(inner, s["prompt_tokens"], s["answer_tokens"], run["tau"]) for s in batch]

    def backward(step):
        """The loss over the step's samples and its gradient's norm; leaves the clipped gradient."""
        batch = [s for s in samples if s["step"] == step]
        scored = 4 * len(GROUPS) if run["pairing"] == "paired" else 4  # a line for each prompt an answer is scored under
        assert len(batch) == scored, f"samples.jsonl has {len(batch)} lines for step {step}"
        logps, bases = read(batch), []
        if run["kl"] > 0:
            with torch.no_grad(), model.disable_adapter():
                bases = read(batch)
        loss = loss_of(logps, bases, batch, run)
        optimizer.zero_grad()
        loss.backward()
        return loss.item(), torch.nn.utils.clip_grad_norm_(trained, run["clip"]).item()

    for step in range(1, run["steps"] + 1):
        if run["gradients"] == step:  # at the very weights that gee-cl had
            own = {name: value.clone() for name, value in state().items()}
            load(saved(run, step - 1))
            backward(step)
            named = {n.replace(".default.", "."): p for n, p in model.named_parameters() if p.requires_grad}
            check_gradients(f"step {step}", gradients(run, step), named)
            load(own)
        loss, norm = backward(step)
        optimizer.step()
        logged = metrics[step - 1]
        check(f"step {step} loss", abs(loss - logged["loss"]) / max(abs(loss), 1e-3), 1e-4)
        check(f"step {step} gradient norm", abs(norm - logged["grad_norm"]) / norm, 1e-3)

    end, found = state(), saved(run, run["steps"])
    assert full or set(found) == set(start), "the adapter's tensors are not PEFT's"
    error = sum(((found[n].double() - end[n]) ** 2).sum().item() for n in found)
    change = sum(((end[n] - start[n]) ** 2).sum().item() for n in found)
    assert change > 0, "nothing was trained"
    check(f"change of the weights after {run['steps']} steps, relative L2", (error / change) ** 0.5, 1e-3)


try:
    for run in RUNS:
        check_run(run)
finally:
    shutil.rmtree(FOLDER)
