"""Race CIF forward and backward: ours, loops over frames, and a cumulative sum with scattering.

    python benchmarks/slu.py                      everything; writes benchmarks/slu.md and slu.json
    python benchmarks/slu.py --out FILE.md        likewise, elsewhere; FILE.json beside it
    python benchmarks/slu.py --quick              small sizes, a minute; only prints

Run it with the project's own Python, on Linux. Inputs are random. No downloads. Every contender
runs in a process of its own with the same number of threads, and they take turns; a GPU is used too
where there is one. Outputs and gradients of all must agree. A training step of an aligner of the
usual size (data2vec-audio-base and BERT-base, random weights) is timed by its parts.
"""

import argparse
import datetime
import importlib.metadata
import json
import os
import platform
import resource
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np

HERE = Path(__file__).resolve().parent
OURS, SERIAL, LOOP = "ours", "serial loop", "loop over frames, batched"
SCATTER, DENSE = "cumulative sum, scatter", "W as a matrix"
FULL = {"batch": 16, "frames": 1500, "tokens": 100, "width": 768, "repeats": 5}
QUICK = {"batch": 4, "frames": 300, "tokens": 20, "width": 64, "repeats": 3}
STEP_FULL = {"batch": 4, "seconds": 12, "tokens": 40, "layers": 12, "width": 768, "repeats": 3}
STEP_QUICK = {"batch": 2, "seconds": 2, "tokens": 8, "layers": 2, "width": 48, "repeats": 3}


def loop_cif(hidden: Any, alpha: Any, counts: Any) -> Any:
    """The loop over frames, all utterances at once: a fire is where the sum passes a whole number.

    A frame that ends more than one token takes another turn.
    """
    import torch

    alpha = alpha * (counts / alpha.sum(1))[:, None]
    batch, _, width = hidden.shape
    total = int(counts.max())
    held = hidden.new_zeros(batch, width)
    held_sum = hidden.new_zeros(batch)
    fired = torch.zeros(batch, dtype=torch.int64, device=hidden.device)
    tokens: list[list[Any]] = [[] for _ in range(batch)]
    # Taken apart at once: indexing frame by frame would make a whole gradient for each of them.
    for frame, rest in zip(hidden.unbind(1), alpha.unbind(1), strict=True):
        while True:
            over = (held_sum + rest >= 1.0) & (fired < counts - 1)
            if not over.any():
                break
            part = torch.where(over, 1.0 - held_sum, 0.0)
            done = held + part[:, None] * frame
            for row in over.nonzero()[:, 0].tolist():
                tokens[row].append(done[row])
            fired = fired + over
            rest = rest - part
            held = torch.where(over[:, None], 0.0, held)
            held_sum = torch.where(over, 0.0, held_sum)
        held, held_sum = held + rest[:, None] * frame, held_sum + rest
    for row in range(batch):
        tokens[row].append(held[row])
    return torch.nn.utils.rnn.pad_sequence([torch.stack(row) for row in tokens], batch_first=True)[
        :, :total
    ]


def serial_cif(hidden: Any, alpha: Any, counts: Any) -> Any:
    """The loop over frames, one utterance after the other; the tests' oracle does the same."""
    import torch

    rows = zip(hidden.split(1), alpha.split(1), counts.split(1), strict=True)
    return torch.cat([loop_cif(*row) for row in rows])


def scatter_cif(hidden: Any, alpha: Any, counts: Any) -> Any:
    """A frame's shares to the token it begins in, the one it ends in, and those between."""
    import torch

    alpha = alpha * (counts / alpha.sum(1))[:, None]
    batch, _, width = hidden.shape
    total = int(counts.max())
    sums = alpha.double().cumsum(1)
    with torch.no_grad():
        right = sums.floor().long().minimum(counts[:, None] - 1)
        left = right.roll(1, 1)
        left[:, 0] = 0
        fires = right - left
    to_right = torch.where(fires > 0, sums - right, 0.0)
    to_left = alpha - to_right - (fires - 1).clamp_min(0)
    tokens = hidden.new_zeros(batch, total, width)
    for index, weight in ((left, to_left), (right, to_right)):
        spread = index[..., None].expand(-1, -1, width)
        tokens = tokens.scatter_add(1, spread, weight.to(hidden.dtype)[..., None] * hidden)
    for more in range(1, int(fires.max())):
        between = (left + more).clamp_max(total - 1)[..., None].expand(-1, -1, width)
        tokens = tokens.scatter_add(1, between, (fires > more).to(hidden.dtype)[..., None] * hidden)
    return tokens


def ours(hidden: Any, alpha: Any, counts: Any) -> Any:
    from hearsay.slu.cif import cif

    return cif(hidden, alpha, target_lengths=counts).vectors


def dense(hidden: Any, alpha: Any, counts: Any) -> Any:
    from hearsay.slu.firing import scale, shares

    return shares(scale(alpha, target_lengths=counts)).to(hidden.dtype) @ hidden


CONTENDERS: dict[str, Callable[..., Any]] = {
    OURS: ours,
    SERIAL: serial_cif,
    LOOP: loop_cif,
    SCATTER: scatter_cif,
    DENSE: dense,
}


