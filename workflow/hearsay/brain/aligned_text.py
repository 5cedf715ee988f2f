"""Text with alignment tokens: one ``$`` after the words of every TR.

The same token id is put into targets and watched by the stopper, so that a window of W TRs has
exactly W of them, empty TRs included, and generation can end at the W-th (BP-GPT, section II-C).
"""

from collections.abc import Mapping, Sequence
from functools import cached_property
from typing import Any

from hearsay.errors import InputError

MARK = "$"
Row = Sequence[str]


class AlignedText:
    """Tokens of windows, for one tokeniser.

    Parameters
    ----------
    tokenizer : of the language model.
    stop : ``"tokens"`` puts an alignment token after every row, ``"words"`` none.
    prefix : text before every target.
    max_tokens : longest target.

    Attributes
    ----------
    mark : id of the alignment token; -1 where a tokeniser without one is used without it.
    shortened : how many targets had to lose words to fit (`encode` counts).

    Raises
    ------
    InputError
        if alignment tokens are asked for and the tokeniser has no single token for ``$``.
    """

    def __init__(
        self, tokenizer: Any, *, stop: str = "tokens", prefix: str = "", max_tokens: int = 128
    ) -> None:
        self.tokenizer, self.stop, self.max_tokens = tokenizer, stop, max_tokens
        self.shortened = 0
        candidates = [self._ids(" " + MARK), self._ids(MARK)]
        # A single token may also be a lone space, or the one for whatever is unknown.
        single = [
            ids[0] for ids in candidates if len(ids) == 1 and tokenizer.decode(ids).strip() == MARK
        ]
        if not single and stop == "tokens":
            raise InputError(
                f"{tokenizer.name_or_path}: its tokeniser has no single token for {MARK!r}, which "
                "alignment tokens need; choose another brain.language_model or stop: words"
            )
        self.mark = single[0] if single else -1
        # Byte-level tokenisers write the space with the word; others add it themselves.
        self._space = " " if len(self._ids(" the")) <= len(self._ids("the")) else ""
        self.prefix = self._ids(prefix) if prefix else []

    @classmethod
    def of_recipe(cls, tokenizer: Any, recipe: Mapping[str, Any]) -> "AlignedText":
        """The text that a recipe trains on and decodes."""
        return cls(
            tokenizer,
            stop=recipe["stop"],
            prefix=recipe["prefix"],
            max_tokens=recipe["max_tokens"],
        )

    def encode(self, rows: Sequence[Row]) -> list[int]:
        """Token ids of one window's rows, at most `max_tokens`.

        A window that is too long loses the last tokens of its longest rows, never an alignment
        token; `shortened` counts such windows.
        """
        if self.stop == "words":
            ids = [*self.prefix, *self._row([word for row in rows for word in row])]
            self.shortened += len(ids) > self.max_tokens
            return ids[: self.max_tokens]
        parts = [self._row(row) for row in rows]
        spare = self.max_tokens - len(self.prefix) - len(parts)
        if spare < 0:
            raise InputError(
                f"recipe.max_tokens = {self.max_tokens} is too small for {len(parts)} alignment "
                "tokens a window"
            )
        self.shortened += sum(map(len, parts)) > spare
        while sum(map(len, parts)) > spare:
            max(parts, key=len).pop()
        return [*self.prefix, *(token for part in parts for token in [*part, self.mark])]

    def decode(self, ids: Sequence[int]) -> list[list[str]]:
        """Words of every row; the words after the last alignment token, if any, are a last row.

        Without alignment tokens all words are in one row. The prefix is left out.
        """
        ids = list(ids)
        if self.prefix and ids[: len(self.prefix)] == self.prefix:
            ids = ids[len(self.prefix) :]
        parts: list[list[int]] = [[]]
        for token in ids:
            if token == self.mark:
                parts.append([])
            else:
                parts[-1].append(token)
        if len(parts) > 1 and not parts[-1]:
            parts.pop()
        return [self.words(part) for part in parts]

    def words(self, ids: Sequence[int]) -> list[str]:
        """Lower-case words of tokens, free of alignment tokens and prefix signs."""
        text = self.tokenizer.decode(list(ids), skip_special_tokens=True)
        return _plain(text).lower().split()

    @cached_property
    def spelling(self) -> tuple[list[int], list[bool], list[bool]]:
        """For every token id: how many words its text has, whether it begins and ends apart.

        After a token that ends apart (with a space, an alignment token or a prefix sign), or
        before one that begins apart, text is a word of its own. So the words of a text, as `words`
        finds them, can be counted token by token. Special tokens have no text.
        """
        tokens = self.tokenizer.convert_ids_to_tokens(list(range(len(self.tokenizer))))
        special = {*self.tokenizer.all_special_ids}
        other = self.tokenizer.convert_ids_to_tokens(self._ids("a")[:1])  # keeps a token's space
        shown = self.tokenizer.convert_tokens_to_string(other)
        counts, begins, ends = [], [], []
        for number, token in enumerate(tokens):
            text = ""
            if token and number not in special:
                text = self.tokenizer.convert_tokens_to_string([*other, token])[len(shown) :]
            text = " " if number == self.mark else _plain(text)
            counts.append(len(text.split()))
            begins.append(not text or text[0].isspace())
            ends.append(not text or text[-1].isspace())
        return counts, begins, ends

    def _row(self, words: Row) -> list[int]:
        text = " ".join(word.replace(MARK, "") for word in words)
        return self._ids(self._space + text) if text.strip() else []

    def _ids(self, text: str) -> list[int]:
        return self.tokenizer.encode(text, add_special_tokens=False)


def _plain(text: str) -> str:
    """Text without alignment tokens and prefix signs."""
    return text.replace(MARK, " ").replace("=", " ")


def joined(rows: Sequence[Row], *, stop: str = "tokens") -> str:
    """One window as text; with ``stop="tokens"`` a ``$`` follows every row."""
    if stop == "words":
        return " ".join(word for row in rows for word in row)
    return " ".join(" ".join([*row, MARK]) for row in rows)
