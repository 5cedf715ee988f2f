"""Real speech aligned to BERT: strings of digits with exact times, and five LibriVox clips.

python benchmarks/slu_digits.py prepare results/slu-digits/corpora
snakemake --configfile benchmarks/slu_digits.yaml --cores 2 slu
python benchmarks/slu_digits.py record results/slu-digits --out benchmarks/slu_digits.md

snakemake --configfile config/demo.yaml benchmarks/slu_ablation.yaml --cores 2 slu
python benchmarks/slu_digits.py record results/slu-ablation --out benchmarks/slu_ablation.md

The strings and their parts are those of digit_strings.py; the clips lie in the same folder of real
data, with times of words that an aligner made.
"""

import argparse
import csv
import json
import os
import shutil
from pathlib import Path

import pandas as pd
from asr_record import machine_line, write_page
from digit_strings import prepare

from hearsay.files import whole_folder
from hearsay.metrics.scores import read_scores
from hearsay.provenance import ROOT

TITLES = {
    "digits": "# Real speech aligned to BERT",
    "demo": "# What each improvement of the aligner is worth, on the demo's speech",
}
PARTS = {
    "demo-timit/test": "The demo's TIMIT: persons never heard, sentences in part (exact times)",
    "digits-fifth/test": "Digits of a speaker never heard (exact times)",
    "digits-sixth/test": "Digits of another speaker never heard (exact times)",
    "librivox/test": "Five LibriVox clips (times made by an aligner)",
}
REFERENCES = {"constant alpha": "constant α", "characters, energy": "characters, energy"}


def prepare_clips(out: Path) -> None:
    """Write the LibriVox clips as a corpus of kind `table`, with their word times beside them."""
    folder = Path(os.environ.get("HEARSAY_REAL_DATA") or ROOT.parent / "shared" / "data") / "speech"
    clips = sorted(folder.glob("sense_and_sensibility*.wav"))
    if not clips:
        raise SystemExit(f"{folder}: holds no LibriVox clips; name it in HEARSAY_REAL_DATA")
    with whole_folder(out / "librivox") as made:
        (made / "clips").mkdir()
        with (made / "test.tsv").open("w", encoding="utf-8", newline="") as stream:
            table = csv.writer(stream, delimiter="\t", lineterminator="\n")
            table.writerow(["path", "sentence", "speaker", "split"])
            for clip in clips:
                for path in (clip, clip.with_suffix(".json")):
                    shutil.copyfile(path, made / "clips" / path.name)
                text = clip.with_suffix(".txt").read_text(encoding="utf-8")
                table.writerow([f"clips/{clip.name}", " ".join(text.split()), "librivox", "test"])
    print(f"librivox/test: {len(clips)} clips")


class Aligners:
    """A finished results folder."""

    def __init__(self, results: Path) -> None:
        path = results / "slu" / "alignment.csv"
        if not path.is_file():
            raise SystemExit(f"{path}: not there; run snakemake first (see --help)")
        self._results, self.scores = results, read_scores(path)

    def values(self, part: str) -> pd.DataFrame:
        """Measures [row and seed, metric] of one part."""
        chosen = self.scores[self.scores["subject_or_language"] == part]
        wide = chosen.pivot_table(
            index=["experiment", "model", "seed"], columns="metric", values="value", sort=False
        )
        return wide.reset_index()

    def records(self) -> list[dict]:
        """Run records of all aligners."""
        paths = sorted(self._results.glob("slu/aligners/*/*/training.run.json"))
        return [json.loads(path.read_text(encoding="utf-8")) for path in paths]