def race(name: str, sizes: dict, device: str) -> dict:
    """Seconds of forward and backward, largest memory beyond the inputs, and what came out."""
    import torch

    if device == "cuda" and not torch.cuda.is_available():
        return {"not_run": "no GPU"}
    draw = torch.Generator().manual_seed(0)
    shape = (sizes["batch"], sizes["frames"])
    hidden = torch.randn(*shape, sizes["width"], generator=draw).to(device).requires_grad_()
    alpha = torch.rand(*shape, generator=draw).to(device).requires_grad_()
    counts = torch.full((sizes["batch"],), sizes["tokens"]).to(device)
    up = torch.randn(sizes["batch"], sizes["tokens"], sizes["width"], generator=draw).to(device)
    before = _memory(device)
    times: dict[str, list[float]] = {"forward": [], "backward": []}
    for turn in range(sizes["repeats"] + 1):
        hidden.grad = alpha.grad = None
        start = time.perf_counter()
        tokens = CONTENDERS[name](hidden, alpha, counts)
        _wait(device)
        middle = time.perf_counter()
        tokens.backward(up)
        _wait(device)
        if turn:  # the first warms up
            times["forward"].append(middle - start)
            times["backward"].append(time.perf_counter() - middle)
    return {
        "times": [a + b for a, b in zip(times["forward"], times["backward"], strict=True)],
        **{kind: float(np.median(each)) for kind, each in times.items()},
        "megabytes": _memory(device) - before,
        "tokens": float((tokens.detach() * up).sum()),
        "to_hidden": float((hidden.grad * hidden.detach()).sum()),
        "to_alpha": float(alpha.grad.norm()),
        "device": torch.cuda.get_device_name() if device == "cuda" else "CPU",
    }


def train_step(sizes: dict, device: str) -> dict:
    """Seconds of each part of a training step, with random weights of the usual sizes."""
    import torch
    from transformers import BertConfig, BertForMaskedLM, Data2VecAudioConfig, Data2VecAudioModel

    from hearsay.settings.slu import AlignerRecipe
    from hearsay.slu.aligner_files import aligner_of
    from hearsay.slu.batches import SpeechTextBatch
    from hearsay.slu.bert_layers import BertLayers
    from hearsay.slu.objective import AlignmentLoss
    from hearsay.slu.speech_encoder import SpeechEncoder

    if device == "cuda" and not torch.cuda.is_available():
        return {"not_run": "no GPU"}
    torch.manual_seed(0)
    width, layers, heads = sizes["width"], sizes["layers"], 12
    common = {"hidden_size": width, "num_hidden_layers": layers, "num_attention_heads": heads}
    common["intermediate_size"] = 4 * width
    groups = {"num_conv_pos_embedding_groups": 12}
    speech = Data2VecAudioModel(Data2VecAudioConfig(**common, **groups, layerdrop=0.0))
    speech.config.apply_spec_augment = False
    text = BertLayers(BertForMaskedLM(BertConfig(**common)))
    recipe = AlignerRecipe(layer=layers, subword_weight=1.0).model_dump()
    encoder = SpeechEncoder(speech, frozen="convolutions")
    model = AlignmentLoss(aligner_of(recipe, encoder, text), text, recipe).to(device).train()
    optimizer = torch.optim.AdamW([w for w in model.parameters() if w.requires_grad], lr=1e-5)
    rows, samples = sizes["batch"], 16_000 * sizes["seconds"]
    batch = SpeechTextBatch(
        torch.randn(rows, samples),
        torch.full((rows,), samples),
        torch.randint(5, 1000, (rows, sizes["tokens"])),
        torch.full((rows,), sizes["tokens"]),
        torch.ones(rows, sizes["tokens"]),
    )
    batch = batch.to(device)
    found: dict[str, list[float]] = {}

    def clock(name: str, work: Callable[[], Any]) -> Any:
        start = time.perf_counter()
        result = work()
        _wait(device)
        found.setdefault(name, []).append(time.perf_counter() - start)
        return result

    for _ in range(sizes["repeats"] + 1):
        aligner = model.aligner
        with torch.no_grad():
            frames, mask = clock(
                "speech encoder", lambda: encoder(batch.audio, batch.audio_lengths)
            )
            alpha = clock("α network", lambda: aligner.alpha(frames, mask))  # noqa: B023
            clock("CIF", lambda: ours(frames, alpha, batch.lengths))  # noqa: B023
            clock("BERT's states", lambda: model.states(batch))
        loss = clock("forward, all", lambda: model(batch)["loss"])
        clock("backward, all", loss.backward)
        clock("optimiser", optimizer.step)
        optimizer.zero_grad()
    return {name: float(np.median(times[1:])) for name, times in found.items()}


def _wait(device: str) -> None:
    if device == "cuda":
        import torch

        torch.cuda.synchronize()


def _memory(device: str) -> float:
    """Largest memory so far, in MB."""
    if device == "cuda":
        import torch

        return torch.cuda.max_memory_allocated() / 1e6
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1e3


