"""What the contenders of `brain.py` do, each in a process of its own.

python benchmarks/brain_tasks.py TASK ANSWER ARGUMENTS     (arguments and answer are JSON)
"""

import hashlib
import json
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
from spectral import resident


def measured(
    function: Callable[[], Any], warm_up: Callable[[], Any] | None = None
) -> tuple[dict, Any]:
    """Seconds of one call, the highest memory beyond that before (MB), and what it returned.

    A call to warm up is not timed; its memory counts, since much of it is kept for the next one.

    The peak is the kernel's VmHWM. The like-named ru_maxrss would not do: a process begins with
    that of the one which started it.
    """
    Path("/proc/self/clear_refs").write_text("5")  # the peak so far is forgotten
    before = resident("VmRSS")
    if warm_up is not None:
        warm_up()
    start = time.perf_counter()
    result = function()
    seconds = time.perf_counter() - start
    peak = resident("VmHWM")
    return {"seconds": seconds, "megabytes": peak - before, "process_megabytes": peak}, result


def language_model(layers: int) -> Any:
    """GPT-2 (124 million parameters with 12 layers) with random weights and no end-of-text."""
    import torch
    from transformers import GPT2Config, GPT2LMHeadModel

    torch.manual_seed(0)
    return GPT2LMHeadModel(GPT2Config(n_layer=layers, bos_token_id=None, eos_token_id=None))


def aligned_text(vocabulary: int, tokens: int) -> Any:
    """Tokens for that model, each a whole made-up word but for the alignment token."""
    from tokenizers import Tokenizer, decoders
    from tokenizers.models import WordLevel
    from tokenizers.pre_tokenizers import Metaspace
    from transformers import PreTrainedTokenizerFast

    from hearsay.brain.aligned_text import AlignedText

    words = ["the", "a", "$", *(f"w{number}" for number in range(3, vocabulary))]
    ids = {f"▁{word}": number for number, word in enumerate(words)}
    tokenizer = Tokenizer(WordLevel(ids, unk_token="▁the"))
    tokenizer.pre_tokenizer, tokenizer.decoder = Metaspace(), decoders.Metaspace()
    return AlignedText(PreTrainedTokenizerFast(tokenizer_object=tokenizer), max_tokens=tokens)


def decoding(sizes: dict) -> tuple[Any, Any, Any]:
    """The model, its tokens and the prompts [windows, k, width] of `sizes`."""
    import torch

    model = language_model(sizes["layers"]).eval()
    text = aligned_text(model.config.vocab_size, sizes["tokens"])
    draw = torch.Generator().manual_seed(1)
    shape = (sizes["windows"], sizes["prompt_length"], model.config.n_embd)
    return model, text, torch.randn(shape, generator=draw)


def decode_hearsay(sizes: dict, at_once: int, windows: int) -> dict:
    """The first `windows` prompts, `at_once` in a batch."""
    from hearsay.brain.generate import generate

    model, text, prompts = decoding(sizes)
    never = sizes["tokens"] + 1  # more alignment tokens than a row can have: all rows are full

    def decode(number: int, tokens: int) -> list[list[int]]:
        text.max_tokens = tokens
        found = []
        for block in prompts[:number].split(at_once):
            found += generate(model, block, text, [never] * len(block))
        return [row.ids for row in found]

    found, rows = measured(lambda: decode(windows, sizes["tokens"]), lambda: decode(at_once, 2))
    return {**found, "ids": rows}


def decode_loop(sizes: dict, windows: int) -> dict:
    """As the public code: one window at a time, the whole sequence anew for every token.

    Its waste beyond that is left out (logits of all positions, a sort for top-p, keys and values
    that nobody reads), and the bound on words between two alignment tokens is kept.
    """
    import torch

    model, text, prompts = decoding(sizes)
    most = 12  # words between two alignment tokens; here every other token is a word

    @torch.no_grad()
    def greedy(prompt: Any, tokens: int) -> list[int]:
        embedded, ids, words = prompt.unsqueeze(0), [], 0
        for _ in range(tokens):
            logits = model(inputs_embeds=embedded, use_cache=False, logits_to_keep=1).logits
            token = int(logits[0, -1].argmax())
            token = text.mark if words == most else token
            words = 0 if token == text.mark else words + 1
            ids.append(token)
            following = model.get_input_embeddings()(torch.tensor([[token]]))
            embedded = torch.cat([embedded, following], dim=1)
        return ids

    found, rows = measured(
        lambda: [greedy(prompt, sizes["tokens"]) for prompt in prompts[:windows]],
        lambda: greedy(prompts[0], 2),
    )
    return {**found, "ids": rows}


