"""Fetch one archive of a corpus of speech from its address.

A download goes on where it broke off; LibriSpeech's largest part has 30 GB. What came must have the
checksum that the settings give, or else at least be a whole archive; only then does it appear under
its name. Corpora under licence are never fetched: their settings have no address.
"""

import json
import sys
from pathlib import Path
from typing import Any

import typer

from hearsay.corpora import fetched_file
from hearsay.corpora.fetched_file import Wanted
from hearsay.corpora.speech_archives import check_archive, is_archive
from hearsay.provenance import Run

STEP = "hearsay.corpora.fetch_speech"


def fetch(corpus: str, archive: str, options: dict[str, Any], partial: Path) -> dict[str, str]:
    """Download the archive to `partial`, verify it, and return its checksums.

    Parameters
    ----------
    archive : its file name. What has not the name of an archive (CORAAL's ``…_metadata_….txt``) is
        verified by its checksum alone.
    options : url, md5 and sha256; the checksums may be None.

    Raises
    ------
    InputError
        for an address that does not hand it over (what came stays, for the next try), and for an
        archive that is not the expected one or not whole, which is removed.
    """
    key = f"speech_corpora.{corpus}"
    checksums = {name: options.get(name) for name in ("md5", "sha256")}
    verified = any(checksums.values())
    wanted = Wanted(
        name=f"{corpus}/{archive}",
        url=options["url"],
        key=f"{key}.archives.{archive}",
        checksums=checksums,
        local=f"with a local copy at hand, set {key}.path to its folder and {key}.archives to {{}}",
        check=check_archive if is_archive(Path(archive)) and not verified else lambda _: None,
    )
    return fetched_file.fetch(wanted, partial)


def main(
    corpus: str = typer.Option(help="name of the corpus in the configuration"),
    archive: str = typer.Option(help="file name of the archive in the configuration"),
    settings: str = typer.Option(help="url, md5 and sha256 as JSON"),
    out: Path = typer.Option(help="archive to write; appears only when all is there"),
    record: Path = typer.Option(help="run record to write, with size and checksums"),
) -> None:
    """Fetch, verify, and only then show the archive under its name."""
    options = json.loads(settings)
    run = Run(STEP, settings=options)
    # Another address or checksum, another file: two archives never meet.
    partial = out.with_name(f".{out.name}.{run.id}.partial")
    partial.parent.mkdir(parents=True, exist_ok=True)
    found = fetch(corpus, archive, options, partial)
    size = partial.stat().st_size
    partial.replace(out)
    run.write(record, bytes=size, **found)
    print(f"{corpus}/{archive}: {size / 1e6:.1f} MB", file=sys.stderr)


if __name__ == "__main__":
    typer.run(main)
