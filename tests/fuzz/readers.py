"""The readers of files from outside, each with valid files to break."""

import contextlib
import gzip
import io
import json
import tarfile
import zipfile
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import soundfile
import torch
import yaml
from safetensors.torch import save

from hearsay.asr.recipes import read_experiments as read_asr
from hearsay.brain.voxels import read_indices
from hearsay.config import load
from hearsay.corpora import common_voice, slue, speech_table
from hearsay.corpora.audio import AudioError, decode
from hearsay.corpora.dataset_listing import read_dataset
from hearsay.corpora.fetch_listed_speech import addresses_of
from hearsay.corpora.manifest import read_audio, read_manifest
from hearsay.corpora.present import read_present
from hearsay.corpora.speech_archives import check_archive, open_archive
from hearsay.corpora.speech_source import open_source as open_speech
from hearsay.corpora.text_corpus import TokenCorpus, read_tokens, write_tokens
from hearsay.corpora.text_files import choose_splits, texts_of
from hearsay.corpora.textgrid import read_textgrid, read_words
from hearsay.corpora.whole_weights import check_weights
from hearsay.corpora.word_times import csv_words, read_word_times, sphinx_words, timit_words
from hearsay.errors import InputError
from hearsay.lm.language_model import load_language_model, model_of, save_language_model
from hearsay.lm.recipes import read_experiments as read_lm
from hearsay.lm.recipes import recipe_of
from hearsay.metrics.scores import SCORE_COLUMNS, read_scores
from hearsay.paper.asr_published import read_published
from hearsay.paper.inline_svg import read_figure
from hearsay.paper.manifest import read_manifest as read_page
from hearsay.paper.tables import Column, Row, Table, as_json, read_table
from hearsay.paper.wabert_states import read_states
from hearsay.profiles import check_profile
from hearsay.provenance import ROOT
from hearsay.slu.aligner_experiments import read_aligners
from hearsay.slu.folders import read_json
from hearsay.slu.sentiment_experiments import read_sentiment
from hearsay.spectral.sources import open_source


@dataclass(frozen=True)
class Reader:
    """A reader of one kind of file.

    Attributes
    ----------
    name : of the file that is written for it.
    seeds : valid files; given a folder to make them in.
    read : what is fuzzed, of the file's path.
    examples : in the default depth.
    allowed : exceptions that are handled by whoever calls it.
    lines : of a message at most.
    """

    name: str
    seeds: Callable[[Path], list[bytes]]
    read: Callable[[Path], object]
    examples: int = 60
    allowed: tuple[type[Exception], ...] = ()
    lines: int = 1


def repository(*patterns: str) -> Callable[[Path], list[bytes]]:
    return lambda _: [f.read_bytes() for p in patterns for f in sorted(ROOT.glob(p))]


def fixed(*contents: str | bytes) -> Callable[[Path], list[bytes]]:
    return lambda _: [c.encode() if isinstance(c, str) else c for c in contents]


# --- settings -------------------------------------------------------------------------------------


def settings_of(path: Path) -> None:
    """As Snakemake does it: read, merge, check. What is no YAML is Snakemake's to tell."""
    try:
        content = yaml.safe_load(path.read_text(encoding="utf-8"))
    except (yaml.YAMLError, ValueError, RecursionError):
        content = {"modles": 1}  # the readers of lines still get the file
    load(content if isinstance(content, dict) else {"models": content}, [path], {})


HOSTILE_SETTINGS = [
    "a: &a [x, x, x, x, x, x, x, x, x]\nb: &b [*a, *a, *a, *a, *a, *a, *a, *a]\n"
    "c: &c [*b, *b, *b, *b, *b, *b, *b, *b]\nd: &d [*c, *c, *c, *c, *c, *c, *c, *c]\n"
    "e: &e [*d, *d, *d, *d, *d, *d, *d, *d]\nf: &f [*e, *e, *e, *e, *e, *e, *e, *e]\n"
    "models: {m: [*f, *f, *f, *f, *f, *f, *f, *f]}\nspectral: {models: *f, pair: *f}\n",
    "models: &m\n  a: *m\n",
    "models: &m {a: {path: *m}}\nspectral: {models: &x [*x]}\n",
    "1: 2\nmodels: {1: {path: 2}}\nspectral: {null: null, true: [1.5]}\n",
    "models: {a: {accuracy: 1e999, path: .nan}}\n",
    "spectral:\n" + "".join(f"  k{k}: {k}\n" for k in range(3000)),
    "speech_corpora: {a: {kind: table, language: en, path: x, options: {a: [[[[[1]]]]]}}}\n",
    "? [a, b]\n: c\nmodels: {? {a: b} : {path: x}}\n",
    "pathvars: {results: " + "a" * 5000 + "}\n",
]


