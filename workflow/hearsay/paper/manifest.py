"""What the result page is told to show: a closed description, given as JSON."""

import json
import re
from pathlib import Path

from pydantic import BaseModel, ConfigDict, Field, ValidationError, model_validator

from hearsay.errors import InputError


class Closed(BaseModel):
    """A misspelt key is an error, not silence."""

    model_config = ConfigDict(extra="forbid")


class Item(Closed):
    """One table, one figure, or the reason why there is none."""

    label: str = Field(description='number in the paper, such as "Table 1"')
    title: str = Field(description="a few words")
    table: Path | None = Field(None, description="table of hearsay.paper.tables, as JSON")
    figure: Path | None = Field(None, description="SVG of hearsay.paper.style")
    not_run: str | None = Field(None, description='"not run: …", where neither exists')
    caption: Path | None = Field(None, description="reStructuredText")
    record: Path | None = Field(None, description="run record of the step that made it")
    files: list[Path] = Field([], description="downloads: the same as CSV, Markdown, TeX, PNG, …")

    @model_validator(mode="after")
    def _one_content(self) -> "Item":
        given = [name for name in ("table", "figure", "not_run") if getattr(self, name)]
        if len(given) != 1:
            raise ValueError(f"{self.label}: one of table, figure and not_run is needed")
        return self

    @property
    def anchor(self) -> str:
        """The label as a part of an HTML id."""
        return re.sub(r"[^a-z0-9]+", "-", self.label.lower()).strip("-")


class Clips(Closed):
    """Recordings of one part of a corpus, and what was heard in them."""

    title: str = Field(description="which speech")
    manifest: Path = Field(description="JSON lines of hearsay.corpora.prepare_speech")
    heard: list[tuple[str, Path]] = Field(
        [], description="name, CSV of words' times or transcripts"
    )
    test: str = Field("", description="name of the part in transcripts")
    number: int = Field(1, ge=1, le=10, description="how many recordings, the first ones")


class Section(Closed):
    """One paper."""

    id: str = Field(pattern=r"^[a-z][a-z0-9]*$", description="anchor on the page")
    title: str = Field(description="title of the paper")
    authors: str = Field("", description="and year")
    text: Path | None = Field(None, description="methods prose, reStructuredText")
    items: list[Item] = Field([], description="in the order in which they are shown")
    records: list[Path] = Field([], description="run records of the steps behind the items")
    clips: list[Clips] = Field([], description="speech to listen to")

    @model_validator(mode="after")
    def _own_anchors(self) -> "Section":
        anchors = [item.anchor for item in self.items]
        if len(set(anchors)) < len(anchors):
            raise ValueError(f"{self.id}: two items have one label")
        return self


class Manifest(Closed):
    """The whole page."""

    title: str
    configuration: str = Field("", description='such as "demo"')
    about: Path | None = Field(None, description="prose below the title, reStructuredText")
    sections: list[Section]
    usage: Path | None = Field(None, description="what jobs cost, by hearsay.cluster.usage")
    command: str = Field("", description="starts the workflow in the page's configuration")

    @model_validator(mode="after")
    def _unique(self) -> "Manifest":
        ids = [section.id for section in self.sections]
        if len(set(ids)) < len(ids):
            raise ValueError(f"two sections have the id {next(i for i in ids if ids.count(i) > 1)}")
        return self


def read_manifest(text: str) -> Manifest:
    """Read a manifest: JSON itself, or the path of a JSON file.

    Raises
    ------
    InputError
        with the place of the first thing that is wrong.
    """
    where = "--manifest"
    if not text.lstrip().startswith("{"):
        where = text
        try:
            text = Path(text).read_text(encoding="utf-8")
        except (OSError, ValueError) as error:
            raise InputError(f"{where}: cannot be read: {error}") from None
    try:
        return Manifest.model_validate(json.loads(text))
    except ValidationError as error:
        first = error.errors()[0]
        place = ".".join(map(str, first["loc"])) or "top level"
        raise InputError(f"{where}: {place}: {first['msg']}") from None
    except (ValueError, RecursionError) as error:
        raise InputError(f"{where}: not JSON: {error}") from None
