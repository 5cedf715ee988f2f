"""What the QuartzNet transfer paper claims with Tables 3 to 6, held against measured scores.

Every verdict is over measured values, means over seeds; the same question is put to the paper's
own values and told apart. What does not hold is said not to.
"""

from collections.abc import Callable, Sequence

from hearsay.paper.asr import comparable
from hearsay.paper.asr_results import (
    Result,
    compared,
    corpus_of,
    difference,
    published_result,
    result_of,
)
from hearsay.paper.asr_rows import Entry
from hearsay.paper.claims import Case, Told, together, verdict
from hearsay.paper.tables import Table

# Columns of the corpora that the paper adapts to, and of those that a model was trained on before.
TARGETS = {"3": ["NSC1"], "4": ["NSC1", "NSC2"], "5": ["CORAAL"], "6": ["WER"]}
SOURCES = {
    "3": ["dev-clean", "dev-other"],
    "4": [],
    "5": ["dev-93", "eval-92", "dev-clean", "dev-other"],
    "6": [],
}
KEPT = 0.5  # of what target-only fine-tuning loses; the paper's mixtures lose at most 0.14 of it

Question = Callable[[str, list[Result]], list[Case]]


def claims_told(number: str, entries: Sequence[Entry], table: Table) -> Told:
    """Every claim of the table with its verdict and the paper's own numbers, as sentences."""
    found = [result_of(entry, number) for entry in entries]
    ours = [result for result in found if result is not None]
    rows = {entry.published.row: entry.published for entry in entries if entry.published}
    sentences = [_absent(table)] if table.absent else []
    if not ours:
        return together(["Nothing was measured, so no claim can be checked.", *sentences])
    paper = [published_result(row, number) for row in rows.values()]
    told: list[Told | str] = [
        verdict(claim, question(number, ours), question(number, paper))
        for claim, question in QUESTIONS.items()
        if question(number, paper)  # the table is about it
    ]
    if beside := reached(number, entries):
        told.append(verdict("The published word error rate is reached", beside))
    unnamed = [one.name for one in ours if not one.train and not one.fine_tune]
    if unnamed:
        told.append(f"Not in these verdicts: {', '.join(unnamed)}.")
    return together([*told, *sentences])


def _absent(table: Table) -> str:
    reasons = "; ".join(
        f"{len(rows)} {why[:1].lower()}{why[1:]}" for why, rows in table.absent.items()
    )
    return f"Of {len(table.rows)} rows: {reasons}."


def transfer(number: str, results: list[Result]) -> list[Case]:
    """Every fine-tuned model against one trained on the target alone, on the target."""
    cases = []
    for column in TARGETS[number]:
        for tuned in (one for one in results if one.fine_tune and column in one.rates):
            target = corpus_of(column, tuned.language)
            if target not in tuned.fine_tune:
                continue
            for scratch in _alike(tuned, results):
                if scratch.fine_tune or scratch.train != {target} or column not in scratch.rates:
                    continue
                facts = f"{tuned.name} {tuned.mean(column):.2f} %, {scratch.name} "
                facts += f"{scratch.mean(column):.2f} %{compared(tuned, scratch, column)}"
                cases.append(Case(difference(tuned, scratch, column) < 0, facts))
    return cases


def forgetting(number: str, results: list[Result]) -> list[Case]:
    """Source error rates before and after fine-tuning on the target alone, and the target's."""
    cases = []
    for tuned in results:
        columns = _sources(number, tuned)
        if not _target_only(number, tuned):
            continue
        for base in _bases(tuned, results):
            shared = [c for c in columns if c in tuned.rates and c in base.rates]
            if shared:
                worse = all(difference(tuned, base, c) > 0 for c in shared)
                cases.append(Case(worse, _before_after(number, tuned, base, shared)))
    return cases


def retention(number: str, results: list[Result]) -> list[Case]:
    """What fine-tuning on a mixture with source speech loses of what the target alone loses."""
    cases = []
    for mixed in results:
        sources = _source_corpora(number, mixed)
        only = [
            one
            for one in _alike(mixed, results)
            if mixed.fine_tune & sources
            and one.train == mixed.train
            and one.fine_tune == mixed.fine_tune - sources
            and one.fine_tune
        ]
        for target in only:
            for base in _bases(mixed, results):
                shared = [
                    c
                    for c in _sources(number, mixed)
                    if all(c in one.rates for one in (mixed, target, base))
                    and difference(target, base, c) > 0  # something was forgotten
                ]
                if shared:
                    kept = all(
                        difference(mixed, base, c) < KEPT * difference(target, base, c)
                        for c in shared
                    )
                    facts = _before_after(number, mixed, base, shared, target)
                    cases.append(Case(kept, facts))
    return cases