def apart(task: str, *arguments: Any, threads: int) -> dict:
    """A task's answer, from a process of its own."""
    environment = dict(os.environ) | {
        f"{library}_NUM_THREADS": str(threads) for library in ("OMP", "OPENBLAS", "MKL")
    }
    environment |= {"PYTHONPATH": str(HERE.parent / "workflow"), "PYTHONWARNINGS": "ignore"}
    with tempfile.TemporaryDirectory() as folder:
        answer = Path(folder) / "answer.json"
        command = [sys.executable, __file__, "--task", task, str(answer), json.dumps(arguments)]
        done = subprocess.run(command, env=environment, capture_output=True, text=True, check=False)
        if done.returncode != 0:
            sys.exit(f"{task} failed\n{done.stderr}")
        return json.loads(answer.read_text())


def measure(sizes: dict, step: dict, rounds: int, threads: int) -> dict:
    """All contenders on all devices, in turns; and a training step."""
    result: dict = {"sizes": sizes, "step_sizes": step, "cif": {}, "step": {}}
    for device in ("cuda", "cpu"):
        rows: dict = {}
        for _ in range(rounds):
            for name in CONTENDERS:
                found = apart("race", name, sizes, device, threads=threads)
                if "not_run" in found:
                    break
                if name in rows:
                    found["times"] += rows[name]["times"]
                    found["megabytes"] = max(found["megabytes"], rows[name]["megabytes"])
                found["seconds"] = float(np.median(found["times"]))
                rows[name] = found
                told = f"{found['seconds']:.4g} s, {found['megabytes']:.0f} MB"
                print(f"  {device} {name}: {told}", file=sys.stderr, flush=True)
        result["cif"][device] = rows or found
        if rows:
            _check_agreement(rows)
        result["step"][device] = apart("train_step", step, device, threads=threads)
    return result


def _check_agreement(rows: dict) -> None:
    """All contenders: tokens and gradients as far as float32 goes."""
    for key in ("tokens", "to_hidden", "to_alpha"):
        values = [row[key] for row in rows.values()]
        if max(values) - min(values) > 2e-3 * max(1.0, *map(abs, values)):
            sys.exit(f"contenders disagree: {key} {values}")


def report(result: dict, threads: int) -> str:
    """The record as Markdown."""
    sizes, step = result["sizes"], result["step_sizes"]
    lines = [
        "# CIF and a training step of the aligner: speed and memory",
        "",
        f"{platform.machine()}, {threads} threads, {datetime.date.today()}; torch "
        f"{importlib.metadata.version('torch')}. B = {sizes['batch']}, T = {sizes['frames']}, "
        f"N = {sizes['tokens']}, D = {sizes['width']}, float32. Median of all repeats; memory is "
        "the largest beyond the inputs.",
        "",
        "| device | CIF | forward, s | backward, s | both, s | memory, MB | times ours |",
        "|---|---|---|---|---|---|---|",
    ]
    for device, rows in result["cif"].items():
        if "not_run" in rows:
            lines.append(f"| {device} | not run: {rows['not_run']} | | | | | |")
            continue
        for name, row in rows.items():
            lines.append(
                f"| {row['device']} | {name} | {row['forward']:.4f} | {row['backward']:.4f} | "
                f"{row['seconds']:.4f} | {row['megabytes']:.0f} | "
                f"{row['seconds'] / rows[OURS]['seconds']:.1f} |"
            )
    lines += [
        "",
        f"A training step: {step['batch']} utterances of {step['seconds']} s and {step['tokens']} "
        f"tokens, {step['layers']} layers of width {step['width']} on either side. Parts are "
        "forward only and without gradients.",
        "",
        "| device | part | seconds |",
        "|---|---|---|",
    ]
    for device, parts in result["step"].items():
        if "not_run" in parts:
            lines.append(f"| {device} | not run: {parts['not_run']} | |")
            continue
        lines += [f"| {device} | {name} | {seconds:.4f} |" for name, seconds in parts.items()]
    return "\n".join(lines) + "\n"


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--quick", action="store_true", help="small sizes; only prints")
    parser.add_argument("--out", type=Path, default=HERE / "slu.md", help="record to write")
    parser.add_argument("--threads", type=int, default=2)
    parser.add_argument("--rounds", type=int, default=2)
    parser.add_argument("--task", nargs=3, help=argparse.SUPPRESS)
    options = parser.parse_args()
    if options.task:
        task, answer, arguments = options.task
        found = {"race": race, "train_step": train_step}[task](*json.loads(arguments))
        Path(answer).write_text(json.dumps(found))
        return
    sizes, step = (QUICK, STEP_QUICK) if options.quick else (FULL, STEP_FULL)
    result = measure(sizes, step, options.rounds, options.threads)
    text = report(result, options.threads)
    print(text)
    if not options.quick:
        options.out.write_text(text, encoding="utf-8")
        options.out.with_suffix(".json").write_text(json.dumps(result, indent=1) + "\n")


if __name__ == "__main__":
    main()
