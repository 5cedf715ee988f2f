"""Figure 4 of the WaBERT paper: where tokens of speech and of text lie, by two components."""

from collections.abc import Mapping
from pathlib import Path
from typing import Annotated

import numpy as np
import typer
from matplotlib.axes import Axes

from hearsay.paper.command import run_command
from hearsay.paper.style import figure_style, headline, look, panels, save_figure
from hearsay.paper.wabert_states import Utterance, read_runs
from hearsay.provenance import Run

STEP = "hearsay.paper.wabert_figure4"
KINDS = {"before": "speech before", "text": "text", "after": "speech after"}


def gathered(utterances: Mapping[str, Utterance]) -> dict[str, np.ndarray]:
    """Vectors [tokens, H] of all utterances, by kind."""
    return {
        kind: np.concatenate([getattr(each, kind) for each in utterances.values()]).astype(float)
        for kind in KINDS
    }


def components(vectors: Mapping[str, np.ndarray]) -> tuple[dict[str, np.ndarray], float]:
    """The first two principal components of all kinds together, and their share of the variance.

    Of each component the sign is such that its largest weight is positive.
    """
    together = np.concatenate(list(vectors.values()))
    centre = together.mean(0)
    _, spread, axes = np.linalg.svd(together - centre, full_matrices=False)
    axes = axes[:2]
    axes = axes * np.sign(axes[np.arange(len(axes)), np.abs(axes).argmax(1)])[:, None]
    share = float((spread[:2] ** 2).sum() / max((spread**2).sum(), 1e-30))
    return {kind: (each - centre) @ axes.T for kind, each in vectors.items()}, share


def draw(axes: Axes, points: Mapping[str, np.ndarray]) -> None:
    """One cloud a kind."""
    for k, (kind, places) in enumerate(points.items()):
        style = look(k)
        axes.plot(
            places[:, 0], places[:, 1], linestyle="none", markersize=3, alpha=0.7,
            label=KINDS[kind], **style,
        )  # fmt: skip
    axes.set_xlabel("first component")
    axes.set_ylabel("second component")
    # Below, where it hides no point; in each panel, since the page's panels stand alone.
    axes.legend(
        loc="upper center", bbox_to_anchor=(0.45, -0.19), ncols=3, columnspacing=1, handlelength=1
    )


def distances(vectors: Mapping[str, np.ndarray]) -> dict[str, float]:
    """How far speech's mean lies from text's, before and after, in spreads of the text."""
    centre = vectors["text"].mean(0)
    spread = np.sqrt(((vectors["text"] - centre) ** 2).sum(1).mean())
    return {
        kind: float(np.linalg.norm(vectors[kind].mean(0) - centre) / max(spread, 1e-12))
        for kind in ("before", "after")
    }


def finding(runs: Mapping[str, Mapping[str, np.ndarray]]) -> str:
    """Distances of means, and how much of the speech's own distribution is left, of each run."""
    told = []
    for name, vectors in runs.items():
        far = distances(vectors)
        same = np.mean(
            [
                np.corrcoef(a, b)[0, 1] if a.std() and b.std() else 0.0
                for a, b in zip(vectors["before"], vectors["after"], strict=True)
            ]
        )
        told.append(
            f"{name}: speech's mean is {far['before']:.2f} spreads of the text from the text's "
            f"before training and {far['after']:.2f} after; tokens correlate with what they were "
            f"before by {same:.2f}"
        )
    return (
        f"{'; '.join(told)}. The paper: with L_cos speech comes to be distributed as text, with "
        "InfoNCE it keeps more of its own distribution."
    )


def main(
    states: Annotated[list[str], typer.Option(help="run=states.npz; once for each run")],
    svg: Annotated[Path, typer.Option(help="figure for the page and for print")],
    png: Annotated[Path, typer.Option(help="the same as pixels")],
    run: Annotated[Path, typer.Option(help="run record")],
) -> None:
    """Draw Figure 4: speech before and after training, and text, one panel a run."""
    runs, paths = read_runs(states)
    record = Run(STEP, settings={"runs": list(runs)}, inputs=paths)
    vectors = {name: gathered(found) for name, found in runs.items()}
    shares = []
    with figure_style():
        figure, axes = panels(len(vectors), 1)
        for ax, (name, each) in zip(axes, vectors.items(), strict=True):
            points, share = components(each)
            draw(ax, points)
            headline(ax, name, f"{100 * share:.0f} % of the variance")
            shares.append(f"{name} {100 * share:.0f} %")
        save_figure(
            figure,
            svg,
            png,
            title="Principal components of tokens of speech and text",
            description=f"Share of the variance: {', '.join(shares)}.",
        )
    record.write(run, findings=[{"subject": "Figure 4", "text": finding(vectors)}])


if __name__ == "__main__":
    run_command(main)
