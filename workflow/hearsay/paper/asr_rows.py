"""Rows and columns of the QuartzNet transfer paper's Tables 3 to 6, which have the same form.

Each column of word error rates in the paper is a group of columns here: published, measured, how
far seeds and utterances let it vary, the difference, and the change by fine-tuning.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

from hearsay.paper.asr import LANGUAGES, Measured, comparable
from hearsay.paper.asr_plans import AsrPlan
from hearsay.paper.asr_published import HEADINGS, Published
from hearsay.paper.runs import NOT_RUN
from hearsay.paper.tables import Column, Row, Table, is_missing

PAPER_ROWS = "Rows of the paper"
OWN_ROWS = "Rows of our own"
FAILED = "not run: no seed ended with a word error rate"
BY_LANGUAGE = "6"  # the table whose groups are languages


@dataclass(frozen=True, eq=False)
class Entry:
    """A row of the table with what is known of it: scores, published values, or both."""

    plan: AsrPlan
    measured: Measured | None
    published: Published | None

    @property
    def model(self) -> str:
        """The network, as the paper has it in this row; else ours."""
        given = self.published.model if self.published else self.plan.model
        return given or (self.measured.model if self.measured else "")

    @property
    def train(self) -> str:
        """What was trained on from scratch."""
        return self.published.train if self.published else self.plan.train

    @property
    def fine_tune(self) -> str:
        """What was fine-tuned on, empty for none."""
        return self.published.fine_tune if self.published else self.plan.fine_tune

    @property
    def language_name(self) -> str:
        """The language's name; its code where it has none."""
        return self.plan.language_name or language_of(self.plan.language)

    def name(self, number: str) -> str:
        """What the row is called in sentences about table `number`."""
        name = self.plan.title or self.plan.run or row_name(self.model, self.train, self.fine_tune)
        return f"{self.language_name} {name}" if number == BY_LANGUAGE else name


def language_of(code: str) -> str:
    """``"de"`` as ``"German"``; a code that is not among `LANGUAGES` as it is."""
    return LANGUAGES.get(code, code)


def row_name(model: str, train: str, fine_tune: str) -> str:
    """``5x3 WSJ then CORAAL``."""
    return f"{model} {train} then {fine_tune}" if fine_tune else f"{model} {train}"


def entries_of(
    plans: Sequence[AsrPlan],
    measured: Mapping[tuple[str, str], Measured],
    published: Mapping[str, Published],
) -> list[Entry]:
    """The published rows in the paper's order, each with its runs; then the rows of our own.

    `measured` is by language and run, `published` holds the rows of this table by name. A run in
    which every seed failed has no scores.
    """
    entries = []
    for name, row in published.items():
        beside = [plan for plan in plans if plan.published == name]
        for plan in beside or [AsrPlan(published=name, language=row.language)]:
            entries.append(Entry(plan, _scores(plan, measured), row))
    own = [plan for plan in plans if plan.published is None]
    return entries + [Entry(plan, _scores(plan, measured), None) for plan in own]


def _scores(plan: AsrPlan, measured: Mapping[tuple[str, str], Measured]) -> Measured | None:
    found = measured.get((plan.language, plan.run or ""))
    return found if found is not None and found.seeds else None


def bases_of(entry: Entry, entries: Sequence[Entry]) -> list[Entry]:
    """The measured row that a fine-tuned one began with, as its plan says; else all those alike."""
    language, run = entry.plan.language, entry.plan.before
    if run:
        return [
            one
            for one in entries
            if one.measured and (one.plan.language, one.plan.run) == (language, run)
        ]
    if not entry.fine_tune:
        return []
    start = (language, entry.model, entry.train)
    return [
        one
        for one in entries
        if one.measured and not one.fine_tune and (one.plan.language, one.model, one.train) == start
    ]


def build_table(
    number: str,
    entries: Sequence[Entry],
    measured: Mapping[tuple[str, str], Measured],
    notes: Sequence[str],
) -> Table:
    """Table `number` of `entries`; neighbouring rows of one group stay together."""
    groups = [_group(entry, number) for entry in entries]
    order = sorted(range(len(entries)), key=lambda k: list(dict.fromkeys(groups)).index(groups[k]))
    rows = []
    for entry, group in ((entries[k], groups[k]) for k in order):
        reason = ""
        if entry.measured is None:
            failed = (entry.plan.language, entry.plan.run) in measured
            reason = entry.plan.why or (FAILED if failed else NOT_RUN)
        rows.append(Row(_cells(entry, entries, number), group, reason))
    columns = []
    for column in table_columns(number):
        # What nothing fills is kept for the CSV only; but the run's column says why not.
        empty = column.kind != "run" and all(is_missing(row.cells.get(column.key)) for row in rows)
        columns.append(replace(column, shown=False) if empty else column)
    return Table(columns, rows, list(notes))


def _group(entry: Entry, number: str) -> str:
    if number == BY_LANGUAGE:
        return entry.language_name
    return OWN_ROWS if entry.published is None else PAPER_ROWS


