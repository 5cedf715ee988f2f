"""Empirical spectral density of one matrix with its power law (Eq. 1 of the capacity paper)."""

from pathlib import Path
from typing import Annotated

import numpy as np
import pandas as pd
import typer
from matplotlib.axes import Axes

from hearsay.errors import InputError
from hearsay.paper.capacity import FITTED, read_audit
from hearsay.paper.command import run_command
from hearsay.paper.style import MUTED, PAPER, SERIES, figure_style, headline, panels, save_figure
from hearsay.provenance import Run


def choose_matrix(
    audit: pd.DataFrame, where: Path, name: str, piece: str, sizes: pd.Series | None = None
) -> pd.Series:
    """The row of weight `name` and slice `piece`.

    Without a name: of the fitted matrices with most eigenvalues, the one with the longest tail.
    `sizes` are their numbers, by row; without them that is M, which it is not of a pooled spectrum.
    """
    fitted = audit[audit["status"].isin(FITTED)]
    if fitted.empty:
        raise InputError(f"{where}: no matrix has a fit, so no spectrum to draw")
    if not name:
        counts = fitted["M"] if sizes is None else sizes.reindex(fitted.index)
        largest = fitted[counts == counts.max()]
        return largest.loc[largest["n_tail"].idxmax()]
    rows = audit[(audit["name"] == name) & (audit["slice"] == piece)]
    if rows.empty:
        slices = audit["slice"][audit["name"] == name].tolist()
        hint = f"its slices are {', '.join(map(repr, slices))}" if slices else "no such weight"
        raise InputError(f"{where}: no row for {name!r}, slice {piece!r}: {hint}")
    row = rows.iloc[0]
    if row["status"] not in FITTED:
        raise InputError(f"{where}: {name!r}, slice {piece!r} has no fit: {row['reason']}")
    return row


def read_sizes(path: Path) -> pd.Series:
    """How many eigenvalues each row of an audit has, by its number."""
    try:
        with np.load(path, allow_pickle=False) as spectra:
            return pd.Series({int(row): spectra[row].size for row in spectra.files}, dtype=int)
    except Exception as error:  # numpy and zipfile raise anything for a broken header
        raise InputError(f"{path}: not the eigenvalues of an audit: {error}") from None


def read_spectrum(path: Path, row: pd.Series) -> np.ndarray:
    """Ascending eigenvalues, shape ``(M,)``, of an audit's row: the array named by its number."""
    try:
        with np.load(path, allow_pickle=False) as spectra:
            eigenvalues = spectra[str(row.name)]
    except Exception as error:  # numpy and zipfile raise anything for a broken header
        raise InputError(f"{path}: no eigenvalues of row {row.name}: {error}") from None
    largest = eigenvalues.max(initial=0.0)
    if not np.isclose(largest, row["lambda_max"], rtol=1e-6):
        raise InputError(
            f"{path}: row {row.name} has λmax {largest:g}, its audit {row['lambda_max']:g}; "
            "they are not of one run"
        )
    return eigenvalues


def shown_from(row: pd.Series) -> float:
    """The smallest eigenvalue that is drawn: four decades, or one below xmin."""
    return min(1e-4 * row["lambda_max"], 0.1 * row["xmin"])


def density_of(eigenvalues: np.ndarray, low: float, xmin: float) -> tuple[np.ndarray, np.ndarray]:
    """Centres and densities of logarithmic bins, bulk and tail binned apart; empty bins left out.

    The density is per unit of λ and relative to all `eigenvalues`, shape ``(M,)``.
    """
    centres, densities = [], []
    bulk = eigenvalues[(eigenvalues >= low) & (eigenvalues < xmin)]
    for part, end in ((bulk, xmin), (eigenvalues[eigenvalues >= xmin], eigenvalues.max())):
        if part.size and part.min() < end:
            bins = int(np.clip(1.5 * np.sqrt(part.size), 4, 60))
            edges = np.geomspace(part.min(), end, bins + 1)
            edges[-1] = max(end, edges[-1])  # the largest eigenvalue belongs to the last bin
            number, _ = np.histogram(part, edges)
            seen = number > 0
            centres.append(np.sqrt(edges[:-1] * edges[1:])[seen])
            densities.append((number / np.diff(edges))[seen] / eigenvalues.size)
    return np.concatenate(centres), np.concatenate(densities)


