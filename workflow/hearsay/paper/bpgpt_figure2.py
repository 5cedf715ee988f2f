"""Figure 2 of the BP-GPT paper, as a table: what was heard and what was decoded.

The paper prints one example, which it does not say how it chose. Here windows are spread evenly
over the test story, and those of the highest and the lowest METEOR are added and labelled; beside
each stands what the same model decodes from the fMRI of other moments.
"""

from pathlib import Path
from typing import Annotated

import pandas as pd
import typer

from hearsay.errors import InputError
from hearsay.metrics.text import Meteor
from hearsay.paper.command import run_command
from hearsay.paper.run_beside import run_beside
from hearsay.paper.tables import Column, Row, Table, write_table
from hearsay.provenance import Run

TEXT_COLUMNS = ["story", "input", "reference", "decoded", "reference_aligned", "decoded_aligned"]
NUMBER_COLUMNS = ["window", "start", "draw"]
SPREAD = "spread evenly"
SHOWN = {"fmri": "from fMRI", "shuffled": "from shuffled fMRI"}
NOTHING = "(nothing)"
COLUMNS = [
    Column("row", "Text"),
    *(Column(key, key, shown=False) for key in ("subject", "story")),
    Column("window", "window", "count", shown=False),
    Column("start", "start, s", "number", decimals=0, shown=False),
    Column("chosen", "chosen as", shown=False),
    Column("input", "input", shown=False),
    Column("text", "Words", wraps=True),
    Column("meteor", "METEOR, %", "number", decimals=2),
    Column("records", "run that decoded it", shown=False),
]
NOTES = [
    "$ ends each TR where the setting has alignment tokens. Times are seconds of the story.",
    "METEOR is without synonyms. Windows are the best and the worst by that of decoding from fMRI; "
    "the control is its first draw.",
]


def read_decoded(path: Path | str) -> pd.DataFrame:
    """Read ``decoded.csv``: texts as text, however empty; window, start and draw as numbers."""
    try:
        frame = pd.read_csv(path, dtype=str, keep_default_na=False)
        if missing := [c for c in TEXT_COLUMNS + NUMBER_COLUMNS if c not in frame]:
            raise InputError(f"{path}: lacks the columns {', '.join(missing)}; decode it again")
        for column in NUMBER_COLUMNS:
            frame[column] = pd.to_numeric(frame[column])
    except (OSError, ValueError) as error:
        raise InputError(f"{path}: cannot be read as a table: {error}") from None
    if not (frame["input"] == "fmri").any():
        raise InputError(f"{path}: holds no window decoded from fMRI; decode it again")
    return frame


def read_sources(texts: list[str]) -> dict[str, Path]:
    """Read ``SUBJECT=PATH``, in the order in which subjects are shown."""
    sources: dict[str, Path] = {}
    for text in texts:
        subject, equals, path = text.partition("=")
        if not (subject and equals and path):
            raise InputError(f"--decoded: must be SUBJECT=PATH, not {text}")
        if subject in sources:
            raise InputError(f"--decoded: {subject} is given twice")
        sources[subject] = Path(path)
    return sources


def examples(decoded: pd.DataFrame, windows: int) -> pd.DataFrame:
    """The windows to show, in the order of the story.

    Parameters
    ----------
    decoded : as `read_decoded` gives it.
    windows : how many to spread over the story; two more at most are added, the best and the
        worst by METEOR (the first of equals).

    Returns
    -------
    The windows' rows of decoding from fMRI, with ``meteor`` (fraction) and ``chosen``.
    """
    meteor = Meteor()
    keys = ["story", "window"]
    ordered = decoded.sort_values([*keys, "draw"], kind="stable")
    shown = ordered[ordered["input"] == "fmri"].drop_duplicates(keys).reset_index(drop=True)
    pairs = zip(shown["reference"], shown["decoded"], strict=True)
    shown["meteor"] = [meteor(heard.split(), told.split()) for heard, told in pairs]
    spread = min(windows, len(shown))
    step = (len(shown) - 1) / max(1, spread - 1)
    reasons: dict[int, list[str]] = {round(k * step): [SPREAD] for k in range(spread)}
    for name, place in (
        ("highest", shown["meteor"].argmax()),
        ("lowest", shown["meteor"].argmin()),
    ):
        reasons.setdefault(int(place), []).append(f"{name} METEOR of {len(shown)}")
    chosen = shown.loc[sorted(reasons)].copy()
    chosen["chosen"] = [", ".join(reasons[place]) for place in chosen.index]
    return chosen


def figure2(decoded: dict[str, pd.DataFrame], windows: int, runs: dict[str, str]) -> Table:
    """The table of each subject's examples, one group a window: heard above, decoded below.

    `runs` are ids of the runs that decoded, by subject, as far as known.
    """
    meteor, rows = Meteor(), []
    for subject, frame in decoded.items():
        keys = ["input", "story", "window"]
        texts = frame.sort_values("draw", kind="stable").drop_duplicates(keys).set_index(keys)
        for one in examples(frame, windows).to_dict("records"):
            place = {key: one[key] for key in ("story", "window", "start", "chosen")}
            cells = {"subject": subject, **place, "start": float(one["start"])}
            cells["records"] = runs.get(subject, "")
            group = f"{subject}, {one['story']} from {one['start']:.0f} s: {one['chosen']}"
            heard = {"row": "heard", "input": "", "text": one["reference_aligned"].strip()}
            rows.append(Row({**cells, **heard}, group, given=True))
            for kind, name in SHOWN.items():
                if (kind, one["story"], one["window"]) in texts.index:
                    text = texts.loc[(kind, one["story"], one["window"]), :]
                    score = meteor(text["reference"].split(), text["decoded"].split())
                    told = {"text": text["decoded_aligned"].strip() or NOTHING}
                    told |= {"row": name, "input": kind, "meteor": 100 * score}
                    rows.append(Row({**cells, **told}, group))
    return Table(COLUMNS, rows, NOTES)


def main(
    decoded: Annotated[list[str], typer.Option(help="SUBJECT=decoded.csv; once for each")],
    csv: Annotated[Path, typer.Option(help="table with every column in full precision")],
    markdown: Annotated[Path, typer.Option(help="table for a README")],
    tex: Annotated[Path, typer.Option(help="table for a paper (booktabs)")],
    json: Annotated[Path, typer.Option(help="table for the result page")],
    run: Annotated[Path, typer.Option(help="run record")],
    windows: Annotated[int, typer.Option(min=1, help="windows spread over the story")] = 4,
) -> None:
    """Write Figure 2 as a table: decoded beside heard, the best and the worst window among them."""
    sources = read_sources(decoded)
    texts = {subject: read_decoded(path) for subject, path in sources.items()}
    runs = {subject: run_beside(path) for subject, path in sources.items()}
    table = figure2(texts, windows, runs)
    record = Run(
        "hearsay.paper.bpgpt_figure2",
        settings={"subjects": list(sources), "windows": windows},
        inputs=list(sources.values()),
    )
    write_table(table, csv_path=csv, markdown=markdown, tex=tex, json_path=json)
    record.write(run)


if __name__ == "__main__":
    run_command(main)