def key_of(column: str) -> str:
    """``dev-clean`` as the beginning of keys, ``dev_clean``."""
    return column.lower().replace("-", "_")


def table_columns(number: str) -> list[Column]:
    """All columns; those that are not for the page stay in the CSV."""
    columns = [
        Column("row", "Model"),
        Column("train", "Trained on"),
        Column("fine_tune", "Fine-tuned on"),
        Column("title", "Our run"),
        Column("note", "What stands in"),
        Column("model_measured", "Our model"),
        Column("language", "language", shown=False),
        Column("run_name", "name of the run", shown=False),
        Column("published_row", "published row", shown=False),
        Column("published_source", "Source of the published values", shown=False),
        Column("seeds", "Seeds", "count"),
    ]
    hidden: list[Column] = []
    for column, head in HEADINGS[number].items():
        key = key_of(column)
        columns += [
            Column(f"{key}_published", "published", "number", head, 2, source="published_source"),
            Column(key, "measured", "number", head, 2),
            Column(f"{key}_spread", "smallest–largest seed", "text", head),
            Column(f"{key}_interval", "95 % interval", "text", head),
            Column(f"{key}_utterances", "utterances", "count", head),
            Column(f"{key}_difference", "difference", "difference", head, 2),
            Column(f"{key}_change_published", "change, published", "difference", head, 2),
            Column(f"{key}_change", "change, measured", "difference", head, 2),
        ]
        numbers = ("smallest", "largest", "deviation", "low", "high", "cer")
        hidden.append(Column(f"{key}_test", f"test set of {column}", shown=False))
        hidden += [Column(f"{key}_{what}", what, "number", shown=False) for what in numbers]
    return [
        *columns,
        *hidden,
        Column("parameters", "parameters", "count", shown=False),
        Column("training_seconds", "training, s", "number", decimals=0, shown=False),
        Column("epochs_to_90", "epochs to 90 % of the final accuracy", "number", shown=False),
        Column("records", "runs of all seeds", shown=False),
        Column("run", "Run", "run"),
    ]


def _cells(entry: Entry, entries: Sequence[Entry], number: str) -> dict[str, Any]:
    plan, measured, published = entry.plan, entry.measured, entry.published
    cells: dict[str, Any] = {
        "row": entry.model,
        "train": entry.train,
        "fine_tune": entry.fine_tune,
        "title": (plan.title or plan.run) if plan.run else plan.title,
        "note": plan.note,
        "language": plan.language,
        "run_name": plan.run,
        "published_row": plan.published,
    }
    if published is not None:
        cells["published_source"] = published.source
        before = [
            other.published
            for other in entries
            if other.published
            and published.fine_tune
            and not other.published.fine_tune
            and (other.published.language, other.published.model, other.published.train)
            == (published.language, published.model, published.train)
        ]
        for column, value in published.values.items():
            cells[f"{key_of(column)}_published"] = value
            if before and column in before[0].values:
                cells[f"{key_of(column)}_change_published"] = value - before[0].values[column]
    if measured is not None:
        cells |= _measured_cells(entry, measured)
        bases = bases_of(entry, entries)
        for column in HEADINGS[number]:
            key, ours = key_of(column), measured.mean(f"wer {column}")
            theirs = cells.get(f"{key}_published")
            if ours is None:
                continue
            if theirs is not None and comparable(plan, measured, column):
                cells[f"{key}_difference"] = ours - theirs
            if len(bases) == 1 and bases[0].measured is not None:
                start = bases[0].measured.mean(f"wer {column}")
                cells[f"{key}_change"] = None if start is None else ours - start
    return cells


def _measured_cells(entry: Entry, measured: Measured) -> dict[str, Any]:
    parameters = measured.mean("parameters")
    cells: dict[str, Any] = {
        "model_measured": "" if measured.model == entry.model else measured.model,
        "seeds": len(measured.seeds),
        "parameters": parameters and round(parameters),
        "training_seconds": measured.mean("training_seconds"),
        "epochs_to_90": measured.mean("epochs_to_90"),
        "records": " ".join(measured.records),
        "run": measured.records[0],
    }
    for column, test in measured.tests.items():
        key, metric = key_of(column), f"wer {column}"
        cells |= {
            key: measured.mean(metric),
            f"{key}_deviation": measured.deviation(metric),
            f"{key}_cer": measured.mean(f"cer {column}"),
            f"{key}_utterances": measured.clips.get(column),
            f"{key}_test": test,
        }
        ranges = {
            ("smallest", "largest", "spread"): measured.spread(metric),
            ("low", "high", "interval"): measured.interval(column),
        }
        for (low, high, both), limits in ranges.items():
            if limits is not None:
                cells |= {f"{key}_{low}": limits[0], f"{key}_{high}": limits[1]}
                cells[f"{key}_{both}"] = f"{limits[0]:.2f}–{limits[1]:.2f}"
    return cells
