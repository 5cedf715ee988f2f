"""What the tables of the QuartzNet transfer paper read: rows, test sets, scores, published values.

Paper: Huang, Kuchaiev, O'Neill, Lavrukhin, Li, Flores, Kucsko and Ginsburg, "Cross-Language
Transfer Learning, Continuous Learning, and Domain Adaptation for End-to-End Automatic Speech
Recognition".
"""

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path

import pandas as pd

from hearsay.errors import InputError
from hearsay.paper.asr_plans import AsrPlan
from hearsay.paper.runs import SeedScores, by_seed, read_seed_scores, records_of

LANGUAGES = {"en": "English", "de": "German", "es": "Spanish", "ru": "Russian"}
# What the clips of a column come from, as the paper names it in its training columns.
CORPORA = {"dev-clean": "LS", "dev-other": "LS", "dev-93": "WSJ", "eval-92": "WSJ"}
CORPORA |= {name: name for name in ("NSC1", "NSC2", "CORAAL")}
COMMON_VOICE = {"de": "CV-ge", "es": "CV-sp", "ru": "CV-ru"}
# Clips of the paper's test sets, where they are known. The splits of NSC and CORAAL are not
# published. The release of Common Voice is taken to be that of December 2019, whose Spanish and
# Russian hours are the paper's.
CLIPS = {"dev-clean": 2703, "dev-other": 2864, "dev-93": 503, "eval-92": 333}
COMMON_VOICE_CLIPS = {"de": 13_511, "es": 13_221, "ru": 6_110}
CLIPS_APART = 0.01  # of a count: a few clips that cannot be read do not make another test set
RATES = ("wer", "wer_low", "wer_high", "cer")  # fractions in score files, percent from here on


@dataclass(frozen=True)
class Measured(SeedScores):
    """Scores of one run by seed; ``"wer NSC1"`` and the like are percent, by column of the table.

    Attributes
    ----------
    clips : utterances scored, by column; None where the file does not say.
    tests : name of the test set, by column; a column that the run was not tested for is absent.
    """

    clips: dict[str, int | None] = field(default_factory=dict)
    tests: dict[str, str] = field(default_factory=dict)

    def interval(self, column: str) -> tuple[float, float] | None:
        """95 % limits over the test set, in percent: means of the seeds' limits.

        The seeds share the test set, so the interval of their mean is no wider than this.
        """
        low, high = self.mean(f"wer_low {column}"), self.mean(f"wer_high {column}")
        return None if low is None or high is None else (low, high)


def read_measurements(
    path: Path, language: str, plans: Sequence[AsrPlan], tests: Mapping[str, str]
) -> dict[str, Measured]:
    """Read ``asr/{language}/scores.csv``: the scores of the runs that `plans` name.

    The file may hold more runs, since other tables read it too.

    Raises
    ------
    InputError
        for what `read_seed_scores` refuses, a named run without scores or one that is said not to
        have run, a run that was tested for no column or in some seeds only, a rate below 0, and
        seeds of one run that were scored on different numbers of utterances.
    """
    frame = read_seed_scores(path, "asr", language)
    known = sorted(set(frame["experiment"]))
    found = {}
    for plan in plans:
        if plan.language != language or plan.run is None:
            continue
        if plan.why and plan.run in known:
            raise InputError(f'{path}: has scores of {plan.run}, which --rows says is "{plan.why}"')
        if plan.why:
            continue
        if plan.run not in known:
            has = ", ".join(known) or "none"
            raise InputError(f"{path}: no scores of {plan.run}, which --rows names; it has {has}")
        rows = frame[frame["experiment"] == plan.run]
        found[plan.run] = _measured(path, plan.run, rows, tests)
    return found


def _measured(path: Path, run: str, rows: pd.DataFrame, tests: Mapping[str, str]) -> Measured:
    seeds, failed = by_seed(rows), []
    clips: dict[str, int | None] = {}
    held = set(rows["metric"])
    if tests and not any(f"wer {test}" in held for test in tests.values()):
        raise InputError(
            f"{path}: {run} has none of {', '.join(f'wer {test}' for test in tests.values())}, "
            "which --columns names; test it there"
        )
    tests = {column: test for column, test in tests.items() if f"wer {test}" in held}
    for column, test in tests.items():
        metric = f"wer {test}"
        for seed, metrics in seeds.items():
            if metric not in metrics:
                raise InputError(f"{path}: {run}, seed {seed} has no {metric!r}, as others have")
            if metrics[metric] < 0:
                raise InputError(f"{path}: {metric!r} of {run}, seed {seed} is below 0")
            if not math.isfinite(metrics[metric]) and seed not in failed:
                failed.append(seed)
        counted = rows[(rows["metric"] == metric) & rows["n"].notna()]
        counts = sorted(set(counted["n"].astype(int)))
        if len(counts) > 1:
            numbers = " and ".join(map(str, counts))
            raise InputError(f"{path}: {metric!r} of {run} is over {numbers} utterances")
        clips[column] = counts[0] if counts else None
    kept = {
        seed: metrics | _by_column(metrics, tests)
        for seed, metrics in seeds.items()
        if seed not in failed
    }
    model, records = rows["model"].iloc[0], records_of(rows, list(kept))
    return Measured(run, model, kept, sorted(failed), records, clips, dict(tests))


def _by_column(metrics: Mapping[str, float], tests: Mapping[str, str]) -> dict[str, float]:
    return {
        f"{rate} {column}": 100 * metrics[f"{rate} {test}"]
        for column, test in tests.items()
        for rate in RATES
        if f"{rate} {test}" in metrics
    }


def papers_clips(column: str, language: str) -> int | None:
    """How many utterances the paper's test set has, None where that is not known."""
    return COMMON_VOICE_CLIPS.get(language) if column == "WER" else CLIPS.get(column)


def comparable(plan: AsrPlan, measured: Measured, column: str) -> bool:
    """Whether a column was tested on the paper's own speech, as far as can be told."""
    known, clips = papers_clips(column, plan.language), measured.clips.get(column)
    alike = known is None or (clips is not None and abs(clips - known) <= CLIPS_APART * known)
    return plan.comparable and alike
