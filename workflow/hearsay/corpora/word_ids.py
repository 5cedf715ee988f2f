"""Words as numbers: the vocabulary of a training text, and texts encoded by it.

A line is ``line.split()`` and then ``<eos>``; an empty line is one ``<eos>``. Nothing else is done
to the text: case, digits and punctuation stay as they are.
"""

from array import array
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from hearsay.corpora.text_files import Passage, Text
from hearsay.errors import InputError

END, UNKNOWN = "<eos>", "<unk>"


def make_vocabulary(
    passage: Passage, max_vocabulary: int | None = None, min_count: int | None = None
) -> list[str]:
    """Words of a training text in the order of their first appearance, `END` among them.

    Parameters
    ----------
    passage : the training text.
    max_vocabulary : how many words to keep, `UNKNOWN` and `END` counted: the most frequent ones,
        of equally frequent ones those that come first.
    min_count : how often a word must come to be kept.

    With either of the two `UNKNOWN` is in the vocabulary, whether or not any word is left out.

    Raises
    ------
    InputError
        for a text without words, and for one that holds `END` itself.
    """
    counts: Counter[str] = Counter()
    for text, number, line in passage.lines():
        words = line.split()
        if END in words:
            raise _holds_end(text, number)
        counts.update(words)
        counts[END] += 1
    _check_not_empty(passage, counts.total(), counts[END])
    if max_vocabulary is None and min_count is None:
        return list(counts)
    common = [
        word
        for word, count in counts.most_common()
        if word not in (END, UNKNOWN) and count >= (min_count or 1)
    ]
    kept = {END, UNKNOWN, *common[: None if max_vocabulary is None else max_vocabulary - 2]}
    return list(dict.fromkeys([word if word in kept else UNKNOWN for word in counts] + [UNKNOWN]))


@dataclass(frozen=True)
class Encoded:
    """A text as ids.

    Attributes
    ----------
    ids : int32 [N].
    lines : how many.
    replaced : words that became `UNKNOWN`, with how often.
    """

    ids: np.ndarray
    lines: int
    replaced: Counter[str]


def encode(passage: Passage, words: Sequence[str]) -> Encoded:
    """Ids of a text's tokens; a word that is not in `words` becomes `UNKNOWN`, if that is there.

    Raises
    ------
    InputError
        for a text without words, for one that holds `END`, and for words that are not in a
        vocabulary without `UNKNOWN`: with the first such words and the place of the first one.
    """
    known = {word: number for number, word in enumerate(words)}
    unknown, end = known.get(UNKNOWN, -1), known[END]
    ids, lines = array("i"), 0
    replaced: Counter[str] = Counter()
    first = ""
    for text, number, line in passage.lines():
        tokens = line.split()
        numbers = [known.get(word, -1) for word in tokens]
        if end in numbers:
            raise _holds_end(text, number)
        if -1 in numbers:
            first = first or f"{text}, line {number}"
            replaced.update(word for word in tokens if word not in known)
            numbers = [unknown if number < 0 else number for number in numbers]
        ids.extend(numbers)
        ids.append(end)
        lines += 1
    if replaced and unknown < 0:
        examples = ", ".join(repr(word) for word in list(replaced)[:5])
        raise InputError(
            f"{first}: the training text lacks {len(replaced)} of the words ({examples}"
            f"{', …' if len(replaced) > 5 else ''}) and has no {UNKNOWN} for them; set "
            f"max_vocabulary or min_count, by which rare words become {UNKNOWN}"
        )
    _check_not_empty(passage, len(ids), lines)
    return Encoded(np.array(ids, dtype=np.int32), lines, replaced)


def _holds_end(text: Text, line: int) -> InputError:
    return InputError(
        f"{text}, line {line}: holds the word {END}, which is put at the end of every line here; "
        "remove it from the file"
    )


def _check_not_empty(passage: Passage, tokens: int, lines: int) -> None:
    if tokens == lines:
        raise InputError(f"{passage}: holds no words, in {lines} lines")
