"""What the peer checks share: running gee-cl, and SmolLM2 in transformers.

Rule: nothing here is taken from gee-cl's code; entropies, loss and update are written anew from the method.
"""

import copy
import functools
import json
import os
import subprocess
import sys
import tempfile

os.environ.setdefault("HF_HUB_OFFLINE", "1")
os.environ.setdefault("TRANSFORMERS_VERBOSITY", "error")
# Other tests run on the other processors, and PyTorch's threads would wait for each other.
os.environ.setdefault("OMP_NUM_THREADS", "1")
import torch  # noqa: E402  (after the environment)

torch.manual_seed(0)

from transformers import AutoModelForCausalLM, AutoTokenizer, utils  # noqa: E402

utils.logging.disable_progress_bar()

BINARY, MODEL = os.path.abspath(sys.argv[1]), os.path.abspath(sys.argv[2])
FOLDER = tempfile.mkdtemp(prefix="gee-peer-")


def gee(*arguments):
    """Runs gee-cl; its stdout, or an AssertionError with what it said."""
    done = subprocess.run([BINARY, *map(str, arguments)], capture_output=True, text=True, cwd=FOLDER)
    assert done.returncode == 0, f"gee-cl {' '.join(map(str, arguments))}: {done.returncode}\n{done.stderr}"
    return done.stdout


def path(*names):
    return os.path.join(FOLDER, *names)


@functools.cache
def loaded_model():
    folder, name = os.path.split(MODEL)
    model = AutoModelForCausalLM.from_pretrained(folder, gguf_file=name, dtype=torch.float32).eval()
    # PyTorch gives the padding token's embedding no gradient, but SmolLM2's padding token is <|im_end|>, which a chat is full of.
    model.get_input_embeddings().padding_idx = None
    return model


def base_model():
    """A fresh SmolLM2 as transformers reads it from the GGUF, float32, without dropout."""
    return copy.deepcopy(loaded_model())


def json_lines(name):
    with open(name) as file:
        return [json.loads(line) for line in file]


def distributions(model, prompt, answer, tau):
    """log p of the distribution that each answer token is predicted from, [len(answer), vocabulary]."""
    hidden = model.get_decoder()(input_ids=torch.tensor([prompt + answer[:-1]])).last_hidden_state[0]
    logits = model.get_output_embeddings()(hidden[len(prompt) - 1 :])
    return torch.log_softmax(logits / tau, dim=-1)


def predictions(model, prompt, answer, tau):
    """(log p of each answer token, entropy of the distribution it is predicted from), both [len(answer)]."""
    logp = distributions(model, prompt, answer, tau)
    return logp[torch.arange(len(answer)), torch.tensor(answer)], -(logp.exp() * logp).sum(-1)


def check(what, error, tolerance):
    """`not (error <= tolerance)` also refuses NaN."""
    print(f"  {what}: {error:.3g} (allowed {tolerance:g})", flush=True)
    if not error <= tolerance:
        sys.exit(f"FAILED: {what} is off by {error:.6g}, allowed {tolerance:g}")
