"""Corpora of speech, on which recognisers are trained and tested."""

from typing import Annotated, Literal

from pydantic import Field, model_validator

from hearsay.settings.closed import Address, Closed, Name, Place

BUILT_IN = ("en", "de", "es", "ru")  # languages whose alphabets the library has
RESERVED = ("release", "words")  # folders and files beside those of the parts
OPTIONS: dict[str, dict[str, type]] = {
    "coraal": {"components": list, "seed": int, "validation_speakers": list},
    "nsc": {"channels": list, "seed": int, "validation_speakers": list},
    "slue": {"release": str},
    "table": {"table": str, "tier": str, "words": str},
    "timit": {"sa_sentences": bool},
}
"""What readers take besides, by kind of the corpus; the others take nothing."""

OWN_PARTS: dict[str, tuple[str, ...]] = {
    "common_voice": ("train", "dev", "test", "validated", "invalidated", "other", "reported"),
    "coraal": ("train", "dev"),
    "fisher": ("all", "part1", "part2"),
    "librispeech": (
        *("train-clean-100", "train-clean-360", "train-other-500"),
        *("dev-clean", "dev-other", "test-clean", "test-other"),
    ),
    "nsc": ("part1-train", "part1-dev", "part2-train", "part2-dev"),
    "slue": ("fine-tune", "dev", "test"),
    "switchboard": ("all",),
    "timit": ("train", "test", "all"),
}
"""A corpus's own parts by its kind, where these have names of their own."""

_CHANNELS = {"0": "headset", "1": "boundary microphone", "2": "telephone"}
_CALLED = {list: "a list of text", int: "a whole number", str: "text", bool: "true or false"}


class GeneratedSpeech(Closed):
    """A corpus spoken here by espeak-ng, written as a release of a real corpus is."""

    format: Literal["common_voice", "librispeech", "timit", "slue"] = Field(
        "common_voice", description="the corpus whose layout, columns and audio format it has"
    )
    voices: list[str] = Field(
        [], description="espeak-ng's voices, such as `en-us+f2`; a set of the language if empty"
    )
    utterances: dict[Name, Annotated[int, Field(ge=1)]] = Field(
        {"train": 240, "dev": 60}, description="how many, by the corpus's own parts"
    )
    clauses: int = Field(2, ge=1, description="of a sentence of `timit`, at most")
    shares: dict[Literal["Negative", "Neutral", "Positive"], float] | None = Field(
        None, description="of the sentiments of `slue`; if not set, those of SLUE-VoxCeleb"
    )
    seed: int = Field(0, ge=0, description="of sentences, speakers, rates and pitches")


class SpeechArchive(Closed):
    """One archive of a corpus that may be downloaded."""

    url: Address = Field(pattern="^https?://", description="its address")
    md5: str | None = Field(None, pattern="^[0-9a-f]{32}$", description="checksum it must have")
    sha256: str | None = Field(None, pattern="^[0-9a-f]{64}$", description="checksum it must have")


class ListedFiles(Closed):
    """A corpus whose files are named by a list at an address."""

    url: Address = Field(
        pattern="^https?://", description="address of the list, one address a line"
    )
    names: list[str] = Field(
        ["*"], description="files that are wanted, with `*` and `?`, such as `DCA_*`"
    )


