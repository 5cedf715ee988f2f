"""A part of SLUE-VoxCeleb from its tables and audio to clips, a manifest, and their sentiments.

Texts and audio go the way of all speech (`hearsay.corpora.prepare_speech`): lower case, mono,
16 kHz. Nothing is left out for its length; what has no sentiment, no audio or no text is listed.
"""

import json
import sys
import tempfile
from collections import Counter
from pathlib import Path

import typer

from hearsay.corpora.manifest import read_manifest
from hearsay.corpora.prepare_speech import prepare
from hearsay.corpora.slue import LABELS, Labelled, list_labelled, write_labels
from hearsay.corpora.speech_source import open_source
from hearsay.errors import InputError
from hearsay.provenance import Run

STEP = "hearsay.corpora.prepare_slue"

# What may be the case for recognisers and is not for sentiments.
_FIXED = {"kind": "slue", "training": False, "min_duration": None, "max_duration": None}
_DEFAULTS = {"language": "en", "policy": "drop-character", "packed": False, "limit": None}


def main(
    corpus: str = typer.Option(help="name of the corpus in the configuration"),
    part: str = typer.Option(help="name of the part"),
    source: Path = typer.Option(help="folder or archive of SLUE-VoxCeleb"),
    settings: str = typer.Option(
        help="parts (its own: fine-tune, dev, test), counts, options (release), and if wanted "
        "language, alphabet, policy, packed, limit as JSON"
    ),
    threads: int = typer.Option(1, help="worker processes"),
    manifest: Path = typer.Option(help="manifest to write: a line of JSON a clip"),
    audio: Path = typer.Option(help="folder of audio to write"),
    labels: Path = typer.Option(help="CSV to write: the sentiment of each clip"),
    rejected: Path = typer.Option(help="CSV to write: rows that are not used, and why"),
    removed: Path = typer.Option(help="CSV to write: characters that went from texts"),
    record: Path = typer.Option(help="run record to write"),
) -> None:
    """List a part, cut its clips, and write them with their sentiments."""
    options = {**_DEFAULTS, "counts": {}, "options": {}, **json.loads(settings), **_FIXED}
    run = Run(STEP, settings={**options, "corpus": corpus, "part": part})
    outputs = {"manifest": manifest, "audio": audio, "rejected": rejected, "removed": removed}
    try:
        with tempfile.TemporaryDirectory() as folder:
            outputs["record"] = Path(folder) / "record.json"
            counts = prepare(corpus, part, source, options, threads, outputs)
            cut = json.loads(outputs["record"].read_text(encoding="utf-8"))
        told = {**options["options"], "counts": options["counts"]}
        rows, _ = list_labelled(open_source(source, options["parts"]), options["parts"], told)
    except InputError as error:
        raise InputError(f"{corpus}: {part}: {error}") from None
    sentiment: dict[str, Labelled] = {}
    for row in rows:
        sentiment.setdefault(row.recording.id, row)  # as of ids that come again the first is kept
    kept = [sentiment[clip.id] for clip in read_manifest(manifest)]
    assert len(kept) == counts["kept"], "a clip has no sentiment"
    write_labels(labels, kept)
    found = Counter(row.sentiment for row in kept)
    counts["sentiments"] = {label: found[label] for label in LABELS}
    run.write(
        record,
        source=str(source),
        counts=counts,
        characters=cut["characters"],
        audio_sha256=cut["audio_sha256"],
        listing=cut["settings"]["listing"],
    )
    listed = ", ".join(f"{label} {count:,}" for label, count in counts["sentiments"].items())
    print(f"{corpus}, {part}: {counts['kept']:,} of {counts['total']:,}: {listed}", file=sys.stderr)


if __name__ == "__main__":
    typer.run(main)
