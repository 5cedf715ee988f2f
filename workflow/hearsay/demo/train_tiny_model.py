"""Train a tiny BERT or GPT-2 on generated English, for the demo.

Files are those of the hub: safetensors, `config.json` and a tokeniser, read offline by
``AutoModel`` and ``AutoTokenizer``. The text is general (`hearsay.demo.sentences.corpus`) and holds
no story. Half of GPT-2's text is speech with `` $`` after every 2 s: the real GPT-2 knows the token
as well, though not in that place.
"""

import json
import math
from collections.abc import Iterator
from pathlib import Path
from random import Random
from typing import Any

import torch
import typer
from torch import Tensor, nn
from torch.nn import functional

from hearsay.demo.sentences import corpus, story
from hearsay.demo.sentiment_sentences import make_sentiment_sentences
from hearsay.demo.spoken_sentences import GRAMMARS
from hearsay.demo.tokenizers import ALIGNMENT, byte_level_tokenizer, wordpiece_tokenizer
from hearsay.demo.word_vectors import RARE, token_vectors
from hearsay.errors import InputError
from hearsay.files import whole_folder
from hearsay.provenance import Run, code_of
from hearsay.training.checkpoints import CheckpointFolder
from hearsay.training.loop import Training, fit, start

STEP = "hearsay.demo.train_tiny_model"
SENTENCES = 12_000  # of the training text, and a tenth of it held out
LENGTH = {"bert": 64, "gpt2": 160}  # tokens of a training sequence
BATCH = {"bert": 16, "gpt2": 4}
LEARNING_RATE = {"bert": 3e-3, "gpt2": 6e-3}
HEADS = 4
GPT2_VOCABULARY = 1_400
MASKED = 0.25  # of the tokens; more than BERT's 0.15, for more signal in a step
INITIAL = 0.65  # spread of a weight, in units of 1 over the root of the width
WORDS_SPREAD, PLACES_SPREAD = 0.15, 0.02  # of the first word and position embeddings
TR, SPOKEN = 2.0, 600  # seconds, of a TR and of one spoken story
POSITIONS = 256
ROUND = 50  # steps of one of the loop's epochs, after each of which there is a checkpoint
IGNORED = -100
DIGITS = ("zero", "one", "two", "three", "four", "five", "six", "seven", "eight", "nine")
TOLD = {"Negative": 300, "Neutral": 300, "Positive": 300}  # sentences by the sentiment of a word
HELD_OUT = 64  # sequences of the held-out text that are scored


def spoken(seed: str, words: int) -> list[str]:
    """At least that many words of generated speech, a line a TR of 2 s, each ending in `ALIGNMENT`.

    The seeds of these stories are no dataset's.
    """
    lines: list[str] = []
    told = 0
    while told < words:
        heard = story(f"{seed} spoken {len(lines)}", SPOKEN)
        told += len(heard)
        rows: list[list[str]] = [[] for _ in range(round(SPOKEN / TR))]
        for word in heard:
            rows[int(word.onset / TR)].append(word.text)
        lines += ["".join([" ".join(row), ALIGNMENT]).strip() for row in rows]
    return lines


