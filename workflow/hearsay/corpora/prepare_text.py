"""A corpus of text from its files to numbers: checked, split, and counted.

From an archive, a folder with files for train, valid and test, or a folder of plain text
(`hearsay.corpora.text_files`) to the ids of words (`hearsay.corpora.word_ids`). Checksums, numbers
of tokens and the size of the vocabulary are asserted where the settings state them.
"""

import json
import sys
from pathlib import Path
from typing import Any

import typer

from hearsay.corpora.text_corpus import SPLITS, TokenCorpus, write_tokens
from hearsay.corpora.text_files import Passage, choose_splits, texts_of
from hearsay.corpora.word_ids import UNKNOWN, Encoded, encode, make_vocabulary
from hearsay.errors import InputError
from hearsay.provenance import Run

STEP = "hearsay.corpora.prepare_text"


def find_passages(source: Path, options: dict[str, Any]) -> dict[str, Passage]:
    """Where the texts for train, valid and test lie in an archive or folder."""
    files = options["files"].items()
    names = {split: known["name"] for split, known in files if known.get("name")}
    return choose_splits(source, texts_of(source), names)


def read_corpus(
    passages: dict[str, Passage], options: dict[str, Any]
) -> tuple[TokenCorpus, dict[str, Any]]:
    """Read a corpus and assert what is known of it; return it with the facts for the run record.

    Parameters
    ----------
    passages : the texts, by split.
    options : files (sha256 and tokens, by split), vocabulary, max_vocabulary, min_count, as in the
        settings of one of `text_corpora`.

    Raises
    ------
    InputError
        for a file, a number of tokens or a vocabulary that is not the expected one, and for all
        that `make_vocabulary` and `encode` refuse.
    """
    known = {split: options["files"].get(split) or {} for split in SPLITS}
    facts: dict[str, Any] = {}
    for split, passage in passages.items():
        facts[split] = _checksums(passage, known[split].get("sha256"), f"files.{split}")
    limits = {name: options[name] for name in ("max_vocabulary", "min_count")}
    words = make_vocabulary(passages["train"], **limits)
    expected = options["vocabulary"]
    if expected is not None and len(words) != expected:
        raise InputError(
            f"{passages['train']}: has a vocabulary of {len(words)} words, not {expected} as "
            "vocabulary says; get the right files, or correct that"
        )
    texts = {}
    for split, passage in passages.items():
        text = encode(passage, words)
        _check_tokens(passage, text, known[split].get("tokens"), f"files.{split}.tokens")
        facts[split] |= _counts(text)
        texts[split] = text.ids
    corpus = TokenCorpus(**texts, words=words)
    facts |= {
        "vocabulary": len(words),
        "digest": corpus.digest,
        "vocabulary_digest": corpus.vocabulary_digest,
    }
    return corpus, facts


def _checksums(passage: Passage, expected: str | None, key: str) -> dict[str, Any]:
    """Names, size and checksum of a passage's files, the latter compared with the expected one."""
    if passage.part:
        if expected is not None:
            raise InputError(
                f"{passage}: a part of the text has no checksum; set {key}.name, or {key}.sha256 "
                "to null"
            )
        return {"texts": [text.name for text in passage.texts], "first_line": passage.start + 1}
    (text,) = passage.texts
    found = text.sha256()
    if expected is not None and found != expected:
        raise InputError(
            f"{text}: has the sha256 {found}, not {expected} as {key}.sha256 says: it is another "
            "version of the text or damaged; get the right one, or correct the checksum"
        )
    return {"texts": [text.name], "bytes": text.bytes, "sha256": found}


def _check_tokens(passage: Passage, text: Encoded, expected: int | None, key: str) -> None:
    if expected is not None and len(text.ids) != expected:
        raise InputError(
            f"{passage}: has {len(text.ids)} tokens, not {expected} as {key} says; get the right "
            "file, or correct that"
        )


def _counts(text: Encoded) -> dict[str, Any]:
    return {
        "lines": text.lines,
        "tokens": len(text.ids),
        "predictions": len(text.ids) - 1,
        "replaced": {
            "tokens": text.replaced.total(),
            "words": len(text.replaced),
            "examples": [word for word, _ in text.replaced.most_common(5)],
        },
    }


def _report(corpus: str, facts: dict[str, Any]) -> None:
    for split in SPLITS:
        found = facts[split]
        print(f"{split}: {found['lines']:,} lines, {found['tokens']:,} tokens", file=sys.stderr)
        replaced = found["replaced"]
        if replaced["tokens"]:
            examples = ", ".join(map(repr, replaced["examples"]))
            print(
                f"warning: {corpus}: {split}: {replaced['tokens']:,} tokens "
                f"({100 * replaced['tokens'] / found['tokens']:.2f} %, {replaced['words']:,} words "
                f"that the vocabulary lacks) became {UNKNOWN}, such as {examples}",
                file=sys.stderr,
            )
    print(f"vocabulary: {facts['vocabulary']:,} words", file=sys.stderr)


def main(
    corpus: str = typer.Option(help="name of the corpus in the configuration"),
    source: Path = typer.Option(help="archive or folder that holds the text"),
    settings: str = typer.Option(help="files, vocabulary, max_vocabulary, min_count as JSON"),
    out: Path = typer.Option(help=".npz to write: train, valid, test, words"),
    record: Path = typer.Option(help="run record to write, with all counts and checksums"),
) -> None:
    """Read, check, and write one corpus."""
    options = json.loads(settings)
    try:
        passages = find_passages(source, options)
        used = dict.fromkeys(text.path for split in SPLITS for text in passages[split].texts)
        run = Run(STEP, settings=options, inputs=list(used))
        tokens, facts = read_corpus(passages, options)
        write_tokens(out, tokens)
    except InputError as error:
        raise InputError(f"text_corpora.{corpus}: {error}") from None
    run.write(record, **facts)
    _report(corpus, facts)


if __name__ == "__main__":
    typer.run(main)
