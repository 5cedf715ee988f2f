"""A part of a corpus of speech from its files to clips: mono, 16 kHz, 16 bits, and a manifest.

The corpus is listed, texts are brought into the language's alphabet, and the audio is streamed
through worker processes, once and in its own order. Every utterance is kept, or listed with the
reason why it is not. Killed and started again, it goes on where it was and ends with the same
bytes.
"""

import hashlib
import json
import shutil
import sys
from collections import Counter
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import typer
from tqdm import tqdm

from hearsay.corpora.alphabets import alphabet_of
from hearsay.corpora.audio import RATE
from hearsay.corpora.manifest import Clip, write_manifest
from hearsay.corpora.speech_clips import Limits, Piece, Request, crashed, cut
from hearsay.corpora.speech_containers import LARGEST
from hearsay.corpora.speech_readers import module_of, reader_of
from hearsay.corpora.speech_source import Rejected, Source, open_source
from hearsay.corpora.speech_store import Store, Stored
from hearsay.corpora.speech_texts import Chosen, Utterance, choose, write_rejected
from hearsay.corpora.worker_pool import WorkerPool
from hearsay.errors import InputError
from hearsay.provenance import Run, code_of

STEP = "hearsay.corpora.prepare_speech"


def list_part(source: Source, options: dict[str, Any]) -> Chosen:
    """List the utterances of a part, and normalise their texts.

    Raises
    ------
    InputError
        for a corpus that is not as its kind has it or not as large as it must be.
    """
    told = {**options["options"], "language": options["language"], "counts": options["counts"]}
    listing = reader_of(options["kind"])(source, options["parts"], told)
    source.forget_texts()
    alphabet = alphabet_of(options["language"], options)
    chosen = choose(listing, alphabet, options["policy"], options["limit"])
    present = []
    for utterance in chosen.utterances:
        audio = utterance.recording.audio
        if audio not in source:
            why = ("missing", f"there is no {audio}")
        elif source.size(audio) > LARGEST:
            why = ("too-large", f"{audio} has {source.size(audio)} bytes, more than {LARGEST}")
        else:
            present.append(utterance)
            continue
        chosen.rejected.append((utterance.index, Rejected(utterance.recording.id, *why)))
    chosen.utterances = present
    return chosen


def digest_of(source: Source, chosen: Chosen) -> str:
    """16 hexadecimal digits over what was listed and how large the audio files are.

    The audio itself is read once, later; a checksum over what came of it is in the record.
    """
    digest = hashlib.sha256()
    for utterance in chosen.utterances:
        recording = utterance.recording
        size = source.size(recording.audio)
        place = (recording.start, recording.end, recording.channel, recording.duration)
        row = [recording.id, recording.speaker, recording.text, recording.audio, size, *place]
        digest.update(json.dumps(row).encode())
    for index, rejected in chosen.rejected:
        digest.update(json.dumps([index, rejected.id, rejected.reason, rejected.detail]).encode())
    return digest.hexdigest()[:16]


def cut_clips(
    source: Source, chosen: Chosen, store: Store, limits: Limits, threads: int, title: str
) -> None:
    """Stream the audio files that the store does not have yet through workers into it."""
    wanted: dict[str, list[Utterance]] = {}
    for utterance in chosen.utterances:
        wanted.setdefault(utterance.recording.audio, []).append(utterance)
    left = {audio: each for audio, each in wanted.items() if audio not in store.done}
    count = sum(map(len, left.values()))
    begun = len(chosen.utterances) - count
    if begun:
        print(f"{title}: going on after {begun:,} utterances", file=sys.stderr)

    def requests() -> Iterator[Request]:
        for audio, data in source.stream(left):
            pieces = tuple(_piece(utterance, store) for utterance in left[audio])
            yield Request(audio, data, pieces, limits)

    def held(request: Request) -> int:
        return len(request.data) * (8 if store.packed else 1)  # its clips wait in memory, too

    with (
        WorkerPool(cut, min(threads, len(left)), held) as pool,
        tqdm(total=len(chosen.utterances), initial=begun, desc=title, **_bar()) as bar,
    ):
        for request, answer in pool.answers(requests()):
            outcomes = crashed(request, answer) if isinstance(answer, str) else answer
            names = [utterance.recording.id for utterance in left[request.audio]]
            store.add(request.audio, outcomes, names)
            bar.update(len(outcomes))
    store.finish()


def _piece(utterance: Utterance, store: Store) -> Piece:
    r = utterance.recording
    place = (r.start, r.end, r.channel, r.duration)
    return Piece(utterance.index, *place, utterance.needed, store.file_of(utterance.index, r.id))


def _bar() -> dict[str, Any]:
    quick = sys.stderr.isatty()
    return {"file": sys.stderr, "unit": "clip", "mininterval": 0.2 if quick else 5.0}