def draw_density(axes: Axes, eigenvalues: np.ndarray, row: pd.Series) -> None:
    """Density in logarithmic bins, and α's line from xmin to λmax with the tail's mass."""
    axes.plot(
        *density_of(eigenvalues, shown_from(row), row["xmin"]),
        linestyle="none",
        marker="o",
        markersize=3.6,
        color=SERIES[0],
        label="eigenvalues",
    )
    alpha, xmin = row["alpha"], row["xmin"]
    x = np.array([xmin, row["lambda_max"]])
    mass = row["n_tail"] / eigenvalues.size
    axes.plot(
        x,
        mass * (alpha - 1) / xmin * (x / xmin) ** -alpha,
        color=SERIES[1],
        linewidth=2,
        label=f"power law, α = {alpha:.2f} ± {row['sigma']:.2f}",
    )
    axes.axvline(xmin, color=MUTED, linewidth=0.9, linestyle=(0, (4, 3)), label="xmin")
    axes.set_xscale("log")
    axes.set_yscale("log")
    axes.set_xlabel("eigenvalue λ")
    axes.set_ylabel("density ρ(λ)")
    axes.legend(loc="lower left", frameon=True, facecolor=PAPER, edgecolor="none", framealpha=1)


def facts(eigenvalues: np.ndarray, row: pd.Series) -> str:
    """Numbers of the fit, for the line above the panel and for readers who do not see it."""
    flagged = ", a small tail" if row["status"] == "small_tail" else ""
    hidden = int((eigenvalues < shown_from(row)).sum())
    smaller = f"; {hidden} too small to be shown" if hidden else ""
    return (
        f"{int(row['n_tail'])} of {eigenvalues.size} eigenvalues in the tail{flagged}; "
        f"D = {row['D']:.3f}{smaller}"
    )


def main(
    audit: Annotated[Path, typer.Option(help="spectral/{model}.csv")],
    eigenvalues: Annotated[Path, typer.Option(help="spectral/{model}.eigenvalues.npz")],
    svg: Annotated[Path, typer.Option(help="figure for the page and for print")],
    png: Annotated[Path, typer.Option(help="the same as pixels")],
    run: Annotated[Path, typer.Option(help="run record")],
    name: Annotated[
        str, typer.Option(help="weight; default: the fitted matrix with most eigenvalues")
    ] = "",
    piece: Annotated[str, typer.Option("--slice", help="slice of that weight")] = "",
) -> None:
    """Draw the spectral density of one matrix, log-log, with its fit."""
    sizes = None if name else read_sizes(eigenvalues)
    row = choose_matrix(read_audit(audit), audit, name, piece, sizes)
    spectrum = read_spectrum(eigenvalues, row)
    record = Run(
        "hearsay.paper.capacity_esd",
        settings={"name": name, "slice": piece},
        inputs=[audit, eigenvalues],
    )
    with figure_style():
        figure, (axes,) = panels(1, 1, (4.4, 3.4))
        draw_density(axes, spectrum, row)
        matrix = f"{row['name']}{' [' + row['slice'] + ']' if row['slice'] else ''}"
        headline(axes, f"{audit.stem}: {matrix}", facts(spectrum, row))
        save_figure(
            figure,
            svg,
            png,
            title=f"Spectral density of {matrix} of {audit.stem}",
            description=f"{facts(spectrum, row)}; α = {row['alpha']:.3f} ± {row['sigma']:.3f}, "
            f"xmin = {row['xmin']:.4g}, λmax = {row['lambda_max']:.4g}.",
        )
    record.write(run, matrix=matrix)


if __name__ == "__main__":
    run_command(main)