def part_table(aligners: Aligners, part: str) -> str:
    """Every aligner and seed on one part."""
    compared = " | ".join(f"MAE less {name} (95 %; p)" for name in REFERENCES.values())
    lines = [
        f"| aligner | seed | MAE, ms (95 %) | median | < 50 ms | < 100 ms | bias | {compared} |",
        "|---|--:|--:|--:|--:|--:|--:|--:|--:|",
    ]
    for row in aligners.values(part).to_dict("records"):
        trained = row["model"] not in ("trivial", "floor", "forced")
        cells = [
            row["experiment"],
            str(row["seed"]) if trained else "",
            f"{row['mae']:.1f} ({row['mae_low']:.1f}–{row['mae_high']:.1f})",
            f"{row['median']:.1f}",
            f"{row['accuracy 50']:.3f}",
            f"{row['accuracy 100']:.3f}",
            f"{row['bias']:+.1f}",
        ]
        for name in REFERENCES:
            value = row.get(f"mae less {name}")
            cells.append(
                ""
                if value is None or pd.isna(value)
                else f"{value:+.1f} ({row[f'mae less {name} low']:+.1f} to "
                f"{row[f'mae less {name} high']:+.1f}; {row[f'p against {name}']:.4f})"
            )
        lines.append(f"| {' | '.join(cells)} |")
    return f"## {PARTS[part]}\n\n" + "\n".join(lines)


def finding(aligners: Aligners, part: str) -> str:
    """Whether preset `best` is better than what hears nothing."""
    values = aligners.values(part)
    best = values[values["experiment"] == "best"]
    told = []
    for name, title in REFERENCES.items():
        wins = int((best[f"mae less {name}"] < 0).sum())
        sure = int(((best[f"mae less {name}"] < 0) & (best[f"p against {name}"] < 0.05)).sum())
        told.append(f"{title}: lower MAE in {wins} of {len(best)} seeds (p < 0.05 in {sure})")
    return f"- {PARTS[part]}: `best` against {'; '.join(told)}."


ABOUT = {
    "digits": "Aligners learn from 320 strings of digits of four speakers (Free Spoken Digit "
    "Dataset, 8 kHz, joined with pauses) and their words, never from times. The speech encoder is "
    "a small one that learnt letters by CTC on the same strings; BERT is a small one that knows "
    "strings of digits. `best` cuts tokens along paths of local frames, the others by α. "
    "Boundaries of strings are those of the single recordings, the quiet at their edges included. "
    "The LibriVox clips' words are other words in another room than anything that was learnt "
    "from.",
    "demo": "Aligners of small encoders learn from 900 utterances of eSpeak NG, 6 epochs each, and "
    "their words, never from times. `paper-with-…`: the paper's recipe with one improvement; "
    "`best-without-…`: preset `best` without one.",
}


def explain(aligners: Aligners, kind: str) -> str:
    """What was trained on what."""
    records = {each["settings"]["run"]: each for each in aligners.records()}
    recipes = "; ".join(
        f"`{run}` {each['epochs']} epochs at {each['settings']['recipe']['learning_rate']:g}, "
        f"{each['training_seconds']:.0f} s"
        for run, each in records.items()
    )
    counts = aligners.scores.groupby("subject_or_language", sort=False)["n"].max()
    judged = ", ".join(f"{part} {int(count)}" for part, count in counts.items())
    return (
        f"{ABOUT[kind]} Utterances judged: {judged}. Measures: strict tolerances, left and right "
        "boundaries pooled; bootstrap over utterances, paired for differences.\n\nTrainings "
        f"(seconds of the last seed): {recipes}."
    )


def main() -> None:
    """Prepare the corpora, or write the record."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    commands = parser.add_subparsers(dest="command", required=True)
    command = commands.add_parser("prepare", help="write the corpora")
    command.add_argument("folder", type=Path)
    command = commands.add_parser("record", help="tables of a finished results folder")
    command.add_argument("results", type=Path, help="such as results/slu-digits")
    command.add_argument("--out", type=Path, help="Markdown to write")
    options = parser.parse_args()
    if options.command == "prepare":
        prepare(options.folder)
        prepare_clips(options.folder)
        return
    aligners = Aligners(options.results)
    there = [part for part in PARTS if part in set(aligners.scores["subject_or_language"])]
    kind = "demo" if "demo-timit/test" in there else "digits"
    write_page(
        TITLES[kind],
        [
            explain(aligners, kind),
            machine_line(aligners),
            *[part_table(aligners, part) for part in there],
            "## What holds here\n\n" + "\n".join(finding(aligners, part) for part in there),
        ],
        options.out,
    )


if __name__ == "__main__":
    main()
