"""Write the record of `benchmarks/lm_wikitext2.yaml`: what was trained there, seed by seed.

snakemake --configfile benchmarks/lm_wikitext2.yaml --cores 2 lm
python benchmarks/lm_wikitext2.py results/lm-wikitext2 --notes NOTES --out RECORD
"""

import argparse
import json
import sys
from pathlib import Path

import pandas as pd

sys.path.insert(0, str(Path(__file__).resolve().parent.parent / "workflow"))

from hearsay.files import write_text
from hearsay.metrics.scores import read_scores
from hearsay.settings.lm import LanguageModelRecipe

CORPUS = "wikitext-2"
OWN = [
    "learning_rate",
    "decoder_scale",
    "decoder_centre",
    "decoder_map",
    "decoder_bias_from_words",
    "variant",
    "pseudo_derivative_width",
    "pseudo_derivative_height",
    "threshold_mean",
]


def read_runs(folders: list[Path]) -> pd.DataFrame:
    """A row for each training that was judged: its scores, and its record under `record`."""
    rows = []
    found = [path for folder in folders for path in folder.glob(f"lm/{CORPUS}/*/*/scores.csv")]
    for path in sorted(found, key=lambda path: path.parts[-3:]):
        scores = read_scores(path)
        record = json.loads(path.with_name("training.run.json").read_text(encoding="utf-8"))
        rows.append(
            dict(zip(scores["metric"], scores["value"], strict=True))
            | {
                "run": scores["experiment"][0],
                "seed": int(scores["seed"][0]),
                "test_predictions": int(scores.set_index("metric")["n"]["test_perplexity"]),
                "record": record,
            }
        )
    if not rows:
        sys.exit(f"{folders[0]}: nothing was trained there; run snakemake first (see --help)")
    return pd.DataFrame(rows)


def millions(value: float) -> str:
    return f"{value / 1e6:.3f}"


def percent(row: pd.Series, metric: str) -> str:
    """A sparsity over all units, and by layer."""
    if pd.isna(row.get(metric)):
        return "–"
    layers = [row[name] for name in sorted(row.index) if name.startswith(f"{metric}_layer")]
    return f"{100 * row[metric]:.1f} ({' / '.join(f'{100 * x:.1f}' for x in layers)})"


def table(runs: pd.DataFrame) -> str:
    lines = [
        "| run | seed | test perplexity | validation | activity sparsity, % (by layer) | "
        "backward sparsity, % | MAC a word, M: RNN | with decoder | with lookup table | dense | "
        "tokens/s | training, s | backend |",
        "|---|--:|--:|--:|--:|--:|--:|--:|--:|--:|--:|--:|---|",
    ]
    for _, row in runs.iterrows():
        looked_up = row.get("effective_macs_lookup")
        cells = [
            row["run"],
            str(row["seed"]),
            f"{row['test_perplexity']:.1f}",
            f"{row['validation_perplexity']:.1f}",
            percent(row, "activity_sparsity"),
            percent(row, "backward_sparsity"),
            millions(row["effective_macs_rnn"]),
            millions(row["effective_macs"]),
            "–" if pd.isna(looked_up) else millions(looked_up),
            millions(row["dense_macs"]),
            f"{row['training_tokens_per_second']:.0f}",
            f"{row['record']['training_seconds']:.0f}",
            row["record"]["backend"],
        ]
        lines.append(f"| {' | '.join(cells)} |")
    return "\n".join(lines)


def means(runs: pd.DataFrame) -> str:
    """Mean test perplexity by run, and its ratio to the GRU's."""
    found = runs.groupby("run")["test_perplexity"].agg(["mean", "count"])
    gru = found["mean"].get("gru-256")
    lines = ["| run | seeds | mean test perplexity | ratio to the GRU |", "|---|--:|--:|--:|"]
    for run, row in found.iterrows():
        ratio = "–" if gru is None else f"{row['mean'] / gru:.3f}"
        lines.append(f"| {run} | {row['count']:.0f} | {row['mean']:.1f} | {ratio} |")
    return "\n".join(lines)


def budget(runs: pd.DataFrame) -> str:
    """What all trainings have in common, and what each run's recipe has of its own."""
    recipes = {row["run"]: row["record"]["settings"]["recipe"] for _, row in runs.iterrows()}
    shares = {recipe["training_share"] for recipe in recipes.values()}
    tokens = {record["tokens"] for record in runs["record"]}
    steps = {record["steps"] for record in runs["record"]}
    first = next(iter(recipes.values()))
    default = LanguageModelRecipe().model_dump()
    own = []
    for run, recipe in recipes.items():
        keys = [key for key in OWN if key in recipe and recipe[key] != default[key]]
        own.append(f"{run}: " + ", ".join(f"{key} {recipe[key]}" for key in keys))
    return (
        f"Preset `small` ({first['layers']} layers, {first['hidden_size']} and "
        f"{first['embedding_size']} units, tied), {first['epochs']} pass over the first "
        f"{', '.join(f'{100 * share:g}' for share in sorted(shares))} % of the training text "
        f"({', '.join(f'{count:,}' for count in sorted(tokens))} predictions, "
        f"{' or '.join(str(count) for count in sorted(steps))} steps), all 33,278 words; test "
        f"perplexity over all {runs['test_predictions'].iloc[0]:,} predictions at batch 1. Made by "
        f"`benchmarks/lm_wikitext2.py`.\n\n"
        f"Keys that are not at their defaults: {'; '.join(own)}."
    )


def surroundings(runs: pd.DataFrame) -> str:
    record = runs["record"][0]
    hardware, versions = record["hardware"], record["versions"]
    commits = sorted({str(each["commit"]) for each in runs["record"]})
    finished = max(each["finished"] for each in runs["record"])
    shown = ", ".join(f"{name} {versions[name]}" for name in ("python", "torch", "numba", "numpy"))
    return (
        f"{hardware['cpu']}, {hardware['cores']} cores; one thread a training; {shown}; commit "
        f"{', '.join(commits)}; last training finished {finished}."
    )


def main() -> None:
    """Read the finished runs of a results folder and write the page."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawTextHelpFormatter
    )
    parser.add_argument(
        "results", type=Path, nargs="+", help="results folders, such as results/lm-wikitext2"
    )
    parser.add_argument("--out", type=Path, help="Markdown to write")
    parser.add_argument("--notes", type=Path, help="Markdown that is put below the tables")
    options = parser.parse_args()
    runs = read_runs(options.results)
    text = "\n\n".join(
        [
            "# EGRU, GRU and LSTM of equal width on WikiText-2",
            budget(runs),
            surroundings(runs),
            table(runs),
            means(runs),
        ]
        + ([options.notes.read_text(encoding="utf-8").strip()] if options.notes else [])
    )
    print(text)
    if options.out:
        write_text(options.out, text + "\n")


if __name__ == "__main__":
    main()