OPTIONS = {
    key
    for file in ROOT.glob("profiles/*/profile.yaml")
    for key in yaml.safe_load(file.read_text(encoding="utf-8"))
}


# --- tables, texts, lists -------------------------------------------------------------------------

GRID = """File type = "ooTextFile"
Object class = "TextGrid"

xmin = 0
xmax = 2.5
tiers? <exists>
size = 2
item []:
    item [1]:
        class = "IntervalTier"
        name = "words"
        xmin = 0
        xmax = 2.5
        intervals: size = 2
        intervals [1]:
            xmin = 0
            xmax = 1.5
            text = "hello"
        intervals [2]:
            xmin = 1.5
            xmax = 2.5
            text = "a ""b"" c"
    item [2]:
        class = "TextTier"
        name = "points"
        xmin = 0
        xmax = 2.5
        points: size = 1
        points [1]:
            number = 0.5
            mark = "x"
"""
SHORT_GRID = (
    '"ooTextFile"\n"TextGrid"\n0\n2\n<exists>\n1\n"IntervalTier"\n"word"\n0\n2\n1\n0\n2\n"a"\n'
)
TIMED_GRID = (
    '"Praat chronological TextGrid text file"\n0 2\n1\n"IntervalTier" "word" 0 2\n1 0 2\n"a"\n'
)


def textgrid(path: Path) -> None:
    read_textgrid(path)
    with contextlib.suppress(InputError):
        read_words(path)


def clip_line(k: int, **more: object) -> str:
    row = {"id": f"c{k}", "audio_filepath": "a.wav", "duration": 0.1, "samples": 1600}
    row |= {"text": "a b", "raw_text": "A b.", "speaker": ""}
    return json.dumps({**row, **more}) + "\n"


def manifest(path: Path) -> None:
    wav = path.parent / "a.wav"
    if not wav.exists():
        soundfile.write(wav, np.zeros(1600), 16_000, subtype="PCM_16")
    for clip in read_manifest(path)[:3]:
        with contextlib.suppress(InputError):
            read_audio(clip)


def release(reader: Callable, part: str) -> Callable[[Path], None]:
    """A table in a folder of a corpus, whose utterances are listed."""

    def read(path: Path) -> None:
        source = open_speech(path.parent)
        listing = reader(source, [part], {"language": "de"})
        for recording in listing.recordings[:3]:
            if recording.audio in source.names():
                source.read(recording.audio)

    return read


VOICE = "client_id\tpath\tsentence\tup_votes\tdown_votes\tage\tgender\taccent\tlocale\tsegment\n"
VOICE += "".join(f"abc\tclip_{k}.mp3\tEin Satz, {k}.\t2\t0\t\t\t\tde\t\n" for k in range(4))
OWN = "path\tsentence\tspeaker\tsplit\tstart\tend\n"
OWN += "a.wav\ta b\tx\ttrain\t0\t1\nb.wav\tc\ty\ttrain\t\t\n"
SLUE = "id\tnormalized_text\tsentiment\tstart_second\tend_second\tspeaker_id\n"
SLUE += "id1_0\ta b\tPositive\t0.5\t1.25\tid1\nid1_1\tc\tNeutral\t1\t2\tid1\n"


def texts(path: Path) -> None:
    found = texts_of(path)
    for text in found:
        with contextlib.suppress(InputError):
            list(text.lines())
    choose_splits(path, found, {})


def speech_archive(path: Path) -> None:
    container = open_archive(path, ["train"])
    for name in list(container.sizes)[:5]:
        container.read(name)
    list(container.stream(list(container.sizes)))
    check_archive(path)


