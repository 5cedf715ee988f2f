"""Figure 4 of the capacity paper: λmax and α of every layer, for a baseline and another model.

The paper's λmax has the 1/N of Eq. 2, says its caption. Ours is that of the convention; the tool
behind the paper's figure had no 1/N by default, nor has weightwatcher-2019. It moves both models'
values in a layer alike.
"""

from pathlib import Path
from typing import Annotated

import pandas as pd
import typer
from matplotlib.axes import Axes

from hearsay.errors import InputError
from hearsay.paper.capacity import FITTED, read_audit
from hearsay.paper.command import run_command
from hearsay.paper.style import (
    FAINT,
    figure_style,
    literal,
    look,
    panels,
    save_figure,
    typeset,
)
from hearsay.provenance import Run

MOST_NAMES = 45  # layers that can be named on the axis


def merge_layers(baseline: list[str], other: list[str]) -> list[str]:
    """All layers of both models in their audits' order; one of one alone follows its predecessor.

    That is the network's order where a checkpoint keeps it; a safetensors file is read by name.
    """
    merged = list(baseline)
    place = 0
    for name in other:
        if name in merged:
            place = merged.index(name) + 1
        else:
            merged.insert(place, name)
            place += 1
    return merged


def left_out(audits: dict[str, pd.DataFrame], layers: list[str]) -> list[str]:
    """Layers that both models have and that have a fit in neither: nothing to compare."""
    shared = set.intersection(*(set(audit["name"]) for audit in audits.values()))
    fitted = set.union(
        *(set(audit["name"][audit["status"].isin(FITTED)]) for audit in audits.values())
    )
    return [name for name in layers if name in shared - fitted]


def matrices_of(audit: pd.DataFrame) -> pd.DataFrame:
    """The rows with a fit, or that were matrices without one; skipped parameters are no layers."""
    return audit[audit["status"] != "skipped"]


def draw_layers(
    axes: Axes,
    audits: dict[str, pd.DataFrame],
    layers: dict[str, str],
    quantity: str,
    label: str,
    title: str,
) -> None:
    """`quantity` by layer, `layers` being the names and how they are shown.

    Every slice is a small dot, every layer's mean a large marker. At the lower edge a cross marks
    a layer that the model lacks, a ring one without a fit.
    """
    position = {name: k for k, name in enumerate(layers)}
    for k, (model, audit) in enumerate(audits.items()):
        shift = (k - 0.5) * 0.36
        fitted = audit[audit["status"].isin(FITTED)]
        axes.plot(
            [position[name] + shift for name in fitted["name"]],
            fitted[quantity],
            linestyle="none",
            marker=".",
            markersize=3.4,
            markeredgewidth=0,
            alpha=0.55,
            color=look(k)["color"],
        )
        means = fitted[quantity].groupby(fitted["name"]).mean()
        axes.plot(
            [position[name] + shift for name in means.index],
            means,
            linestyle="none",
            markersize=4.5,
            label=literal(model),
            **look(k),
        )
        absent = set(layers) - set(audit["name"])
        for kind, marker in ((absent, "x"), (set(audit["name"]) - set(fitted["name"]), "o")):
            axes.plot(
                [position[name] + shift for name in layers if name in kind],
                [0.02] * len(kind & set(layers)),
                transform=axes.get_xaxis_transform(),
                linestyle="none",
                marker=marker,
                markersize=4,
                markeredgewidth=1.1,
                markerfacecolor="none",
                color=look(k)["color"],
            )
    axes.margins(y=0.1)
    axes.set_ylabel(typeset(label))
    axes.set_xlim(-0.7, len(layers) - 0.3)
    axes.grid(axis="x", color=FAINT, linewidth=0.5)
    axes.set_axisbelow(True)
    if len(layers) <= MOST_NAMES:
        axes.set_xticks(range(len(layers)), layers.values(), rotation=90, fontsize=7)
    else:
        axes.set_xlabel("layer, in the order of the audits")
    axes.set_title(title, pad=32)
    legend = axes.legend(
        loc="lower left", bbox_to_anchor=(-0.03, 0.975), handletextpad=0.1, labelspacing=0.25
    )
    legend.set_in_layout(False)


