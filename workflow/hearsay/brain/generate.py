"""Text from prompts: batched, with cached keys and values, every row with a stop of its own."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor, nn
from transformers import (
    GenerationConfig,
    LogitsProcessor,
    LogitsProcessorList,
    StoppingCriteria,
    StoppingCriteriaList,
)

from hearsay.brain.aligned_text import AlignedText


@dataclass(frozen=True)
class Generated:
    """One decoded window: token ids without what follows the stop, and what ended it
    (``"tokens"``, ``"words"`` or ``"cap"``)."""

    ids: list[int]
    ended: str


class _Counter:
    """Counts of rows that may be beams: row r of the batch belongs to window r // beams."""

    def __init__(self, limits: Tensor) -> None:
        self.limits = limits

    def limit(self, rows: int) -> Tensor:
        return self.limits.repeat_interleave(rows // len(self.limits))


class _StopAtMarks(_Counter, StoppingCriteria):
    """Ends a row right after its W-th alignment token."""

    def __init__(self, limits: Tensor, mark: int) -> None:
        super().__init__(limits)
        self.mark = mark

    def __call__(self, input_ids: Tensor, scores: Any, **kwargs: Any) -> Tensor:
        return (input_ids == self.mark).sum(dim=1) >= self.limit(len(input_ids))


class _StopAtWords(_Counter, StoppingCriteria):
    """Ends a row when the word after its last one begins, so that no word is cut."""

    def __init__(self, limits: Tensor, begins: Tensor) -> None:
        super().__init__(limits)
        self.begins = begins

    def __call__(self, input_ids: Tensor, scores: Any, **kwargs: Any) -> Tensor:
        # The first token begins a word, with or without a space.
        return 1 + self.begins[input_ids[:, 1:]].sum(dim=1) > self.limit(len(input_ids))


class _MostWordsPerTR(LogitsProcessor):
    """Forces the alignment token where a TR has its most words already."""

    def __init__(self, most: int, mark: int, begins: Tensor) -> None:
        self.most, self.mark, self.begins = most, mark, begins

    def __call__(self, input_ids: Tensor, scores: Tensor) -> Tensor:
        length = input_ids.shape[1]
        places = torch.arange(length, device=input_ids.device)
        last = torch.where(input_ids == self.mark, places, -1).amax(1) if length else 0
        since = places > (last.unsqueeze(1) if length else -1)
        full = (self.begins[input_ids] & since).sum(dim=1) >= self.most
        forced = torch.full_like(scores, -torch.inf)
        forced[:, self.mark] = 0
        # A last word may still be going on: only a token that begins another one is forbidden.
        best_begins = self.begins[scores.argmax(dim=1)]
        return torch.where((full & best_begins).unsqueeze(1), forced, scores)


def generate(
    model: nn.Module,
    prompts: Tensor,
    text: AlignedText,
    limits: Sequence[int],
    *,
    method: str = "greedy",
    beams: int = 5,
    top_p: float = 0.9,
    words_per_tr: int | None = 12,
    seed: int = 0,
) -> list[Generated]:
    """Decode one text for every prompt.

    Parameters
    ----------
    model : causal language model.
    prompts : [B, k, width]; all of one length, so that nothing is padded on the left.
    text : tokens of this model; its `stop` says what `limits` count.
    limits : for every row, alignment tokens (``stop="tokens"``) or words (``"words"``) to stop at;
        a row that may have no word at all gives no text.
    method : ``"greedy"``, ``"beam"`` with `beams`, or ``"nucleus"`` sampling with `top_p` and
        `seed`.
    words_per_tr : most words between two alignment tokens.

    Returns
    -------
    In the order of prompts. A batch gives the same as its rows alone, token for token, up to the
    rounding of sums. No row is longer than `text.max_tokens`.
    """
    device = prompts.device
    begins = torch.tensor(text.begins_word(), device=device)
    begins[text.mark] = False
    bound = torch.tensor(limits, device=device)
    stop: StoppingCriteria
    processors = LogitsProcessorList()
    if text.stop == "tokens":
        stop = _StopAtMarks(bound, text.mark)
        if words_per_tr is not None:
            processors.append(_MostWordsPerTR(words_per_tr, text.mark, begins))
    else:
        stop = _StopAtWords(bound, begins)
    options: dict[str, Any] = {
        "greedy": {"do_sample": False},
        "beam": {"do_sample": False, "num_beams": beams},
        "nucleus": {"do_sample": True, "top_p": top_p, "top_k": 0},
    }[method]
    config = GenerationConfig(
        max_new_tokens=text.max_tokens,
        pad_token_id=_padding(text),
        use_cache=True,
        return_dict_in_generate=False,
        **options,
    )
    cuda = [device] if device.type == "cuda" else []
    with torch.random.fork_rng(devices=cuda), torch.no_grad():
        torch.manual_seed(seed)
        rows = model.generate(
            inputs_embeds=prompts,
            attention_mask=torch.ones(prompts.shape[:2], dtype=torch.long, device=device),
            generation_config=config,
            logits_processor=processors,
            stopping_criteria=StoppingCriteriaList([stop]),
        ).tolist()
    flags = begins.tolist()
    return [_cut(ids, text, limit, flags) for ids, limit in zip(rows, limits, strict=True)]


def _padding(text: AlignedText) -> int:
    """Id that fills ended rows: `_cut` never reaches it."""
    tokenizer = text.tokenizer
    return next(i for i in (tokenizer.pad_token_id, tokenizer.eos_token_id, 0) if i is not None)


def _cut(ids: list[int], text: AlignedText, limit: int, begins: list[bool]) -> Generated:
    """Drop what follows the stop."""
    seen = 0
    for place, token in enumerate(ids):
        if text.stop == "tokens":
            seen += token == text.mark
            if seen >= limit:
                return Generated(ids[: place + 1], "tokens")
        else:
            seen += begins[token] or place == 0
            if seen > limit:
                return Generated(ids[:place], "words")
    return Generated(ids, "cap")