def member_data(k: int) -> bytes:
    return (f"{k} some words\n" * 30).encode()


def zip_archive(_: Path) -> list[bytes]:
    made = []
    for method in (zipfile.ZIP_STORED, zipfile.ZIP_DEFLATED, zipfile.ZIP_LZMA):
        stream = io.BytesIO()
        with zipfile.ZipFile(stream, "w", method) as archive:
            for k, name in enumerate(("train.txt", "valid.txt", "folder/test.txt")):
                archive.writestr(name, member_data(k))
        made.append(stream.getvalue())
    return made


def tar_archive(_: Path) -> list[bytes]:
    made = []
    for style in (tarfile.GNU_FORMAT, tarfile.PAX_FORMAT):
        stream = io.BytesIO()
        with tarfile.open(fileobj=stream, mode="w", format=style) as archive:
            for k, name in enumerate(("train.txt", "valid.txt", "é" * 120 + "/test.txt")):
                header = tarfile.TarInfo(name)
                header.size = len(member_data(k))
                archive.addfile(header, io.BytesIO(member_data(k)))
        made += [stream.getvalue(), gzip.compress(stream.getvalue(), 1, mtime=0)]
    return made


# --- weights --------------------------------------------------------------------------------------


def tensors() -> dict[str, torch.Tensor]:
    generator = torch.Generator().manual_seed(0)
    return {"layer.weight": torch.randn(6, 5, generator=generator), "layer.bias": torch.zeros(6)}


def checkpoint(_: Path) -> list[bytes]:
    made = []
    for new in (True, False):
        stream = io.BytesIO()
        torch.save(
            {"state_dict": tensors(), "epoch": 3}, stream, _use_new_zipfile_serialization=new
        )
        made.append(stream.getvalue())
    return made


def nemo(folder: Path) -> list[bytes]:
    made = []
    for pack in (lambda data: data, gzip.compress):
        stream = io.BytesIO()
        with tarfile.open(fileobj=stream, mode="w") as archive:
            for name, data in (
                ("model_config.yaml", b"a: 1"),
                ("model_weights.ckpt", checkpoint(folder)[0]),
            ):
                header = tarfile.TarInfo(f"./{name}")
                header.size = len(data)
                archive.addfile(header, io.BytesIO(data))
        made.append(pack(stream.getvalue()))
    return made


def weights(path: Path) -> None:
    with contextlib.suppress(InputError):
        check_weights(path)
    for weight in open_source(path):
        weight.tensor.load()


def index_of_shards(path: Path) -> None:
    (path.parent / "a.safetensors").write_bytes(save(tensors()))
    weights(path)


# --- numbers --------------------------------------------------------------------------------------


def tokens(folder: Path) -> list[bytes]:
    ids = np.array([0, 1, 2, 1], dtype=np.int32)
    write_tokens(folder / "seed.npz", TokenCorpus(ids, ids, ids, words=["a", "b", "<eos>"]))
    stream = io.BytesIO()
    np.savez(stream, words=np.array(["a"]), train=ids * 0, valid=ids * 0, test=ids * 0)
    return [(folder / "seed.npz").read_bytes(), stream.getvalue()]


def states(_: Path) -> list[bytes]:
    made = []
    for save_ in (np.savez, np.savez_compressed):
        stream = io.BytesIO()
        arrays = {
            f"{what}_0": np.zeros((2, 3), dtype=np.float32) for what in ("before", "after", "text")
        }
        arrays |= {
            "ids": np.array(["u"]),
            "texts": np.array(["a b"]),
            "pieces_0": np.array(["a", "b"]),
        }
        save_(stream, **arrays)
        made.append(stream.getvalue())
    return made


def npy(_: Path) -> list[bytes]:
    stream = io.BytesIO()
    np.save(stream, np.arange(5))
    return [stream.getvalue()]


def language_model(folder: Path) -> list[bytes]:
    recipe = recipe_of("small", hidden_size=8, embedding_size=8)
    model = model_of(5, recipe.model_dump())
    about = {"recipe": recipe.model_dump(), "vocabulary": list("abcde")}
    save_language_model(folder / "seed.safetensors", model, about)
    return [(folder / "seed.safetensors").read_bytes()]