def both(number: str, results: list[Result]) -> list[Case]:
    """Fine-tuning on two targets against each alone, by the worse of the two error rates."""
    columns = TARGETS[number]
    if len(columns) < 2:
        return []
    cases = []
    whole = [one for one in results if all(column in one.rates for column in columns)]
    for mixed in (one for one in whole if len(one.fine_tune) > 1):
        for single in _alike(mixed, whole):
            if single.train == mixed.train and single.fine_tune < mixed.fine_tune:
                if not single.fine_tune:
                    continue
                worst = [max(one.mean(column) for column in columns) for one in (mixed, single)]
                cases.append(Case(worst[0] < worst[1], f"{_all(mixed)} against {_all(single)}"))
    return cases


def size(number: str, results: list[Result]) -> list[Case]:
    """A large fine-tuned model against a small one fine-tuned on the same speech."""
    cases = []
    for column in TARGETS[number]:
        tuned = [one for one in results if one.fine_tune and column in one.rates]
        for large in tuned:
            for small in tuned:
                if (large.language, large.fine_tune) != (small.language, small.fine_tune):
                    continue
                if corpus_of(column, large.language) not in large.fine_tune:
                    continue
                if large.millions and small.millions and large.millions > 1.01 * small.millions:
                    facts = f"{large.name} {large.mean(column):.2f} %, {small.name} "
                    facts += f"{small.mean(column):.2f} %{compared(large, small, column)}"
                    cases.append(Case(difference(large, small, column) < 0, facts))
    return cases


QUESTIONS: dict[str, Question] = {
    "Fine-tuning a trained model beats training from scratch": transfer,
    "Fine-tuning on the target alone forgets the source": forgetting,
    "A mixture with source speech retains most of it": retention,
    "Fine-tuning on both targets keeps both low, on one alone does not": both,
    "Fine-tuning the large model beats fine-tuning the small one": size,
}


def reached(number: str, entries: Sequence[Entry]) -> list[Case]:
    """Every measured column beside its published value, on the paper's own speech."""
    cases = []
    for entry in entries:
        if entry.measured is None or entry.published is None:
            continue
        for column, theirs in entry.published.values.items():
            ours = entry.measured.mean(f"wer {column}")
            if ours is not None and comparable(entry.plan, entry.measured, column):
                where = "" if column == "WER" else f" on {column}"
                note = f" ({entry.plan.note})" if entry.plan.note else ""
                facts = f"{entry.name(number)}{where} {ours:.2f} for {theirs:.2f}{note}"
                cases.append(Case(ours <= theirs, facts))
    return cases


def _alike(one: Result, results: list[Result]) -> list[Result]:
    same = (one.language, one.model)
    return [other for other in results if (other.language, other.model) == same]


def _bases(tuned: Result, results: list[Result]) -> list[Result]:
    if tuned.before:
        named = (tuned.language, tuned.before)
        return [one for one in results if (one.language, one.run) == named]
    return [one for one in _alike(tuned, results) if one.train == tuned.train and not one.fine_tune]


def _source_corpora(number: str, one: Result) -> frozenset[str]:
    return frozenset(corpus_of(column, one.language) for column in SOURCES[number])


def _sources(number: str, one: Result) -> list[str]:
    return [column for column in SOURCES[number] if column in one.rates]


def _target_only(number: str, one: Result) -> bool:
    targets = {corpus_of(column, one.language) for column in TARGETS[number]}
    return bool(one.fine_tune & targets) and not one.fine_tune & _source_corpora(number, one)


def _before_after(
    number: str, tuned: Result, base: Result, columns: list[str], without: Result | None = None
) -> str:
    """``NSC1 22.51 to 10.02 %, dev-clean 3.92 to 19.87 %: 15.95 points higher``, by column."""
    facts = []
    for column in [*TARGETS[number], *columns]:
        if column in tuned.rates and column in base.rates:
            told = f"{column} {base.mean(column):.2f} to {tuned.mean(column):.2f} %"
            if without is not None and column in without.rates:
                told += f" where the target alone gives {without.mean(column):.2f}"
            told += compared(tuned, base, column) if column in columns else ""
            facts.append(told)
    return f"{tuned.name}, {', '.join(facts)}"


def _all(one: Result) -> str:
    rates = ", ".join(f"{column} {one.mean(column):.2f} %" for column in one.rates)
    return f"{one.name}: {rates}"
