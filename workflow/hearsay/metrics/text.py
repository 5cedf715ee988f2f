"""Scores of a decoded window of words against the words that were heard.

All take lists of words (tokens) and give fractions. Every one is defined for empty windows: BLEU-1
and METEOR of an empty hypothesis or reference are 0; the word error rate of two empty windows is 0
and of an empty reference with any hypothesis 1.
"""

import math
import re
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from functools import lru_cache
from typing import TYPE_CHECKING

from hearsay.metrics.wordnet import WordNet

if TYPE_CHECKING:
    from nltk.stem.porter import PorterStemmer
    from nltk.tokenize import NLTKWordTokenizer

METEOR_ALPHA, METEOR_BETA, METEOR_GAMMA = 0.9, 3.0, 0.5


def bleu1(reference: Sequence[str], hypothesis: Sequence[str]) -> float:
    """BLEU of single words: clipped precision times brevity penalty, in [0, 1].

    Equal to NLTK's ``sentence_bleu`` with weights (1, 0, 0, 0) and, for one pair of texts, to the
    ``bleu`` of Hugging Face with ``max_order=1``, both without smoothing.

    Source: K. Papineni et al., "BLEU", ACL 2002, section 2.
    """
    if not reference or not hypothesis:
        return 0.0
    clipped = (Counter(hypothesis) & Counter(reference)).total()
    n, r = len(hypothesis), len(reference)
    brevity = 1.0 if n > r else math.exp(1 - r / n)
    return brevity * clipped / n


class Meteor:
    """METEOR as NLTK computes it: exact words, then Porter stems, then WordNet's synonyms.

    Parameters
    ----------
    wordnet : without it the last kind of match is left out, and `name` says so.

    Source: A. Lavie and A. Agarwal, "METEOR", WMT 2007, with alpha 0.9, beta 3 and gamma 0.5.
    """

    def __init__(self, wordnet: WordNet | None = None) -> None:
        from nltk.stem.porter import PorterStemmer
        from nltk.translate.meteor_score import single_meteor_score

        self.name = "meteor" if wordnet else "meteor-no-synonyms"
        self._score = single_meteor_score
        self._wordnet = wordnet
        self._stems = _Stems(PorterStemmer())

    def __call__(self, reference: Sequence[str], hypothesis: Sequence[str]) -> float:
        """METEOR of one pair, in [0, 1]."""
        if not reference or not hypothesis:
            return 0.0
        return self._score(
            reference,
            hypothesis,
            stemmer=self._stems,
            wordnet=_Senses(self._wordnet, {self._stems.stem(w.lower()) for w in reference}),
            alpha=METEOR_ALPHA,
            beta=METEOR_BETA,
            gamma=METEOR_GAMMA,
        )


class _Stems:
    """A stemmer that does each word once."""

    def __init__(self, stemmer: "PorterStemmer") -> None:
        self.stem = lru_cache(maxsize=None)(stemmer.stem)


class _Senses:
    """WordNet as NLTK's METEOR asks it, cut to synonyms that a reference's stems can match."""

    def __init__(self, wordnet: WordNet | None, stems: set[str]) -> None:
        self._wordnet, self._stems = wordnet, stems

    def synsets(self, word: str) -> "list[_Synset]":
        common = self._wordnet.synonyms(word) & self._stems if self._wordnet else None
        return [_Synset(common)] if common else []


class _Synset:
    def __init__(self, names: frozenset[str]) -> None:
        self._names = names

    def lemmas(self) -> "list[_Lemma]":
        return [_Lemma(name) for name in self._names]


class _Lemma:
    def __init__(self, name: str) -> None:
        self._name = name

    def name(self) -> str:
        return self._name


@dataclass(frozen=True)
class WordErrors:
    """Counts of the shortest edit from reference to hypothesis, in words."""

    hits: int
    substitutions: int
    deletions: int
    insertions: int

    @property
    def errors(self) -> int:
        """Substituted, deleted and inserted words."""
        return self.substitutions + self.deletions + self.insertions

    @property
    def words(self) -> int:
        """Words of the reference."""
        return self.hits + self.substitutions + self.deletions

    @property
    def rate(self) -> float:
        """Errors over words of the reference; above 1 where the hypothesis is far too long."""
        return self.errors / self.words if self.words else float(self.errors > 0)


def word_errors(reference: Sequence[str], hypothesis: Sequence[str]) -> WordErrors:
    """Edit counts of one pair, by jiwer; words are compared as they are."""
    import jiwer

    if not reference or not hypothesis:
        return WordErrors(0, 0, len(reference), len(hypothesis))
    found = jiwer.process_words(" ".join(reference), " ".join(hypothesis))
    return WordErrors(found.hits, found.substitutions, found.deletions, found.insertions)


def word_error_rate(reference: Sequence[str], hypothesis: Sequence[str]) -> float:
    """Word error rate of one pair; 0 is perfect."""
    return word_errors(reference, hypothesis).rate


def character_errors(reference: str, hypothesis: str) -> tuple[int, int]:
    """Edits from reference to hypothesis, and the reference's length, in characters with spaces.

    Spaces at the ends count too (jiwer's own character rate strips them first). By rapidfuzz.
    """
    from rapidfuzz.distance import Levenshtein

    return Levenshtein.distance(reference, hypothesis), len(reference)


def distinct_share(texts: Sequence[str]) -> float:
    """Share of distinct texts among `texts`: 1 if all differ, 1/n if all are one. NaN for none."""
    return len(set(texts)) / len(texts) if texts else math.nan


def length_ratio(references: Sequence[Sequence[str]], hypotheses: Sequence[Sequence[str]]) -> float:
    """Words of all hypotheses over words of all references; NaN where no word is referred to."""
    words = sum(map(len, references))
    return sum(map(len, hypotheses)) / words if words else math.nan


_PLAIN_WORD = re.compile(r"[\w']+")


def nltk_tokens(words: Sequence[str]) -> list[str]:
    """Tokens of NLTK's ``word_tokenize`` of the words joined by spaces ("don't": "do", "n't").

    ``word_tokenize`` first splits sentences with the model *punkt*, a separate download; words
    of these stories have no punctuation, so that there is one sentence, and only NLTK's word
    tokeniser is used, which needs no data.
    """
    if all(map(_PLAIN_WORD.fullmatch, words)):  # then every word is split on its own
        return [token for word in words for token in _tokens_of(word)]
    return list(_tokens_of(" ".join(words)))


@lru_cache(maxsize=100_000)
def _tokens_of(text: str) -> tuple[str, ...]:
    return tuple(_tokeniser().tokenize(text))


@lru_cache(maxsize=1)
def _tokeniser() -> "NLTKWordTokenizer":
    from nltk.tokenize import NLTKWordTokenizer

    return NLTKWordTokenizer()