def load(path: str, columns: str, way: str, reads: int) -> dict:
    """The first read, in a cold or warm page cache, and the shortest of some more."""
    import h5py

    from hearsay.corpora.responses import read_responses

    wanted = np.load(columns, allow_pickle=False)

    def whole() -> np.ndarray:
        with h5py.File(path) as file:
            return np.nan_to_num(file["data"][:])[:, wanted]

    def selected() -> np.ndarray:
        with h5py.File(path) as file:
            return np.nan_to_num(file["data"][:, wanted])

    function = {
        "hearsay": lambda: read_responses(path, wanted),
        "whole": whole,
        "selected": selected,
    }[way]
    disk = _read_from_disk()
    first, values = measured(function)
    from_disk = _read_from_disk() - disk
    times = []
    for _ in range(reads):
        start = time.perf_counter()
        function()
        times.append(time.perf_counter() - start)
    digest = hashlib.sha256(np.ascontiguousarray(values, np.float32).tobytes()).hexdigest()
    return {
        **first,
        "first_seconds": first["seconds"],
        "seconds": min(times),
        "from_disk_megabytes": 1e-6 * from_disk,
        "digest": digest,
    }


def _read_from_disk() -> int:
    """Bytes that this process made the storage deliver; 0 where the kernel does not say."""
    try:
        return int(Path("/proc/self/io").read_text().split("\nread_bytes:")[1].split()[0])
    except (OSError, IndexError):
        return 0


def step_train(sizes: dict, device: str) -> dict:
    """Steps of stage 2 (Eq. 6), GPT-2 trained too, as `hearsay.training.loop.fit` takes them."""
    import torch

    if device == "cuda" and not torch.cuda.is_available():
        return {"not_run": "no GPU"}
    from hearsay.brain.fitting import Examples, training_of
    from hearsay.brain.prompted import FmriPrompted, make_encoder, make_mapper
    from hearsay.settings.brain import Recipe
    from hearsay.training.loop import start

    counts = sizes[device]
    batch, steps = counts["batch"], counts["warm"] + counts["steps"]
    recipe = Recipe(batch_size=batch).model_dump()
    fabric = start(0, device=device)
    before = resident("VmRSS")
    causal = language_model(sizes["layers"])
    width = feature_size = causal.config.n_embd
    module = FmriPrompted(
        make_encoder(sizes["voxels"], width, recipe),
        causal,
        make_mapper(feature_size, width, recipe),
        recipe,
    )
    draw = np.random.default_rng(0)
    count = batch * steps
    rows = recipe["window"] + recipe["hrf_context"]
    examples = Examples(
        draw.integers(0, causal.config.vocab_size, (count, sizes["tokens"])).tolist(),
        torch.from_numpy(draw.standard_normal((count, feature_size), np.float32)),
        list(draw.standard_normal((count, rows, sizes["voxels"]), np.float32)),
    )
    training = training_of(
        module,
        [module.encoder],
        causal,
        examples,
        recipe,
        epochs=1,
        fabric=fabric,
        evaluate=None,
        tensorboard=Path("unused"),
    )
    model, optimizer = fabric.setup(training.model, training.optimizer)
    model.train()
    times, losses = [], []
    batches = training.batches(0)
    for _ in range(steps):
        begun = time.perf_counter()
        loss = training.loss(model, fabric.to_device(next(batches)))
        losses.append(loss.item())
        fabric.backward(loss)
        fabric.clip_gradients(model, optimizer, max_norm=training.clip_norm)
        optimizer.step()
        optimizer.zero_grad()
        training.schedule.step()
        if device == "cuda":
            torch.cuda.synchronize()
        times.append(time.perf_counter() - begun)
    if not np.isfinite(losses).all():
        raise FloatingPointError(f"losses {losses}")
    cuda = device == "cuda"
    return {
        "device": torch.cuda.get_device_name() if cuda else "CPU",
        "precision": fabric._precision.precision,
        "batch": batch,
        "steps": counts["steps"],
        "seconds": float(np.median(times[counts["warm"] :])),
        "trained": sum(w.numel() for w in module.parameters() if w.requires_grad),
        "memory": "allocated on the GPU" if cuda else "beyond libraries",
        "megabytes": 1e-6 * torch.cuda.max_memory_allocated()
        if cuda
        else resident("VmHWM") - before,
        "losses": [losses[0], losses[-1]],
    }


TASKS = {f.__name__: f for f in (decode_hearsay, decode_loop, load, step_train)}


if __name__ == "__main__":
    name, answer, arguments = sys.argv[1:]
    Path(answer).write_text(json.dumps(TASKS[name](*json.loads(arguments))))
