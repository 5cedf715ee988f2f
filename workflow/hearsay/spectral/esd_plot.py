"""Draw empirical spectral densities, log-log, with their power-law fits, on a page of small panels.

The file is the same, byte for byte, for the same numbers and versions.
"""

import difflib
import math
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import matplotlib as mpl
import numpy as np
import pandas as pd
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from hearsay.errors import InputError
from hearsay.files import whole_file
from hearsay.spectral.columns import SUCCESSES

if TYPE_CHECKING:
    from matplotlib.typing import RcKeyType

PANELS = 12
COLUMNS = 3
# What of each format would hold the date of drawing.
DATES = {".svg": {"Date": None}, ".pdf": {"CreationDate": None}, ".png": {}}


def write_esd_plot(
    path: Path,
    frame: pd.DataFrame,
    spectra: Mapping[int, np.ndarray],
    layers: Sequence[str] = (),
) -> None:
    """Write the densities of some rows of an audit to `path` (.svg, .pdf or .png).

    frame, spectra : of `audit` and its `keep_eigenvalues`.
    layers : names of weights, all of whose spectra are drawn; by default one spectrum for each of
        the twelve weights with the most eigenvalues.

    Raises InputError for an unknown name or format, for more than 12 spectra and for none.
    """
    check_format(path)
    rows = _chosen(frame, spectra, layers)
    columns = min(COLUMNS, len(rows))
    lines = math.ceil(len(rows) / columns)
    style: dict[RcKeyType, Any]
    style = {"svg.hashsalt": "hearsay", "svg.fonttype": "path", "font.size": 8}
    with mpl.rc_context(style):
        figure = Figure(figsize=(3.4 * columns, 2.6 * lines), layout="constrained")
        panels = figure.subplots(lines, columns, squeeze=False).ravel()
        for panel, row in zip(panels, rows, strict=False):
            facts = frame.loc[row]
            assert isinstance(facts, pd.Series), "rows have numbers of their own"
            _draw(panel, facts, spectra[row])
        for panel in panels[len(rows) :]:
            panel.axis("off")
        with whole_file(path) as temporary:
            figure.savefig(temporary, metadata=DATES[path.suffix], dpi=150)


def check_format(path: Path) -> None:
    """InputError if no plot can be written in the format of this name."""
    if path.suffix not in DATES:
        raise InputError(f"{path}: a plot is written as one of {', '.join(DATES)}")


def _chosen(
    frame: pd.DataFrame, spectra: Mapping[int, np.ndarray], layers: Sequence[str]
) -> list[int]:
    drawable = frame[frame.index.isin(list(spectra))]
    for layer in layers:
        if layer not in set(frame["name"]):
            near = difflib.get_close_matches(layer, frame["name"].unique(), n=3, cutoff=0.4)
            hint = f"; near it: {', '.join(near)}" if near else ""
            raise InputError(f"no weight {layer!r} in this model{hint}")
        if layer not in set(drawable["name"]):
            first = frame[frame["name"] == layer].iloc[0]
            raise InputError(f"{layer}: no spectrum to draw ({first['status']}: {first['reason']})")
    if layers:
        rows = list(drawable.index[drawable["name"].isin(layers)])
        if len(rows) > PANELS:
            raise InputError(f"{len(rows)} spectra chosen, of which {PANELS} fit on a page")
        return rows
    fitted = drawable[drawable["status"].isin(SUCCESSES)].drop_duplicates("name")
    if fitted.empty:
        raise InputError("no spectrum to draw: no matrix of this model could be fitted")
    largest = sorted(fitted.index, key=lambda row: -len(spectra[row]))[:PANELS]
    return sorted(largest)


def _draw(panel: Axes, row: pd.Series, spectrum: np.ndarray) -> None:
    values = spectrum[spectrum > 0]
    # Bins of equal width in the logarithm, about twice the square root of the number of values.
    edges = np.geomspace(values[0], values[-1], 2 + 2 * math.isqrt(len(values)))
    if values[0] < values[-1]:
        density, edges = np.histogram(values, edges, density=True)
        panel.stairs(density, edges, fill=True, color="#9db8cf")
    panel.set(xscale="log", yscale="log", xlabel="eigenvalue λ", ylabel="density")
    title = f"{row['name']} [{row['slice']}]" if row["slice"] else row["name"]
    panel.set_title(title if len(title) <= 44 else f"…{title[-43:]}", fontsize=8)
    if row["status"] not in SUCCESSES:
        _note(panel, row["reason"])
        return
    alpha, xmin, tail = row["alpha"], row["xmin"], row["n_tail"]
    # The density of the fitted law, times the share of eigenvalues in its tail.
    x = np.array([xmin, values[-1]])
    y = tail / len(values) * (alpha - 1) / xmin * (x / xmin) ** -alpha
    panel.plot(x, y, color="#b2182b", linewidth=1.4)
    panel.axvline(xmin, color="#555555", linewidth=0.7, linestyle="--")
    _note(panel, f"α = {alpha:.2f} ± {row['sigma']:.2f}\nD = {row['D']:.3f}\n{tail} in the tail")


def _note(panel: Axes, text: str) -> None:
    # Densities fall: the upper right corner is empty.
    box: dict[str, Any] = {"facecolor": "white", "edgecolor": "none", "alpha": 0.8, "pad": 1}
    place = panel.transAxes
    panel.text(0.97, 0.96, text, fontsize=7, bbox=box, ha="right", va="top", transform=place)
