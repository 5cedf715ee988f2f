"""Fetch the files of a corpus of speech that a public list names, such as CORAAL's.

No checksums are published for such files: archives must at least be whole, and the record keeps the
SHA-256 of all. A download that broke off goes on where it stopped, file by file.
"""

import fnmatch
import json
import sys
from pathlib import Path

import typer

from hearsay.corpora import fetched_file
from hearsay.corpora.fetched_file import Wanted, name_in
from hearsay.corpora.speech_archives import check_archive, is_archive
from hearsay.errors import InputError
from hearsay.provenance import Run

STEP = "hearsay.corpora.fetch_listed_speech"


def addresses_of(text: str, names: list[str], key: str) -> dict[str, str]:
    """Addresses in a list by file name, of those that are wanted, in the order of the list.

    Raises
    ------
    InputError
        for a pattern that no file has, and for two files of one name.
    """
    listed: dict[str, str] = {}
    for address in (word for word in text.split() if word.startswith(("http://", "https://"))):
        try:
            name = name_in(address, key)
        except InputError:  # lists hold addresses of folders as well
            continue
        if listed.setdefault(name, address) != address:
            raise InputError(f"{key}: two files are called {name}: {listed[name]} and {address}")
    for pattern in names:
        if not fnmatch.filter(listed, pattern):
            some = ", ".join(list(listed)[:3]) or "none"
            raise InputError(f"{key}.names: no file is like {pattern!r}; the list has: {some}, …")
    wanted = {name for pattern in names for name in fnmatch.filter(listed, pattern)}
    return {name: address for name, address in listed.items() if name in wanted}


def main(
    corpus: str = typer.Option(help="name of the corpus in the configuration"),
    settings: str = typer.Option(help="url of the list and names as JSON"),
    out: Path = typer.Option(help="folder to write; appears only when all is there"),
    record: Path = typer.Option(help="run record to write, with names and checksums"),
) -> None:
    """Fetch the list, then every file of it that is wanted."""
    options = json.loads(settings)
    run = Run(STEP, settings=options)
    key = f"speech_corpora.{corpus}.listed"
    # Kept when a download breaks off: finished files and the beginning of the next.
    partial = out.with_name(f".{out.name}.{run.id}.partial")
    partial.mkdir(parents=True, exist_ok=True)
    local = f"with a local copy at hand, set speech_corpora.{corpus}.path to it and listed to null"

    def fetch(name: str, address: str, check: bool) -> str:
        file, begun = partial / name, partial / f".{name}.partial"
        if not file.is_file():
            whole = check_archive if check and is_archive(Path(name)) else lambda _: None
            wanted = Wanted(f"{corpus}/{name}", address, key, {}, local, whole)
            fetched_file.fetch(wanted, begun)
            begun.replace(file)
        return fetched_file.checksums_of(file, {"sha256"})["sha256"]

    listing = partial / ".list"
    listing.unlink(missing_ok=True)
    fetch(listing.name, options["url"], False)
    text = listing.read_text(encoding="utf-8", errors="replace")
    addresses = addresses_of(text, options["names"], key)
    found = {name: fetch(name, address, True) for name, address in addresses.items()}
    listing.unlink()
    size = sum((partial / name).stat().st_size for name in found)
    partial.replace(out)
    run.write(record, bytes=size, files=found)
    print(f"{corpus}: {len(found)} files, {size / 1e6:.1f} MB", file=sys.stderr)


if __name__ == "__main__":
    typer.run(main)
