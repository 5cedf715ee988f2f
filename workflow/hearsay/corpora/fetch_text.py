"""Fetch the archive of a corpus of text from its address.

A download goes on where it broke off. What came must be the archive that the settings name by its
checksum, and in any case a whole one; only then does it appear under its name.
"""

import json
import sys
from pathlib import Path
from typing import Any

import typer
from tqdm import tqdm

from hearsay.corpora import curl
from hearsay.corpora.text_files import texts_of
from hearsay.errors import InputError
from hearsay.files import sha256_of
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
    url, key = options["url"], f"text_corpora.{corpus}"
    local = f"with a local copy at hand, set {key}.path to it and {key}.url to null"
    begun = partial.stat().st_size if partial.exists() else 0
    if begun:
        print(f"{corpus}: going on after {begun:,} bytes", file=sys.stderr)
    try:
        with tqdm(
            desc=f"fetch {corpus}",
            initial=begun,
            unit="B",
            unit_scale=True,
            mininterval=0.2 if sys.stderr.isatty() else 5,
            file=sys.stderr,
        ) as bar:
            curl.fetch(url, partial, bar.update)
    except InputError as error:
        raise InputError(f"{key}: {url} could not be fetched ({error}); {local}") from None
    size = partial.stat().st_size if partial.exists() else 0
    if size == 0:
        partial.unlink(missing_ok=True)
        raise InputError(f"{key}: {url} answered with nothing; {local}")
    found, expected = sha256_of(partial), options["sha256"]
    if expected is not None and found != expected:
        partial.unlink()
        raise InputError(
            f"{key}: what came from {url} ({size:,} bytes) has the sha256 {found}, not {expected}; "
            f"it was removed. Run again, or correct {key}.sha256; {local}"
        )
    try:
        texts_of(partial)
    except InputError as error:
        partial.unlink()
        reason = str(error).removeprefix(f"{partial}: ")
        raise InputError(
            f"{key}: what came from {url} ({size:,} bytes) {reason}; it was removed; {local}"
        ) from None
    return found


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
