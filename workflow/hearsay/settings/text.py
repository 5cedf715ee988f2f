"""Corpora of text, on which language models are trained."""

from typing import Literal

from pydantic import Field, model_validator

from hearsay.settings.closed import Address, Closed, Place


class GeneratedText(Closed):
    """A corpus made here by a small grammar, with a vocabulary of exactly this many words."""

    vocabulary: int = Field(
        400, ge=200, le=2000, description="words in the text, with `<unk>` and `<eos>`"
    )
    train: int = Field(60_000, ge=5_000, description="tokens of the training text, about")
    valid: int = Field(6_000, ge=500, description="tokens of the validation text, about")
    test: int = Field(6_000, ge=500, description="tokens of the test text, about")
    seed: int = Field(0, ge=0, description="of words and sentences")


class TextFile(Closed):
    """What is known of one of a corpus's three files."""

    name: str | None = Field(
        None,
        description="its path, or the end of it, in the archive or folder; if not set, the file "
        "whose name holds `train`, `valid` or `dev`, `test`",
    )
    sha256: str | None = Field(
        None, pattern="^[0-9a-f]{64}$", description="checksum that the file must have"
    )
    tokens: int | None = Field(
        None, ge=1, description="tokens that it must have, one `<eos>` a line among them"
    )


class TextCorpus(Closed):
    """Plain text, words parted by spaces. Name at most one of url, path, generated."""

    url: Address | None = Field(
        None, pattern="^https?://", description="address of a zip or tar archive"
    )
    sha256: str | None = Field(
        None, pattern="^[0-9a-f]{64}$", description="checksum of the archive at `url`"
    )
    path: Place | None = Field(
        None,
        description="a zip or tar archive or a folder on disk, relative to the working directory; "
        "a folder without files for train, valid and test is split by lines, 80/10/10",
    )
    generated: GeneratedText | None = Field(None, description="make it here instead")
    licence: str | None = Field(
        None,
        description="the licence; with neither url, path nor generated it is why the corpus is "
        "left out",
    )
    files: dict[Literal["train", "valid", "test"], TextFile] = Field(
        {}, description="what is known of the files"
    )
    vocabulary: int | None = Field(
        None, ge=2, description="words that the training text must have, `<eos>` among them"
    )
    max_vocabulary: int | None = Field(
        None,
        ge=3,
        description="keep the most frequent words only, this many with `<unk>` and `<eos>`; the "
        "others become `<unk>`",
    )
    min_count: int | None = Field(
        None, ge=1, description="words rarer than this in the training text become `<unk>`"
    )

    @model_validator(mode="after")
    def _one_source(self) -> "TextCorpus":
        given = [k for k in ("url", "path", "generated") if getattr(self, k) is not None]
        if len(given) > 1:
            raise ValueError(
                f"name at most one of url, path, generated (found: {given}); set the others to null"
            )
        if not given and self.licence is None:
            raise ValueError("name one of url, path, generated, or the licence that forbids it")
        if self.sha256 is not None and self.url is None and self.path is None:
            raise ValueError("sha256 goes with url")
        return self