def gather(chosen: Chosen, store: Store, audio: Path) -> tuple[list[Clip], list[Rejected], str]:
    """Clips and rejected utterances in the order of the corpus, and a checksum over all audio."""
    stored: dict[int, Stored] = {each.index: each for done in store.done.values() for each in done}
    clips = []
    rejected = list(chosen.rejected)
    digest = hashlib.sha256()
    for utterance in chosen.utterances:
        found, recording = stored[utterance.index], utterance.recording
        if found.reason:
            rejected.append((utterance.index, Rejected(recording.id, found.reason, found.detail)))
            continue
        digest.update(f"{recording.id}\t{found.sha256}\n".encode())
        clips.append(
            Clip(
                id=recording.id,
                audio=audio / found.file,
                offset_bytes=found.offset,
                size_bytes=found.size,
                duration=found.samples / RATE,
                samples=found.samples,
                text=utterance.text,
                raw_text=recording.text,
                speaker=recording.speaker,
            )
        )
    assert len(clips) + len(rejected) == chosen.total, "an utterance is neither kept nor rejected"
    rejected.sort(key=lambda item: item[0])
    return clips, [each for _, each in rejected], digest.hexdigest()


def _counts(clips: list[Clip], rejected: list[Rejected]) -> dict[str, Any]:
    reasons = Counter(each.reason for each in rejected)
    return {
        "total": len(clips) + len(rejected),
        "kept": len(clips),
        "rejected": dict(sorted(reasons.items(), key=lambda item: (-item[1], item[0]))),
        "seconds": round(sum(clip.samples for clip in clips) / RATE, 3),
        "speakers": len({clip.speaker for clip in clips if clip.speaker}),
    }


def _told(counts: dict[str, Any]) -> str:
    reasons = ", ".join(f"{reason} {count:,}" for reason, count in counts["rejected"].items())
    text = f"{counts['total']:,} utterances, {counts['kept']:,} kept"
    text += f" ({counts['seconds'] / 3600:.2f} h)"
    return f"{text}, rejected: {reasons}" if reasons else text


def prepare(
    corpus: str,
    part: str,
    source: Path,
    options: dict[str, Any],
    threads: int,
    outputs: dict[str, Path],
) -> dict[str, Any]:
    """Prepare a part; return its counts. `outputs` are those of `main`, by name.

    Raises
    ------
    InputError
        for a source that is not the corpus, and if no utterance of it can be used.
    """
    title = f"{corpus}, {part}"
    files = open_source(source, options["parts"])
    chosen = list_part(files, options)
    named = {**options, "corpus": corpus, "part": part, "listing": digest_of(files, chosen)}
    named["reader"] = code_of(module_of(options["kind"]))
    run = Run(STEP, settings=named)
    audio = outputs["audio"]
    # Other settings, texts or files, another folder: two preparations never meet.
    partial = audio.with_name(f".{audio.name}.{run.id}.partial")
    for stale in audio.parent.glob(f".{audio.name}.*.partial"):
        if stale != partial:
            shutil.rmtree(stale)
    training = options["training"]
    limits = Limits(
        min_duration=options["min_duration"] if training else None,
        max_duration=options["max_duration"] if training else None,
        feasible=training,
    )
    with Store(partial, options["packed"]) as store:
        cut_clips(files, chosen, store, limits, threads, title)
    clips, rejected, checksum = gather(chosen, store, audio)
    counts = _counts(clips, rejected)
    if not clips:
        shutil.rmtree(partial)
        most = next(iter(counts["rejected"]), None)
        such = [f". Such as {e.id}: {e.detail}" for e in rejected if e.reason == most]
        raise InputError(
            f"{source}: nothing of it can be used ({_told(counts)})" + "".join(such[:1])
        )
    if audio.exists():
        shutil.rmtree(audio)
    store.audio.replace(audio)
    write_rejected(outputs["rejected"], rejected)
    chosen.removals.write(outputs["removed"])
    write_manifest(outputs["manifest"], clips)
    run.write(
        outputs["record"],
        source=str(source),
        counts=counts,
        characters=chosen.removals.totals(),
        audio_sha256=checksum,
    )
    shutil.rmtree(partial)
    return counts


def main(
    corpus: str = typer.Option(help="name of the corpus in the configuration"),
    part: str = typer.Option(help="name of the part"),
    source: Path = typer.Option(help="archive or folder of the corpus, or of its archives"),
    settings: str = typer.Option(
        help="kind, language, parts, policy, counts, packed, training, min_duration, max_duration, "
        "limit, options and, for a language that is not built in, alphabet as JSON"
    ),
    threads: int = typer.Option(1, help="worker processes"),
    manifest: Path = typer.Option(help="manifest to write: a line of JSON a clip"),
    audio: Path = typer.Option(help="folder of audio to write"),
    rejected: Path = typer.Option(help="CSV to write: utterances that are not used, and why"),
    removed: Path = typer.Option(help="CSV to write: characters that went from texts"),
    record: Path = typer.Option(help="run record to write"),
) -> None:
    """List a part of a corpus, cut its clips, and write what was kept and what was not."""
    outputs = {
        "manifest": manifest,
        "audio": audio,
        "rejected": rejected,
        "removed": removed,
        "record": record,
    }
    try:
        counts = prepare(corpus, part, source, json.loads(settings), threads, outputs)
    except InputError as error:
        raise InputError(f"speech_corpora.{corpus}: {part}: {error}") from None
    print(f"{corpus}, {part}: {_told(counts)}", file=sys.stderr)


if __name__ == "__main__":
    typer.run(main)