def texts_of(text: str, seed: int) -> tuple[list[str], list[str]]:
    """Sentences to learn from, and a tenth as many that are held out.

    Parameters
    ----------
    text : ``stories``, ``spoken`` (the English of `hearsay.demo.spoken_sentences` and
        `hearsay.demo.sentiment_sentences`, as often the one as the other) or ``digits``.
    """
    if text == "stories":
        return corpus(f"{seed} training", SENTENCES), corpus(f"{seed} held out", SENTENCES // 10)
    random = Random(f"{seed} {text}")
    if text == "digits":
        drawn = [
            " ".join(random.choices(DIGITS, k=random.randint(3, 7)))
            for _ in range(SENTENCES + SENTENCES // 10)
        ]
    else:
        plain = list(GRAMMARS["en"].sentences())
        told = [s for each in make_sentiment_sentences(TOLD, seed).values() for s in each]
        drawn = [
            random.choice(plain if random.random() < 0.5 else told)
            for _ in range(SENTENCES + SENTENCES // 10)
        ]
    return drawn[:SENTENCES], drawn[SENTENCES:]


def sequences(tokenizer: Any, lines: list[str], kind: str) -> Tensor:
    """Token ids [sequences, LENGTH] of the lines, joined by spaces and cut without remainder."""
    text = "".join(f" {line}" for line in lines)
    ids = tokenizer(text, add_special_tokens=False, verbose=False)["input_ids"]
    body = LENGTH[kind] - (2 if kind == "bert" else 0)
    count = len(ids) // body
    block = torch.tensor(ids[: count * body]).view(count, body)
    if kind == "bert":
        ends = [torch.full((count, 1), t) for t in (tokenizer.cls_token_id, tokenizer.sep_token_id)]
        block = torch.cat([ends[0], block, ends[1]], dim=1)
    return block


def mask_tokens(
    ids: Tensor, mask: int, vocabulary: int, generator: torch.Generator
) -> tuple[Tensor, Tensor]:
    """BERT's masking: inputs and labels [batch, length] with `IGNORED` where nothing is asked.

    Of the chosen tokens 80 % become `mask`, 10 % another token, 10 % stay (Devlin et al. 2019,
    arXiv 1810.04805, section 3.1). First and last tokens are never chosen.
    """
    chosen = torch.rand(ids.shape, generator=generator) < MASKED
    chosen[:, [0, -1]] = False
    labels = torch.where(chosen, ids, IGNORED)
    how = torch.rand(ids.shape, generator=generator)
    others = torch.randint(vocabulary, ids.shape, generator=generator)
    inputs = torch.where(chosen & (how < 0.8), mask, ids)
    return torch.where(chosen & (how >= 0.9), others, inputs), labels


def make_model(kind: str, width: int, layers: int, tokenizer: Any, text: Tensor) -> Any:
    """A BERT (with all that the hub's have) or GPT-2 whose embeddings know the `text`.

    All else is random; embeddings too, where the text has too few words for them. `text` holds
    token ids [sequences, length].
    """
    net = _random_model(kind, width, layers, tokenizer)
    body = net.bert.embeddings if kind == "bert" else net.transformer
    words, places = (
        (body.word_embeddings, body.position_embeddings) if kind == "bert" else (body.wte, body.wpe)
    )
    stream = (text[:, 1:-1] if kind == "bert" else text).flatten()
    known = int((torch.bincount(stream) >= RARE).sum())
    with torch.no_grad():
        if width <= 2 * known:  # of ten digits nothing is to be known
            vectors = WORDS_SPREAD * token_vectors(stream, len(tokenizer), width)
            common = vectors.any(dim=1)
            words.weight[common] = vectors[common]
        nn.init.normal_(places.weight, 0.0, PLACES_SPREAD)
    return net


def _random_model(kind: str, width: int, layers: int, tokenizer: Any) -> Any:
    from transformers import BertConfig, BertForPreTraining, GPT2Config, GPT2LMHeadModel

    spread = INITIAL / math.sqrt(width)
    if kind == "bert":
        return BertForPreTraining(
            BertConfig(
                vocab_size=len(tokenizer),
                hidden_size=width,
                num_hidden_layers=layers,
                num_attention_heads=HEADS,
                intermediate_size=4 * width,
                max_position_embeddings=POSITIONS,
                initializer_range=spread,
                hidden_dropout_prob=0.0,
                attention_probs_dropout_prob=0.0,
                pad_token_id=tokenizer.pad_token_id,
            )
        )
    return GPT2LMHeadModel(
        GPT2Config(
            vocab_size=len(tokenizer),
            n_embd=width,
            n_layer=layers,
            n_head=HEADS,
            n_positions=POSITIONS,
            initializer_range=spread,
            resid_pdrop=0.0,
            embd_pdrop=0.0,
            attn_pdrop=0.0,
            bos_token_id=tokenizer.eos_token_id,
            eos_token_id=tokenizer.eos_token_id,
        )
    )


def loss_of(kind: str, model: Any, batch: tuple[Tensor, Tensor]) -> Tensor:
    """Mean cross-entropy, in nats, of the tokens asked for: labels that are not `IGNORED`.

    GPT-2 is asked at every place for the token that follows.
    """
    inputs, labels = batch
    if kind == "bert":
        logits = model(input_ids=inputs).prediction_logits
    else:
        logits, labels = model(input_ids=inputs).logits[:, :-1], labels[:, 1:]
    return functional.cross_entropy(logits.flatten(0, 1), labels.flatten(), ignore_index=IGNORED)


def held_out_quality(kind: str, model: Any, batch: tuple[Tensor, Tensor]) -> dict[str, float]:
    """Perplexity a token (GPT-2), or share of masked tokens found and their perplexity (BERT)."""
    model.eval()
    with torch.no_grad():
        perplexity = math.exp(loss_of(kind, model, batch).item())
        if kind == "gpt2":
            return {"held_out_perplexity": perplexity}
        found = model(input_ids=batch[0]).prediction_logits.argmax(-1) == batch[1]
    asked = batch[1] != IGNORED
    return {
        "held_out_masked_accuracy": (found.sum() / asked.sum()).item(),
        "held_out_masked_perplexity": perplexity,
    }


def main(
    model: str = typer.Option(help="name of the model in the configuration"),
    settings: str = typer.Option(
        help="kind (bert or gpt2), width, layers, steps, text, seed as JSON"
    ),
    out: Path = typer.Option(help="folder to write, in the hub's layout"),
    record: Path = typer.Option(help="run record to write"),
    checkpoints: Path = typer.Option(help="folder of checkpoints while it runs"),
) -> None:
    """Make the text, the tokeniser and the model; train; write all of it in one piece."""
    options = json.loads(settings)
    kind, seed, steps = options["kind"], options["seed"], options["steps"]
    if kind not in LEARNING_RATE:
        raise InputError(f"models.{model}: kind {kind!r} is not one of: bert, gpt2")
    if options["width"] % HEADS:
        raise InputError(f"models.{model}: width {options['width']} is no multiple of {HEADS}")
    if kind == "gpt2" and options.get("text", "stories") != "stories":
        raise InputError(f"models.{model}: text {options['text']!r} is for kind bert")
    if steps < ROUND or steps % ROUND:
        raise InputError(f"models.{model}: steps {steps} is no multiple of {ROUND}")
    torch.set_num_threads(1)  # the order of additions would follow the number of threads
    run = Run(STEP, settings=options, seed=seed)
    identity = {"step": STEP, "model": model, "settings": options, "code": code_of(STEP)}
    folder = CheckpointFolder(checkpoints, identity)
    fabric = start(seed, device="cpu")

    lines, plain = texts_of(options.get("text", "stories"), seed)
    if kind == "gpt2":
        aloud = spoken(str(seed), sum(len(line.split()) for line in lines) // 2)
        lines = [*lines[: len(lines) // 2], *aloud]
        tokenizer = byte_level_tokenizer([f" {line}" for line in lines], GPT2_VOCABULARY, POSITIONS)
    else:
        tokenizer = wordpiece_tokenizer(lines, POSITIONS)
    text, held_out = (sequences(tokenizer, part, kind) for part in (lines, plain))
    net = make_model(kind, options["width"], options["layers"], tokenizer, text)
    optimizer = torch.optim.AdamW(net.parameters(), lr=LEARNING_RATE[kind], weight_decay=0.01)
    schedule = torch.optim.lr_scheduler.OneCycleLR(
        optimizer, LEARNING_RATE[kind], total_steps=steps + 1, pct_start=0.15
    )

    def pair(ids: Tensor, generator: torch.Generator) -> tuple[Tensor, Tensor]:
        if kind == "gpt2":
            return ids, ids
        return mask_tokens(ids, tokenizer.mask_token_id, len(tokenizer), generator)

    def batches(epoch: int) -> Iterator[tuple[Tensor, Tensor]]:
        generator = torch.Generator().manual_seed(seed * 100_003 + epoch)
        for _ in range(ROUND):
            ids = text[torch.randint(len(text), (BATCH[kind],), generator=generator)]
            yield pair(ids, generator)

    training = Training(
        model=net,
        optimizer=optimizer,
        schedule=schedule,
        batches=batches,
        steps_per_epoch=ROUND,
        loss=lambda m, batch: loss_of(kind, m, batch),
        epochs=steps // ROUND,
        clip_norm=1.0,
    )
    history = fit(training, folder, fabric)
    probe = pair(held_out[:HELD_OUT], torch.Generator().manual_seed(0))
    quality = held_out_quality(kind, net, probe)
    with whole_folder(out) as temporary:
        net.save_pretrained(temporary)
        tokenizer.save_pretrained(temporary)
    run.write(
        record,
        threads=torch.get_num_threads(),
        parameters=sum(p.numel() for p in net.parameters()),
        vocabulary=len(tokenizer),
        final_loss=float(history["loss"].iloc[-1]),
        **quality,
    )
    folder.remove()
    print(f"{model}: " + ", ".join(f"{name} {value:.4g}" for name, value in quality.items()))


if __name__ == "__main__":
    typer.run(main)