# --- sound ----------------------------------------------------------------------------------------


def sound(_: Path) -> list[bytes]:
    samples = np.random.default_rng(0).normal(scale=0.1, size=4000)
    made = []
    for kind, subtype in (
        ("WAV", "PCM_16"),
        ("NIST", "PCM_16"),
        ("NIST", "ULAW"),
        ("FLAC", "PCM_16"),
    ):
        stream = io.BytesIO()
        soundfile.write(stream, samples, 8000, format=kind, subtype=subtype)
        made.append(stream.getvalue())
    return made


def hear(path: Path) -> None:
    decode(path.read_bytes())


# --- what the page reads --------------------------------------------------------------------------

FIGURE = (
    '<svg xmlns="http://www.w3.org/2000/svg" data-panels="0 0 10 10"><title>t</title><desc>d</desc>'
    '<defs><clipPath id="c"><rect width="1"/></clipPath></defs>'
    '<g id="panel-1"><path d="M 0 0" style="fill: #123456; clip-path: url(#c)"/></g></svg>'
)
ENTITIES = '<!DOCTYPE s [<!ENTITY a "aaaaaaaaaa">' + "".join(
    f'<!ENTITY {b} "{f"&{a};" * 10}">' for a, b in zip("abcdefgh", "bcdefghi", strict=True)
)
ENTITIES += ']>\n<svg xmlns="http://www.w3.org/2000/svg" data-panels="0 0 1 1">'
ENTITIES += '<g id="panel-1">&i;</g></svg>'
TABLE = Table([Column("a", "A"), Column("b", "B", "number")], [Row({"a": "x", "b": 1.5})], ["n"])
PAGE = {
    "title": "t",
    "sections": [
        {"id": "a", "title": "b", "items": [{"label": "T", "title": "u", "not_run": "x"}]}
    ],
}
PRESENT = "kind\tstory\tpath\tkey\tbytes\ntextgrid\ta\tb/c.TextGrid\tMD5E-s3--0\t3\n"
SPHINX = '{"b": 0.5, "d": 1, "t": "a", "w": [{"b": 0.5, "d": 1, "t": "a"}]}\n'

