"""What a reader of the QuartzNet transfer paper's tables must know to compare the numbers."""

from collections.abc import Mapping, Sequence

from hearsay.paper.asr import Measured, comparable, papers_clips
from hearsay.paper.asr_plans import tests_of
from hearsay.paper.asr_rows import BY_LANGUAGE, Entry, bases_of

RATES = (
    "Word error rate (WER) in percent: greedy decoding without a language model; substitutions, "
    "deletions and insertions over all words of the test set. Measured: mean over seeds, none "
    "chosen by its result, beside the smallest and the largest. Difference: measured minus "
    "published, in points."
)
INTERVALS = (
    "95 % interval: bootstrap over the test set for models as trained; with several seeds, the "
    "mean of their limits."
)
CHANGES = (
    "Change: against the same model before fine-tuning, in points; above 0 on a test set that was "
    "not fine-tuned on, the model has forgotten."
)
OF_TABLE = {
    "3": "LS, CV: LibriSpeech, Common Voice; 5D: these with WSJ, Fisher and Switchboard. The "
    "paper's 50 validation speakers of NSC1 are not published, so no split can be the same.",
    "4": "5D: LibriSpeech, Common Voice, WSJ, Fisher and Switchboard. The paper's validation "
    "speakers of NSC are not published, so no split can be the same.",
    "5": "5D: LibriSpeech, Common Voice, WSJ, Fisher and Switchboard. WSJ eval-92 stands in the "
    "paper's table, eval-93 in its text. Its 11 validation speakers of CORAAL are not published, "
    "so no split can be the same.",
    "6": "The paper tests on the dev parts of Common Voice, and chose its best runs on them too.",
}


def notes_of(
    number: str,
    entries: Sequence[Entry],
    measured: Mapping[tuple[str, str], Measured],
    columns: Mapping[str, str | dict[str, str]],
) -> list[str]:
    """General notes of the table, then cautions about what was measured."""
    return [
        RATES,
        INTERVALS,
        *([] if number == BY_LANGUAGE else [CHANGES]),
        OF_TABLE[number],
        *_foreign(number, entries),
        *_bases(number, entries),
        *_untested(number, entries, columns),
        *_missing(number, entries, measured),
    ]


def _foreign(number: str, entries: Sequence[Entry]) -> list[str]:
    """Rows that stand beside published values with which they are not compared."""
    notes, other = [], []
    counts: dict[tuple[str, int | None, int], None] = {}
    for entry in entries:
        if entry.measured is None or entry.published is None:
            continue
        if not entry.plan.comparable:
            other.append(entry.name(number))
            continue
        for column, test in entry.measured.tests.items():
            known = papers_clips(column, entry.plan.language)
            if known is not None and not comparable(entry.plan, entry.measured, column):
                counts[test, entry.measured.clips.get(column), known] = None
    if other:
        notes.append(
            f"Tested on other speech than the paper's, so not compared: {', '.join(other)}."
        )
    for test, clips, known in counts:
        found = "does not say how many" if clips is None else f"has {clips}"
        notes.append(
            f"{test} {found} utterances, not the {known} of the paper's test set, so nothing on it "
            "is compared."
        )
    return notes


def _bases(number: str, entries: Sequence[Entry]) -> list[str]:
    notes = []
    for entry in entries:
        if entry.measured and len(bases := bases_of(entry, entries)) > 1:
            names = " or ".join(one.name(number) for one in bases)
            notes.append(
                f"{entry.name(number)}: no change is given, since it may have begun with {names}."
            )
    return notes


def _untested(
    number: str, entries: Sequence[Entry], columns: Mapping[str, str | dict[str, str]]
) -> list[str]:
    """Cells that are empty although their row ran; a column of such cells alone is not shown."""
    names: dict[str, list[str]] = {}
    shown = {column for e in entries if e.published for column in e.published.values}
    shown |= {column for e in entries if e.measured for column in e.measured.tests}
    for entry in entries:
        if entry.measured is not None:
            for column, test in tests_of(columns, entry.plan.language, "--columns").items():
                if column in shown and column not in entry.measured.tests:
                    names.setdefault(test, []).append(entry.name(number))
    return [f"Not tested on {test}: {', '.join(rows)}." for test, rows in names.items()]


def _missing(
    number: str, entries: Sequence[Entry], measured: Mapping[tuple[str, str], Measured]
) -> list[str]:
    notes = []
    if any(entry.measured and len(entry.measured.records) > 1 for entry in entries):
        notes.append("Run: that of the first seed; the CSV names those of all.")
    for entry in entries:
        plan, name = entry.plan, entry.name(number)
        one = measured.get((plan.language, plan.run or ""))
        if one is None:
            continue
        if one.failed:
            notes.append(f"{name}: no word error rate of seed {_listed(one.failed)}.")
        absent = [seed for seed in plan.seeds if seed not in one.seeds and seed not in one.failed]
        if absent:
            notes.append(f"{name}: no scores of seed {_listed(absent)}.")
    return notes


def _listed(numbers: list[int]) -> str:
    return ", ".join(map(str, numbers))
