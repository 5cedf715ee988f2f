"""Text from prompts: batched, with cached keys and values, every row with a stop of its own."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import torch
from torch import Tensor
from transformers import (
    GenerationConfig,
    LogitsProcessor,
    LogitsProcessorList,
    StoppingCriteria,
    StoppingCriteriaList,
)

from hearsay.brain.aligned_text import AlignedText

if TYPE_CHECKING:
    from hearsay.brain.language_model import LanguageModel


@dataclass(frozen=True)
class Generated:
    """One decoded window: token ids without what follows the stop, and what ended it
    (``"tokens"``, ``"words"`` or ``"cap"``)."""

    ids: list[int]
    ended: str


class _Spelling:
    """Counts words in rows of tokens, as `AlignedText.words` would find them."""

    def __init__(self, text: AlignedText, device: torch.device) -> None:
        found = (torch.tensor(flags, device=device) for flags in text.spelling)
        self.counts, self.begins, self.ends = found

    def begun(self, ids: Tensor, before: Tensor | None = None) -> Tensor:
        """How many words each of `ids` [N, L] begins; `before` [N] come before the first."""
        apart = self.ends[ids[:, :-1]]
        first = apart.new_ones(len(ids), 1) if before is None else self.ends[before].unsqueeze(1)
        apart = torch.cat([first, apart], dim=1)[:, : ids.shape[1]] | self.begins[ids]
        return self.counts[ids] - ((self.counts[ids] > 0) & ~apart).long()


class _Stop(StoppingCriteria):
    """Limits of rows that may be beams: row r of the batch belongs to window r // beams."""

    def __init__(self, limits: Tensor) -> None:
        self.limits = limits

    def limit(self, rows: int) -> Tensor:
        return self.limits.repeat_interleave(rows // len(self.limits))


class _StopAtMarks(_Stop):
    """Ends a row right after its W-th alignment token."""

    def __init__(self, limits: Tensor, mark: int) -> None:
        super().__init__(limits)
        self.mark = mark

    def __call__(self, input_ids: Tensor, scores: Any, **kwargs: Any) -> Tensor:
        return (input_ids == self.mark).sum(dim=1) >= self.limit(len(input_ids))


class _StopAtWords(_Stop):
    """Ends a row when the word after its last one begins, so that no word is cut."""

    def __init__(self, limits: Tensor, spelling: _Spelling) -> None:
        super().__init__(limits)
        self.spelling = spelling

    def __call__(self, input_ids: Tensor, scores: Any, **kwargs: Any) -> Tensor:
        return self.spelling.begun(input_ids).sum(dim=1) > self.limit(len(input_ids))


class _MostWordsPerTR(LogitsProcessor):
    """Forces the alignment token where a TR has its most words already."""

    def __init__(self, most: int, mark: int, spelling: _Spelling) -> None:
        self.most, self.mark, self.spelling = most, mark, spelling

    def __call__(self, input_ids: Tensor, scores: Tensor) -> Tensor:
        length = input_ids.shape[1]
        if not length:
            return scores
        places = torch.arange(length, device=input_ids.device)
        last = torch.where(input_ids == self.mark, places, -1).amax(1)
        since = places > last.unsqueeze(1)
        full = (self.spelling.begun(input_ids) * since).sum(dim=1) >= self.most
        if not full.any():
            return scores
        # A last word may still be going on: only a token that begins another one is forbidden.
        rows, ends = scores[full], self.spelling.ends[input_ids[full, -1]].unsqueeze(1)
        another = (self.spelling.counts > 0) & (ends | self.spelling.begins)
        another |= self.spelling.counts > 1
        best = rows.argmax(dim=1, keepdim=True)
        rows = rows.masked_fill(another, -torch.inf)
        forced = torch.full_like(rows, -torch.inf)
        forced[:, self.mark] = 0
        scores = scores.clone()
        scores[full] = torch.where(another.gather(1, best), forced, rows)
        return scores


def generate(
    model: "LanguageModel",
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
    spelling = _Spelling(text, device)
    bound = torch.tensor(limits, device=device)
    stop: StoppingCriteria
    processors = LogitsProcessorList()
    if text.stop == "tokens":
        stop = _StopAtMarks(bound, text.mark)
        if words_per_tr is not None:
            processors.append(_MostWordsPerTR(words_per_tr, text.mark, spelling))
    else:
        stop = _StopAtWords(bound, spelling)
    ways: dict[str, dict[str, Any]] = {
        "greedy": {"do_sample": False},
        "beam": {"do_sample": False, "num_beams": beams},
        "nucleus": {"do_sample": True, "top_p": top_p, "top_k": 0},
    }
    config = GenerationConfig(
        max_new_tokens=text.max_tokens,
        pad_token_id=_padding(text),
        use_cache=True,
        return_dict_in_generate=False,
        # A window has neither beginning nor end, so that only `stop` ends a row.
        suppress_tokens=text.tokenizer.all_special_ids or None,
        **ways[method],
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
        )
    begun = spelling.begun(rows).tolist()
    return [
        _cut(ids, text, limit, words)
        for ids, limit, words in zip(rows.tolist(), limits, begun, strict=True)
    ]


def _padding(text: AlignedText) -> int:
    """Id that fills ended rows: `_cut` never reaches it."""
    tokenizer = text.tokenizer
    return next(i for i in (tokenizer.pad_token_id, tokenizer.eos_token_id, 0) if i is not None)


def _cut(ids: list[int], text: AlignedText, limit: int, words: list[int]) -> Generated:
    """Drop what follows the stop; `words` are those that each token begins."""
    if limit == 0:
        return Generated([], text.stop)
    seen = 0
    for place, token in enumerate(ids):
        if text.stop == "tokens":
            seen += token == text.mark
            if seen >= limit:
                return Generated(ids[: place + 1], "tokens")
        else:
            seen += words[place]
            if seen > limit:
                return Generated(ids[:place], "words")
    return Generated(ids, "cap")
