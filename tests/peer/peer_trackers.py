"""TensorBoard and W&B read what a run wrote, killed and resumed in between: the numbers of metrics.jsonl and bias_eval.jsonl."""

import gzip
import json
import math
import os
import pathlib
import shutil
import signal
import struct
import subprocess
import sys
import tempfile
import threading
import time
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

from tensorboard.backend.event_processing.event_accumulator import STORE_EVERYTHING_SIZE_GUIDANCE, EventAccumulator

GEE, MODEL = sys.argv[1:3]
FOLDER = pathlib.Path(tempfile.mkdtemp())
RUN = FOLDER / "run"
STEPS, KILLED_AT = 6, 3
SETS = {
    "model.path": MODEL, "output.save_root": FOLDER, "output.run_name": "run", "output.save_steps": 2,
    "track.tensorboard": "true", "track.wandb": "true", "track.wandb_project": "a project", "track.wandb_name": "a run",
    "train.max_steps": STEPS, "train.effective_batch": 4, "train.micro_batch_size": 4, "train.bias_eval_steps": 2,
    "train.max_drift": 0, "data.eval_sets": 2, "sampling.max_new_tokens": 6,
}  # fmt: skip


def start(*options):
    sets = [f"--set={key}={value}" for key, value in SETS.items()]
    return subprocess.Popen([GEE, "train", "configs/quickstart.ini", *sets, *options], stdout=subprocess.DEVNULL)


def lines(name):
    path = RUN / name
    return [json.loads(line) for line in path.read_text().splitlines()] if path.exists() else []


def check(what, found, expected):
    if found != expected:
        raise SystemExit(f"FAILED: {what} is {found!r}, not {expected!r}")


# ---- TensorBoard ----


def board():
    return EventAccumulator(str(RUN), size_guidance=STORE_EVERYTHING_SIZE_GUIDANCE).Reload()


def curves(events):
    return {tag: [(event.step, known(event.value)) for event in events.Scalars(tag)] for tag in events.Tags()["scalars"]}


def known(value):
    """None for NaN, as JSON Lines have it."""
    return None if value is None or math.isnan(value) else value


def float32(value):
    return None if value is None else struct.unpack("f", struct.pack("f", value))[0]


def check_board(events):
    found = curves(events)
    steps = lines("metrics.jsonl")
    for key in steps[0]:
        curve = found.pop(key, None)
        if key.startswith("seconds_"):  # differences of two times lie halfway between two float32, where 15 digits may round away
            check(key, all(math.isclose(value, line[key], rel_tol=2**-23) for (_, value), line in zip(curve, steps, strict=True)), True)
        elif key != "step":
            check(key, curve, [(line["step"], float32(line[key])) for line in steps])
    for name, end in (("gap", "gap"), ("low", "gap_low"), ("high", "gap_high")):
        expected = [(line["step"], float32(line["paired"][name])) for line in lines("bias_eval.jsonl")]
        check(end, found.pop(f"bias_eval/paired_{end}"), expected)
    check("what else is there", [tag for tag in found if not tag.startswith("bias_eval/")], [])
    text = [event.tensor_proto.string_val[0].decode() for event in events.Tensors("config")]
    check("the config's texts", [block.startswith("    [model]\n    path = ") for block in text], [True] * len(text))


# ---- W&B ----


