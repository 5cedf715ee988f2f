"""Table 1 of the cross-system audit: the metrics of every model beside its own test score."""

import math

from hearsay.paper.audit import METRICS, NO_SCORE, SYSTEMS, Measure, Pair, Task
from hearsay.paper.audit_command import Findings, Joined, convention_note, table_command
from hearsay.paper.command import run_command
from hearsay.paper.tables import Column, Row, Table

STEP = "hearsay.paper.audit_table1"
UNPUBLISHED = "none"
COLUMNS = [
    Column("run_name", "Model"),
    Column("seed", "Seed", "count"),
    Column("system", "System", shown=False),
    Column("task", "Task", shown=False),
    Column("model", "Name of the model", shown=False),
    Column("measure", "Test score", shown=False),
    Column("better", "Better", shown=False),
    Column("score", "test score", "number", "", 3, run="records"),
    Column("published", "published"),
    Column("other_scores", "Other test scores", shown=False),
    Column("alpha", "trained", "number", "α, mean", 3),
    Column("alpha_untrained", "untrained", "number", "α, mean", 3),
    Column("alpha_hat", "trained", "number", "α̂, mean", 3),
    Column("alpha_hat_untrained", "untrained", "number", "α̂, mean", 3),
    Column("alpha_hat_sum", "sum, Eq. 3", "number", "α̂", 2),
    Column("log_spectral_norm", "log λmax", "number", "Controls", 3),
    Column("log_frobenius_norm", "log ‖W‖²", "number", "Controls", 3),
    Column("stable_rank", "stable rank", "number", "Controls", 2),
    Column("depth", "depth", "count", "Controls"),
    Column("log_frobenius_norm_untrained", "log ‖W‖², untrained", "number", shown=False),
    Column("log_spectral_norm_untrained", "log λmax, untrained", "number", shown=False),
    Column("fits", "Matrices"),
    Column("small_tail", "small tail", "count", shown=False),
    Column("convention", "Convention", shown=False),
    Column("records", "Run of the test score", shown=False),
    Column("run", "Run", "run"),
]
UNTRAINED = ("alpha", "alpha_hat", "log_frobenius_norm", "log_spectral_norm")
NOTES = [
    "Test scores stand as in their score files: word error rates, F1, accuracies, BLEU-1, METEOR "
    "and BERTScore are shares of 1, where the papers' tables have percent.",
    "Published: none. None of the five papers relates these metrics to these scores; each model's "
    "own published score stands in its paper's table.",
    "Untrained: the same network before its first step; where it starts from another's encoder, "
    "that is this one's. Only trainings of language models and recognisers keep such weights.",
    "Means are over the matrices with a fit, of what a training keeps in its file: frozen encoders "
    "are in some of these files and not in others. A matrix without a fit is counted by its "
    "status, and enters no mean.",
]


def heading(task: Task, measure: Measure) -> str:
    """What stands above the task's rows that hold this score."""
    return f"{task.name}: {measure.label}, {measure.better} is better"


def row_of(task: Task, pair: Pair) -> Row:
    """The row of one model; numbers that do not exist stay empty, and `fits` says why."""
    first, audited = pair.measured(task), pair.audited
    others = [m for m in task.measures if m != first and not math.isnan(pair.scores[m.label])]
    score = pair.scores[first.label]
    cells = {
        "run_name": pair.run,
        "seed": pair.seed,
        "system": task.system,
        "task": task.name,
        "model": pair.model,
        "measure": first.label,
        "better": first.better,
        "score": score,
        "published": UNPUBLISHED,
        "other_scores": "; ".join(f"{m.label} {pair.scores[m.label]:.4g}" for m in others),
        **{name: audited.metrics.get(name) for name in METRICS},
        "fits": audited.status if not math.isnan(score) else f"{audited.status}; {NO_SCORE}",
        "small_tail": audited.small_tail,
        "convention": audited.convention,
        "records": pair.score_record,
        "run": audited.record,
    }
    if cells["depth"] is not None:
        cells["depth"] = int(cells["depth"])
    if pair.untrained is not None:
        cells |= {f"{name}_untrained": pair.untrained.metrics.get(name) for name in UNTRAINED}
    return Row(cells, heading(task, first))


def build(found: Joined) -> tuple[Table, Findings]:
    """The table, and what is to be told of it."""
    rows = [
        row_of(task, pair)
        for task, pairs in found
        for pair in sorted(pairs, key=lambda pair: task.measures.index(pair.measured(task)))
    ]
    return Table(COLUMNS, rows, NOTES + convention_note(found)), [
        {"subject": "Models trained here", "text": sentence} for sentence in told(found)
    ]


def told(found: Joined) -> list[str]:
    """How many models of each system were audited, and which of them have no number."""
    models = {pair.model: (task.system, pair) for task, pairs in found for pair in pairs}
    systems = [system for system, _ in models.values()]
    counts = [f"{SYSTEMS[s]} {systems.count(s)}" for s in SYSTEMS if s in systems]
    bare = [pair.model for _, pair in models.values() if not pair.audited.metrics]
    sentences = [f"{len(models)} models audited ({', '.join(counts)})."] if models else []
    if bare:
        sentences.append(f"Without any fit, and without a number: {', '.join(bare)}.")
    return [" ".join(sentences)] if sentences else []


main = table_command(STEP, build)

if __name__ == "__main__":
    run_command(main)