class SpeechCorpus(Closed):
    """Recorded utterances and their words. At most one of path, archives, listed, generated."""

    kind: Literal[
        "common_voice",
        "librispeech",
        "coraal",
        "wsj",
        "fisher",
        "switchboard",
        "nsc",
        "timit",
        "slue",
        "table",
    ] = Field(
        description="whose layout it has; `table`: your own recordings, listed in a TSV with the "
        "columns path and sentence and, if wanted, speaker, split, start, end"
    )
    language: Name = Field(
        description="whose alphabet its transcripts are written in: en, de, es, ru, or one of "
        "`languages`"
    )
    path: Place | None = Field(
        None,
        description="its folder or archive on disk, or a folder of its archives, relative to the "
        "working directory",
    )
    archives: dict[Name, SpeechArchive] = Field(
        {}, description="archives to download, by file name; all of them belong to the corpus"
    )
    listed: ListedFiles | None = Field(None, description="download what a public list names")
    generated: GeneratedSpeech | None = Field(None, description="make it here instead")
    licence: str | None = Field(
        None,
        description="its licence; without any source it is why the corpus is left out",
    )
    access: Literal["licence", "account", "on request"] = Field(
        "licence", description="what it takes to get a corpus that has no source here"
    )
    parts: dict[Name, list[str]] = Field(
        {"train": ["train"], "dev": ["dev"]},
        description="names of parts, as experiments use them, and the corpus's own parts in each",
    )
    training: list[Name] = Field(
        ["train"],
        description="parts from which clips may be left out for their length; of others never. "
        "Recognisers are trained on these alone",
    )
    counts: dict[str, int] = Field(
        {}, description="clips that the corpus's own parts must have; another number is an error"
    )
    policy: Literal["drop-character", "drop-utterance", "transliterate"] = Field(
        "drop-character",
        description="what is done about a character outside the alphabet: the paper drops it; or "
        "the utterance is left out, or é becomes e where that helps",
    )
    packed: bool = Field(
        False, description="keep the audio in a few tar files rather than in one file a clip"
    )
    min_duration: float | None = Field(
        None, ge=0, description="seconds; shorter clips are left out of training parts"
    )
    max_duration: float | None = Field(
        16.7, gt=0, description="seconds; longer clips are left out of training parts"
    )
    limit: int | None = Field(None, ge=1, description="only so many clips of each part")
    options: dict[str, list[str] | str | int | float | bool] = Field(
        {},
        description="what the reader of this kind takes besides: of `coraal` components, seed, "
        "validation_speakers; of `nsc` channels, seed, validation_speakers; of `slue` release; of "
        "`table` table, tier, words; of `timit` sa_sentences",
    )

    @model_validator(mode="after")
    def _one_source(self) -> "SpeechCorpus":
        sources = ("path", "archives", "listed", "generated")
        given = [name for name in sources if getattr(self, name)]
        if len(given) > 1:
            raise ValueError(
                f"name at most one of {', '.join(sources)} (found: {given}); set the others to "
                "null or {}"
            )
        if not given and self.licence is None:
            raise ValueError(f"name one of {', '.join(sources)}, or the licence that forbids it")
        if self.generated is not None and self.kind != self.generated.format:
            raise ValueError(
                f"kind is {self.kind!r} but generated.format {self.generated.format!r}"
            )
        if taken := [part for part in self.parts if part in RESERVED]:
            raise ValueError(
                f"parts: {taken[0]!r} is what a folder beside them is called; rename it"
            )
        if unknown := [part for part in self.training if part not in self.parts]:
            raise ValueError(f"training names {unknown[0]!r}, which parts does not have")
        own = [part for parts in self.parts.values() for part in parts]
        own = list(dict.fromkeys([*own, *OWN_PARTS.get(self.kind, ())]))
        if unknown := [part for part in self.counts if part not in own]:
            raise ValueError(
                f"counts names {unknown[0]!r}, which is no part of the corpus's own (there are: "
                f"{', '.join(own)})"
            )
        return self

    @model_validator(mode="after")
    def _known_options(self) -> "SpeechCorpus":
        known = OPTIONS.get(self.kind, {})
        for name, value in self.options.items():
            if name not in known:
                raise ValueError(
                    f"options: {self.kind} takes no {name!r} ({', '.join(known) or 'nothing'})"
                )
            if type(value) is not known[name]:
                raise ValueError(
                    f"options: {name} is {value!r}, and must be {_CALLED[known[name]]}"
                )
        channels = self.options.get("channels")
        if isinstance(channels, list) and (wrong := [c for c in channels if c not in _CHANNELS]):
            there = ", ".join(f"{number} ({name})" for number, name in _CHANNELS.items())
            raise ValueError(f"options: channels has {wrong[0]!r}, but NSC's are {there}")
        return self