class Server(BaseHTTPRequestHandler):
    """Takes what `wandb sync` sends, and answers as W&B does."""

    protocol_version = "HTTP/1.1"
    config, history, ended = {}, {}, {}

    def log_message(self, *_):
        pass

    def answer(self, value):
        body = json.dumps(value).encode()
        self.send_response(200)
        self.send_header("Content-Type", "application/json")
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def read(self):
        body = self.rfile.read(int(self.headers.get("Content-Length", 0)))
        return gzip.decompress(body) if self.headers.get("Content-Encoding") == "gzip" else body

    def do_GET(self):
        self.answer({})

    def do_PUT(self):
        self.read()
        self.answer({})

    def do_POST(self):
        body = self.read()
        if not self.path.endswith(("graphql", "file_stream")):
            return self.answer({})
        asked = json.loads(body)
        if not self.path.endswith("graphql"):
            log = asked.get("files", {}).get("wandb-history.jsonl", {"offset": 0, "content": []})
            Server.history.update({log["offset"] + i: line for i, line in enumerate(log["content"])})
            Server.ended.update({key: asked[key] for key in ("complete", "exitcode") if key in asked})
            return self.answer({"exitcode": None, "limits": {}})
        query, values, data = asked["query"], asked.get("variables", {}), {}
        user = {"id": "u", "entity": "me", "username": "me", "flags": "{}", "teams": {"edges": []}}
        if "viewer" in query:
            data["viewer"] = user
        if "serverInfo" in query:
            versions = {"min_cli_version": "0.1", "max_cli_version": "9.9"}
            data["serverInfo"] = {"cliVersionInfo": versions, "latestLocalVersionInfo": None, "features": []}
        if "upsertBucket" in query:
            Server.config.update(json.loads(values.get("config") or "{}"))
            Server.config["name"] = values.get("displayName") or Server.config.get("name")
            project = {"id": "p", "name": values.get("project"), "entity": {"id": "e", "name": "me"}}
            bucket = {"id": "b", "name": values.get("name"), "displayName": values.get("displayName"), "description": None,
                      "config": values.get("config"), "sweepName": None, "historyLineCount": 0, "project": project}  # fmt: skip
            data["upsertBucket"] = {"inserted": True, "bucket": bucket}
        if "createRunFiles" in query:
            files = [{"name": name, "uploadUrl": f"http://{self.headers['Host']}/put"} for name in values.get("files", [])]
            data["createRunFiles"] = {"runID": "b", "uploadHeaders": [], "files": files}
        self.answer({"data": data})


def sync():
    server = ThreadingHTTPServer(("127.0.0.1", 0), Server)
    threading.Thread(target=server.serve_forever, daemon=True).start()
    url = f"http://127.0.0.1:{server.server_address[1]}"
    environment = {**os.environ, "WANDB_BASE_URL": url, "WANDB_API_KEY": "0" * 40, "WANDB_ERROR_REPORTING": "false",
                   "HOME": str(FOLDER)}  # fmt: skip
    folders = list((RUN / "wandb").glob("offline-run-*"))
    check("offline runs", len(folders), 1)
    said = subprocess.run([sys.executable, "-m", "wandb", "sync", str(folders[0])], env=environment, cwd=FOLDER,
                          capture_output=True, text=True, timeout=120)  # fmt: skip
    server.shutdown()
    if said.returncode != 0 or not list(folders[0].glob("*.synced")):
        raise SystemExit(f"FAILED: wandb sync: {said.stdout}{said.stderr}")


def check_wandb():
    rows = [json.loads(Server.history[i]) for i in range(len(Server.history))]
    check("W&B's steps", [row["_step"] for row in rows], list(range(len(rows))))
    check("the end", Server.ended, {"complete": True, "exitcode": 0})
    steps, evaluations = lines("metrics.jsonl"), lines("bias_eval.jsonl")
    for found, line in zip([row for row in rows if "loss" in row], steps, strict=True):
        for key, value in line.items():
            check(key, known(found[key]), value)
    for found, line in zip([row for row in rows if "loss" not in row], evaluations, strict=True):
        check("an evaluation's step", found["step"], line["step"])
        check("its gap", found["bias_eval/paired_gap"], line["paired"]["gap"])
        check("its end", found["bias_eval/paired_gap_high"], line["paired"]["high"])
    check("a number of the config", Server.config["train"]["value"]["learning_rate"], 2.5e-4)
    check("a text of the config", Server.config["model"]["value"]["path"], MODEL)
    check("the name", Server.config["name"], "a run")
    check("the horizontal axis", "step" in json.dumps(Server.config["_wandb"]["value"].get("m")), True)


try:
    run = start()
    while len(lines("metrics.jsonl")) < KILLED_AT and run.poll() is None:
        time.sleep(0.05)
    run.send_signal(signal.SIGKILL)
    check("the killed run's end", run.wait(), -signal.SIGKILL)
    open_board = board()  # as a TensorBoard that is open the whole time
    check("a resumed run's end", start("--resume").wait(), 0)
    check_board(board())
    check_board(open_board.Reload())
    print(f"  TensorBoard: {len(curves(open_board))} curves of {STEPS} steps, read afresh and by a reader that saw the kill")
    sync()
    check_wandb()
    print(f"  W&B: {len(Server.history)} rows, the config and the end, taken by wandb sync")
finally:
    shutil.rmtree(FOLDER)
