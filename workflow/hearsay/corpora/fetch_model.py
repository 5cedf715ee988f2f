"""Fetch one pretrained model's weights, from the Hugging Face hub or from an address.

From the hub: the safetensors files of one pinned revision, with their index, `config.json` and
tokeniser. Downloads go on where they broke off; a file of the wrong checksum is refused and
removed.
"""

import contextlib
import json
import shutil
import sys
from pathlib import Path
from typing import Any

import typer

from hearsay.corpora import fetched_file
from hearsay.corpora.fetched_file import Wanted, name_in
from hearsay.corpora.whole_weights import check_weights
from hearsay.errors import InputError, reason_of
from hearsay.files import sha256_of
from hearsay.provenance import Run

STEP = "hearsay.corpora.fetch_model"
HUB_FILES = [
    "model*.safetensors",
    "model.safetensors.index.json",
    "config.json",
    # of language models: the tokeniser
    "tokenizer*.json",
    "special_tokens_map.json",
    "vocab.json",
    "vocab.txt",
    "merges.txt",
]


def fetch_from_hub(name: str, model: dict[str, Any], folder: Path) -> dict[str, Any]:
    """Download a hub repository's weights into `folder`; return the commit that was taken."""
    from huggingface_hub import HfApi, get_token, snapshot_download
    from huggingface_hub.errors import RepositoryNotFoundError

    repository, revision = model["hub"], model["revision"]
    try:
        if revision is None:
            revision = HfApi().model_info(repository).sha
        snapshot_download(repository, revision=revision, allow_patterns=HUB_FILES, local_dir=folder)
    except RepositoryNotFoundError:
        raise InputError(
            f"models.{name}: the hub has no repository {repository!r} that you may read"
        ) from None
    except Exception as error:  # whichever HTTP library is beneath, each with errors of its own
        first = reason_of(error)
        if token := get_token():  # a server's message may repeat what it was sent
            first = first.replace(token, "…")
        raise InputError(
            f"models.{name}: {repository}/model.safetensors at {revision or 'its newest revision'} "
            f"could not be fetched ({first}); with a local copy at hand, set models.{name}.path to "
            "it and models." + name + ".hub to null"
        ) from None
    if not any(folder.glob("model*.safetensors")):
        raise InputError(
            f"models.{name}: {repository} has no model*.safetensors at {revision}; only those are "
            "fetched from the hub: convert it, or download it and set path instead"
        )
    shutil.rmtree(folder / ".cache", ignore_errors=True)
    if model["sha256"] is not None:
        _verify(name, folder / "model.safetensors", model["sha256"])
    return {"revision": revision}


def fetch_from_url(name: str, model: dict[str, Any], folder: Path) -> dict[str, Any]:
    """Download one file into `folder` under its own name, resuming a broken download."""
    url, key = model["url"], f"models.{name}"
    file = folder / name_in(url, f"{key}.url")
    partial = file.with_name(file.name + ".partial")
    if model["sha256"] is None:
        # The file may be another one by now, and nothing would tell two halves that do not match.
        partial.unlink(missing_ok=True)
    wanted = Wanted(
        name=name,
        url=url,
        key=key,
        checksums={"sha256": model["sha256"]},
        local=f"with a local copy at hand, set {key}.path to it and {key}.url to null",
        check=check_weights if model["sha256"] is None else lambda _: None,
    )
    fetched_file.fetch(wanted, partial)
    partial.replace(file)
    return {}


def _verify(name: str, file: Path, expected: str) -> None:
    if not file.is_file():
        raise InputError(
            f"models.{name}: there is no {file.name}, whose checksum models.{name}.sha256 would be "
            "(the weights lie in several files); set it to null and name the revision instead"
        )
    found = sha256_of(file)
    if found != expected:
        file.unlink()
        raise InputError(
            f"models.{name}: {file.name} has the checksum {found}, not {expected}; it was removed. "
            f"Run again, or correct models.{name}.sha256"
        )


def main(
    model: str = typer.Option(help="name of the model in the configuration"),
    settings: str = typer.Option(help="hub, revision, url and sha256 as JSON"),
    out: Path = typer.Option(help="folder to write; appears only when all is there"),
    record: Path = typer.Option(help="run record to write, with the commit and every checksum"),
) -> None:
    """Fetch, verify, and only then show the folder under its name."""
    options = json.loads(settings)
    run = Run(STEP, settings=options)
    # Other settings, another folder: files of two revisions never meet.
    partial = out.with_name(f".{out.name}.{run.id}.partial")
    partial.mkdir(parents=True, exist_ok=True)
    fetch = fetch_from_hub if options["hub"] is not None else fetch_from_url
    try:
        facts = fetch(model, options, partial)
    except InputError:
        with contextlib.suppress(OSError):  # what has come stays for the next try
            partial.rmdir()
        raise
    files: dict[str, dict[str, Any]] = {
        file.name: {"bytes": file.stat().st_size, "sha256": sha256_of(file)}
        for file in sorted(partial.iterdir())
        if file.is_file()
    }
    if out.exists():
        shutil.rmtree(out)
    partial.replace(out)
    # Beside the folder, not in it: the folder's checksum is that of the weights alone.
    run.write(record, files=files, **facts)
    total = sum(file["bytes"] for file in files.values())
    print(f"{model}: {len(files)} files, {total / 1e6:.1f} MB", file=sys.stderr)


if __name__ == "__main__":
    typer.run(main)
