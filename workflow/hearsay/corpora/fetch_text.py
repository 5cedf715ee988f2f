"""Fetch the archive of a corpus of text from its address.

A download goes on where it broke off. What came must be the archive that the settings name by its
checksum, and in any case a whole one; only then does it appear under its name.
"""

import json
import sys
from pathlib import Path
from typing import Any

import typer

from hearsay.corpora import fetched_file
from hearsay.corpora.fetched_file import Wanted
from hearsay.corpora.text_files import check_texts, texts_of
from hearsay.provenance import Run

STEP = "hearsay.corpora.fetch_text"


def fetch(corpus: str, options: dict[str, Any], partial: Path) -> str:
    """Download the archive to `partial`, verify it, and return its checksum.

    Raises
    ------
    InputError
        for an address that does not hand it over (what came stays, for the next try), and for an
        archive that is not the expected one or not whole, which is removed.
    """
    key = f"text_corpora.{corpus}"
    wanted = Wanted(
        name=corpus,
        url=options["url"],
        key=key,
        checksums={"sha256": options["sha256"]},
        local=f"with a local copy at hand, set {key}.path to it and {key}.url to null",
        check=texts_of if options["sha256"] is not None else check_texts,
    )
    return fetched_file.fetch(wanted, partial)["sha256"]


def main(
    corpus: str = typer.Option(help="name of the corpus in the configuration"),
    settings: str = typer.Option(help="url and sha256 as JSON"),
    out: Path = typer.Option(help="archive to write; appears only when all is there"),
    record: Path = typer.Option(help="run record to write, with size and checksum"),
) -> None:
    """Fetch, verify, and only then show the archive under its name."""
    options = json.loads(settings)
    run = Run(STEP, settings=options)
    # Another address or checksum, another file: two archives never meet.
    partial = out.with_name(f".{out.name}.{run.id}.partial")
    partial.parent.mkdir(parents=True, exist_ok=True)
    sha256 = fetch(corpus, options, partial)
    size = partial.stat().st_size
    partial.replace(out)
    run.write(record, bytes=size, sha256=sha256)
    print(f"{corpus}: {size / 1e6:.1f} MB", file=sys.stderr)


if __name__ == "__main__":
    typer.run(main)