READERS: dict[str, Reader] = {
    "settings": Reader(
        "my.yaml",
        lambda folder: [
            *repository("config/*.yaml")(folder),
            *(t.encode() for t in HOSTILE_SETTINGS),
        ],
        settings_of,
        examples=100,
        lines=50,
    ),
    "profile": Reader(
        "profile.yaml",
        repository("profiles/*/profile.yaml"),
        lambda path: check_profile(path, OPTIONS, None),
        lines=200,
    ),
    "experiments (asr)": Reader("a.tsv", repository("config/experiments/asr*.tsv"), read_asr, 100),
    "published values": Reader("a.csv", repository("resources/published/asr.csv"), read_published),
    "experiments (lm)": Reader("a.tsv", repository("config/experiments/lm*.tsv"), read_lm),
    "experiments (slu)": Reader("a.tsv", repository("config/experiments/slu.tsv"), read_aligners),
    "experiments (sentiment)": Reader(
        "a.tsv", repository("config/experiments/slu-sentiment*.tsv"), read_sentiment
    ),
    "TextGrid": Reader(
        "a.TextGrid",
        fixed(GRID, SHORT_GRID, TIMED_GRID, GRID.encode("utf-16"), "\ufeff" + GRID),
        textgrid,
        300,
    ),
    "manifest": Reader(
        "a.jsonl",
        fixed(
            clip_line(0) + clip_line(1),
            clip_line(0, offset_bytes=0, size_bytes=3244),
            clip_line(0, offset_bytes=10**18, size_bytes=10**18),
            clip_line(0, offset_bytes=2**63, size_bytes=2**70),
            clip_line(0, audio_filepath="../" * 40 + "dev/zero"),
            clip_line(0, audio_filepath="/dev/zero"),
            clip_line(0, audio_filepath="a\0b"),
            clip_line(0, samples=10**400, duration=1e308),
        ),
        manifest,
        300,
    ),
    "Common Voice": Reader(
        "train.tsv", fixed(VOICE), release(common_voice.list_recordings, "train"), 150
    ),
    "own recordings": Reader(
        "train.tsv", fixed(OWN), release(speech_table.list_recordings, "train"), 150
    ),
    "SLUE": Reader("slue-voxceleb_dev.tsv", fixed(SLUE), release(slue.list_recordings, "dev"), 100),
    "list of files": Reader(
        "list.txt",
        fixed("http://a.b/c.tar.gz\nhttps://a.b/%2e%2e/d\nhttp://[::1/x\nhttp://a/%00\n"),
        lambda path: addresses_of(path.read_text(errors="replace"), ["*"], "k.listed"),
    ),
    "zip archive": Reader("a.zip", zip_archive, texts, 150),
    "tar archive": Reader("a.tar.gz", tar_archive, texts, 150),
    "zip archive of speech": Reader("a.zip", zip_archive, speech_archive, 100),
    "tar archive of speech": Reader("a.tar.gz", tar_archive, speech_archive, 100),
    "safetensors": Reader("a.safetensors", lambda _: [save(tensors())], weights, 200),
    "index of shards": Reader(
        "a.safetensors.index.json",
        fixed(
            json.dumps({"weight_map": {"layer.weight": "a.safetensors"}, "metadata": {}}),
            '{"weight_map": {"layer.weight": "\\ud800"}}',
            '{"weight_map": {"layer.weight": "a\\u0000b"}}',
        ),
        index_of_shards,
    ),
    "PyTorch checkpoint": Reader("a.pth", checkpoint, weights, 200),
    "NeMo archive": Reader("a.nemo", nemo, weights, 100),
    "tokens": Reader("a.npz", tokens, read_tokens, 100),
    "states": Reader("a.npz", states, read_states, 100),
    "voxels (npy)": Reader("a.npy", npy, lambda path: read_indices(path, 10), 100),
    "voxels (json)": Reader(
        "a.json", fixed("[0, 1, 2]", '{"roi": [1]}'), lambda p: read_indices(p, 9)
    ),
    "voxels (txt)": Reader("a.txt", fixed("0 1 2\n3\n"), lambda path: read_indices(path, 9)),
    "language model": Reader("a.safetensors", language_model, load_language_model, 100),
    "config.json": Reader(
        "config.json", fixed('{"model_type": "bert", "hidden_size": 8}'), read_json
    ),
    "sound": Reader("a.wav", sound, hear, 300, (AudioError,)),
    "present": Reader("present.tsv", fixed(PRESENT), read_present),
    "list of a dataset": Reader(
        "d.json", repository("resources/manifests/*.json"), read_dataset, 10
    ),
    "word times (csv)": Reader(
        "a.csv",
        fixed("id,word,start_s,end_s\nu,a,0.5,1.0\nu,b,,\n"),
        lambda p: csv_words(p.read_bytes(), str(p)),
    ),
    "word times (TIMIT)": Reader(
        "a.wrd", fixed("0 100 a\n100 200 b\n"), lambda p: timit_words(p.read_bytes(), str(p))
    ),
    "word times (Sphinx)": Reader(
        "a.json", fixed(SPHINX), lambda p: sphinx_words(p.read_bytes(), str(p))
    ),
    "word times (own)": Reader(
        "a.csv", fixed("id,word,start_s,end_s\nu,a,0.0,1.0\n"), read_word_times
    ),
    "scores": Reader(
        "scores.csv",
        fixed(
            f"{','.join(SCORE_COLUMNS)}\na,b,,c,d,0.5,3,0,e\n",
            f"{','.join(SCORE_COLUMNS)}\na,b,,c,d,0.5,1e999,1.5,e\n",
            f"{','.join(SCORE_COLUMNS)}\na,b,,c,d,0.5,{'9' * 30},0,e\n",
        ),
        read_scores,
    ),
    "table": Reader("t.json", fixed(as_json(TABLE)), read_table, 100),
    "page": Reader("page.json", fixed(json.dumps(PAGE)), lambda p: read_page(str(p)), 60),
    "figure": Reader("f.svg", fixed(FIGURE, ENTITIES), lambda path: read_figure(path, "x"), 100),
}
