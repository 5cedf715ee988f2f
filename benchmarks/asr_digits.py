"""Real speech: digits of six people, a recogniser for four of them adapted to the sixth.

python benchmarks/asr_digits.py prepare results/asr-digits/corpora
snakemake --configfile benchmarks/asr_digits.yaml --cores 2 asr
python benchmarks/asr_digits.py record results/asr-digits --out benchmarks/asr_digits.md

The strings and their parts are those of digit_strings.py.
"""

import argparse
from pathlib import Path

from asr_record import Trainings, interval_text, machine_line, write_page
from digit_strings import ADAPT, prepare

BEFORE = "pretrained"
PARTS = {
    "digits-source/dev": "four source speakers, dev",
    "digits-fifth/test": "fifth speaker",
    "digits-sixth/test": "sixth speaker",
}


def rates_table(runs: Trainings) -> str:
    """Word error rate of every run and seed on every part, and the change against before."""
    heads = " | ".join(f"{title}, % (95 %)" for title in PARTS.values())
    lines = [
        f"| run | seed | {heads} | change on source, points | change on sixth, points | "
        "steps | training, s |",
        f"|---|--:|{'--:|' * len(PARTS)}--:|--:|--:|--:|",
    ]
    for run, seed in runs.trainings("en"):
        cells = [run, str(seed)]
        cells += [interval_text(runs, "en", run, seed, part) for part in PARTS]
        for part in ("digits-source/dev", "digits-sixth/test"):
            cells.append(_change(runs, run, seed, part))
        record = runs.record("en", run, seed)
        cells += [str(record["steps"]), f"{record['training_seconds']:.0f}"]
        lines.append(f"| {' | '.join(cells)} |")
    return "\n".join(lines)


def _change(runs: Trainings, run: str, seed: int, part: str) -> str:
    """Points of word error rate against the pretrained recogniser, with a paired interval."""
    if run == BEFORE or not runs.record("en", run, seed)["settings"]["recipe"].get("decoder"):
        return "–"
    if runs.recipe("en", run)["decoder"] != "same-alphabet":
        return "–"
    change, low, high = runs.paired("en", (run, seed), (BEFORE, seed), part)
    return f"{100 * change:+.1f} ({100 * low:+.1f} to {100 * high:+.1f})"


def means_table(runs: Trainings) -> str:
    """Means over seeds."""
    lines = [
        f"| run | seeds | {' | '.join(PARTS.values())} |",
        f"|---|--:|{'--:|' * len(PARTS)}",
    ]
    for run in runs.runs("en"):
        cells = [f"{100 * runs.mean('en', run, part):.1f}" for part in PARTS]
        lines.append(f"| {run} | {len(runs.seeds('en', run))} | {' | '.join(cells)} |")
    return "\n".join(lines)


def findings(runs: Trainings) -> str:
    """What holds here and what does not, from the means over seeds."""
    source, fifth, sixth = PARTS
    mean = {
        run: {part: 100 * runs.mean("en", run, part) for part in PARTS} for run in runs.runs("en")
    }
    before = mean[BEFORE]
    told = [
        f"- A speaker never heard: {before[source]:.1f} % on the source speakers' held-out "
        f"recordings, {before[fifth]:.1f} % on the fifth speaker, {before[sixth]:.1f} % on the "
        "sixth."
    ]
    for count in ADAPT:
        alone, mixed = mean[f"adapted-{count}"], mean[f"mixed-{count}"]
        helps = "helps" if alone[sixth] < before[sixth] else "does not help"
        forgets = alone[source] - before[source]
        kept = mixed[source] - before[source]
        repaired = "less" if mixed[source] < alone[source] else "not less"
        told.append(
            f"- {count} strings {helps}: sixth speaker {before[sixth]:.1f} → {alone[sixth]:.1f} %, "
            f"and {mixed[sixth]:.1f} % with source data mixed in. Source speakers {forgets:+.1f} "
            f"points on target data alone, {kept:+.1f} mixed: {repaired} is "
            "forgotten with the mixture."
        )
    scratch = mean["scratch-100"]
    beats = "beats" if mean["adapted-100"][sixth] < scratch[sixth] else "does not beat"
    told.append(
        f"- Adapting {beats} training from scratch on the same 100 strings: "
        f"{mean['adapted-100'][sixth]:.1f} against {scratch[sixth]:.1f} % on the sixth speaker."
    )
    return "## What holds here\n\n" + "\n".join(told)


def explain(runs: Trainings) -> str:
    """What was trained on what."""
    counts = ", ".join(
        f"{title} {runs.count('en', BEFORE, part)} strings" for part, title in PARTS.items()
    )
    recipes = "; ".join(
        f"{run}: {runs.recipe('en', run)['epochs']} epochs at "
        f"{runs.recipe('en', run)['learning_rate']:g}"
        for run in runs.runs("en")
    )
    parameters = int(runs.record("en", BEFORE, runs.seeds("en", BEFORE)[0])["parameters"])
    return (
        "Free Spoken Digit Dataset: single digits at 8 kHz, joined into strings of 3 to 7 with "
        "pauses. Pretrained on 320 strings of four speakers (george, jackson, lucas, nicolas); "
        "tested on other recordings of theirs, on theo, who is never trained on, and on held-out "
        f"recordings of yweweler, to whom it is adapted ({counts}). QuartzNet `narrow`, "
        f"{parameters:,} parameters. `adapted-N`: N strings of the sixth speaker alone; `mixed-N`: "
        "the same with as many clips of the source speakers in every epoch, hence twice the steps; "
        "`scratch-100`: no pretraining. Intervals are 95 % bootstraps over strings, those of "
        "changes paired; strings share recordings, so that they are rather too narrow.\n\n"
        f"Recipes (Novograd, batch 8, cosine): {recipes}."
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
    command.add_argument("results", type=Path, help="such as results/asr-digits")
    command.add_argument("--out", type=Path, help="Markdown to write")
    options = parser.parse_args()
    if options.command == "prepare":
        prepare(options.folder)
        return
    runs = Trainings(options.results)
    write_page(
        "# Recognition of real digits: a new speaker with 5, 20 and 100 strings",
        [
            explain(runs),
            machine_line(runs),
            rates_table(runs),
            "Means over seeds, %:",
            means_table(runs),
            findings(runs),
        ],
        options.out,
    )


if __name__ == "__main__":
    main()