def short_names(layers: list[str]) -> list[str]:
    """Layer names without the words that all begin or end with; a number alone is no name."""
    words = [name.split(".") for name in layers]
    for first, rest in ((-1, slice(None, -1)), (0, slice(1, None))):
        while len({w[first] for w in words}) == 1 and all(_is_name(w[rest]) for w in words):
            words = [w[rest] for w in words]
    return [literal(".".join(w)) for w in words]


def _is_name(words: list[str]) -> bool:
    return any(not word.isdigit() for word in words)


def differences(audits: dict[str, pd.DataFrame], layers: list[str]) -> list[str]:
    """Sentences: layers in one model only, layers without a fit, and both means."""
    sentences = []
    (baseline, first), (other, second) = audits.items()
    for model, audit, rival in ((baseline, first, other), (other, second, baseline)):
        lacking = [name for name in layers if name not in set(audit["name"])]
        if lacking:
            sentences.append(f"Only in {rival}: {', '.join(lacking)}.")
        fitted = set(audit["name"][audit["status"].isin(FITTED)])
        unfitted = [n for n in layers if n in set(audit["name"]) and n not in fitted]
        if unfitted:
            sentences.append(f"Without a fit in {model}: {', '.join(unfitted)}.")
    return sentences


def means_sentence(audits: dict[str, pd.DataFrame]) -> str:
    """Both models' mean α and mean log λmax, over all matrices."""
    parts = []
    for model, audit in audits.items():
        fitted = audit[audit["status"].isin(FITTED)]
        parts.append(
            f"{model}: mean α {fitted['alpha'].mean():.3f}, "
            f"mean log λmax {fitted['log_spectral_norm'].mean():.3f} over {len(fitted)} matrices"
        )
    return f"{'; '.join(parts)}."


def main(
    baseline: Annotated[Path, typer.Option(help="spectral/{model}.csv of the baseline")],
    other: Annotated[Path, typer.Option(help="spectral/{model}.csv of the model beside it")],
    svg: Annotated[Path, typer.Option(help="figure for the page and for print")],
    png: Annotated[Path, typer.Option(help="the same as pixels")],
    run: Annotated[Path, typer.Option(help="run record")],
) -> None:
    """Draw Figure 4: λmax and α of every layer of two models."""
    if baseline.stem == other.stem:
        raise InputError(f"{baseline.stem} is compared with itself; name two models")
    audits = {path.stem: matrices_of(read_audit(path)) for path in (baseline, other)}
    record = Run("hearsay.paper.capacity_figure4", settings={}, inputs=[baseline, other])
    every = merge_layers(*(list(dict.fromkeys(audit["name"])) for audit in audits.values()))
    dropped = left_out(audits, every)
    short = dict(zip(every, short_names(every), strict=True))
    layers = {name: short[name] for name in every if name not in dropped}
    if not layers:
        raise InputError(f"{baseline.stem} and {other.stem}: no layer has a fit, nothing to draw")
    told = differences(audits, list(layers))
    if dropped:
        told.append(f"Without a fit in either, left out: {', '.join(dropped)}.")
    size = (max(3.3, 0.9 + 0.155 * min(len(layers), MOST_NAMES)), 3.7)
    with figure_style():
        # Two panels of many layers would be wider than a page.
        columns, rows = (2, 1) if len(layers) <= 24 else (1, 2)
        figure, (above, below) = panels(columns, rows, size)
        draw_layers(
            above, audits, layers, "log_spectral_norm", "log₁₀ λmax", "Largest eigenvalue by layer"
        )
        draw_layers(below, audits, layers, "alpha", "α", "Exponent by layer")
        save_figure(
            figure,
            svg,
            png,
            title=f"λmax and α by layer: {' and '.join(audits)}",
            description=" ".join([means_sentence(audits), *told]),
        )
    record.write(
        run, findings=[{"subject": "By layer", "text": means_sentence(audits)}], layers=told
    )


if __name__ == "__main__":
    run_command(main)
