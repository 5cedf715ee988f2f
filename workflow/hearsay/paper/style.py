"""How every figure of the project looks, and how it is written: the same bytes every time.

Figures are drawn dark on white for print. Each panel carries an id and the root element lists the
panels' boxes (``data-panels``), so that the result page can let panels flow on a narrow screen,
and can exchange the few colours named here for others in the dark.
"""

import io
import re
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypedDict
from xml.sax.saxutils import escape

import matplotlib as mpl
from matplotlib.axes import Axes
from matplotlib.backend_bases import RendererBase
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.figure import Figure
from matplotlib.text import Annotation
from matplotlib.transforms import Bbox

from hearsay.files import whole_file, write_text

if TYPE_CHECKING:
    from matplotlib.typing import RcKeyType

INK = "#22252a"
MUTED = "#6a6e75"
FAINT = "#d4d6da"
PAPER = "#ffffff"
# Told apart with any colour vision, and each with at least 3:1 on white; markers differ as well.
SERIES = ["#0072b2", "#c8500a", "#00805a", "#a8458c", "#8a6a00", "#5558b5"]
MARKERS = ["o", "s", "^", "D", "v", "P"]
COLOURS = [INK, MUTED, FAINT, PAPER, *SERIES]

PANEL = (3.3, 2.75)  # inches: one panel fits the width of a phone at its natural size

_RC: "dict[RcKeyType, Any]" = {
    "svg.hashsalt": "hearsay",
    "svg.fonttype": "path",
    "font.family": "DejaVu Sans",
    "font.size": 8.5,
    "axes.titlesize": 9.5,
    "axes.titleweight": "bold",
    "axes.titlelocation": "left",
    "axes.labelsize": 8.5,
    "axes.edgecolor": MUTED,
    "axes.labelcolor": INK,
    "axes.titlecolor": INK,
    "axes.linewidth": 0.7,
    "axes.spines.top": False,
    "axes.spines.right": False,
    "axes.unicode_minus": True,
    "text.color": INK,
    "xtick.color": MUTED,
    "ytick.color": MUTED,
    "xtick.labelcolor": INK,
    "ytick.labelcolor": INK,
    "xtick.labelsize": 8,
    "ytick.labelsize": 8,
    "xtick.major.width": 0.7,
    "ytick.major.width": 0.7,
    "lines.linewidth": 1.4,
    "lines.markersize": 5.5,
    "legend.frameon": False,
    "legend.fontsize": 8,
    "figure.facecolor": PAPER,
    "axes.facecolor": "none",
    "savefig.facecolor": PAPER,
    "figure.dpi": 72,
    "figure.constrained_layout.use": True,
    "figure.constrained_layout.w_pad": 0.08,
    "figure.constrained_layout.h_pad": 0.08,
}


def literal(name: str) -> str:
    """`name` from outside, so that matplotlib sees no mathematics in it."""
    return name.replace("$", r"\$")


def typeset(label: str) -> str:
    """An axis label of ours with its symbols as mathematics."""
    return label.replace("λmax", r"$\lambda_{\max}$").replace("‖W‖²", r"$\|W\|_F^2$")


@contextmanager
def figure_style() -> Iterator[None]:
    """Draw in the project's style, whatever matplotlib's own configuration is."""
    with mpl.rc_context():
        mpl.rcdefaults()
        mpl.rcParams.update(_RC)
        yield


def panels(columns: int, rows: int, size: tuple[float, float] = PANEL) -> tuple[Figure, list[Axes]]:
    """A figure of `columns` × `rows` panels of `size` inches each, and its axes row by row."""
    figure = Figure(figsize=(columns * size[0], rows * size[1]))
    FigureCanvasAgg(figure)  # measures text
    axes = figure.subplots(rows, columns, squeeze=False)
    return figure, list(axes.flat)


class Look(TypedDict):
    """How a series is drawn."""

    color: str
    marker: str


def look(k: int) -> Look:
    """Colour and marker of the k-th series; pairs repeat after 36."""
    return {
        "color": SERIES[k % len(SERIES)],
        "marker": MARKERS[(k + k // len(SERIES)) % len(MARKERS)],
    }


def headline(axes: Axes, title: str, below: str = "") -> None:
    """Title of a panel, and a smaller line of facts under it, both taken literally."""
    axes.set_title(literal(title), pad=17 if below else 6)
    if below:
        line = axes.annotate(
            literal(below),
            (0, 1),
            (0, 5),
            "axes fraction",
            "offset points",
            color=MUTED,
            fontsize=8,
        )
        line.set_in_layout(False)


@dataclass(frozen=True)
class PointNames:
    """Names to be written beside points: ``x``, ``y`` and ``names`` are equally long."""

    axes: Axes
    x: Sequence[float]
    y: Sequence[float]
    names: Sequence[str]


def say(axes: Axes, text: str) -> None:
    """Text in place of a panel, such as that there is nothing to draw."""
    axes.set_visible(True)
    axes.set_axis_off()
    axes.text(0.5, 0.5, text, ha="center", va="center", color=MUTED)


def label_points(figure: Figure, labels: Sequence[PointNames]) -> None:
    """Write names beside points, each where it covers least of other names and points.

    The figure's layout is fixed first. Places are tried in a fixed order, so that the result is
    the same every time.
    """
    for label in labels:
        label.axes.margins(x=0.16, y=0.14)
    figure.draw_without_rendering()
    figure.set_layout_engine("none")
    for label in labels:
        _label_panel(label, _renderer(figure))


def _renderer(figure: Figure) -> RendererBase:
    assert isinstance(figure.canvas, FigureCanvasAgg), "made by `panels`"
    return figure.canvas.get_renderer()


def _label_panel(label: PointNames, renderer: RendererBase) -> None:
    axes = label.axes
    points = list(zip(label.x, label.y, strict=True))
    # Squares that the markers take, in pixels.
    taken = [Bbox.from_bounds(x - 4, y - 4, 8, 8) for x, y in axes.transData.transform(points)]
    frame = axes.get_window_extent(renderer)
    for k, name in enumerate(label.names):
        others = taken[:k] + taken[k + 1 :]
        best: tuple[float, Annotation, Bbox] | None = None
        for dx, dy, horizontal, vertical in _PLACES:
            note = axes.annotate(
                literal(name),
                points[k],
                (dx, dy),
                textcoords="offset points",
                ha=horizontal,
                va=vertical,
                fontsize=7.5,
                annotation_clip=False,
            )
            box = note.get_window_extent(renderer)
            outside = box.width * box.height - _overlap(box, frame)
            cost = 3 * outside + sum(_overlap(box, other) for other in others)
            if best is not None and cost >= best[0] - 1e-6:
                note.remove()
                continue
            if best is not None:
                best[1].remove()
            best = (cost, note, box)
            if cost <= 1e-6:
                break
        assert best is not None
        taken.append(best[2])


_PLACES = [
    (5, 0, "left", "center"),
    (-5, 0, "right", "center"),
    (0, 5, "center", "bottom"),
    (0, -5, "center", "top"),
    (4, 4, "left", "bottom"),
    (-4, 4, "right", "bottom"),
    (4, -4, "left", "top"),
    (-4, -4, "right", "top"),
    (0, 12, "center", "bottom"),
    (0, -12, "center", "top"),
]


def _overlap(a: Bbox, b: Bbox) -> float:
    width = min(a.x1, b.x1) - max(a.x0, b.x0)
    height = min(a.y1, b.y1) - max(a.y0, b.y0)
    return max(0.0, width) * max(0.0, height)


def save_figure(figure: Figure, svg: Path, png: Path, *, title: str, description: str) -> None:
    """Write `figure` as SVG and as PNG (200 dpi).

    Parameters
    ----------
    title, description : what a reader who does not see the figure is told; they enter the SVG as
        its ``title`` and ``desc``.
    """
    axes = [a for a in figure.axes if a.get_visible()]
    for k, panel in enumerate(axes):
        panel.set_gid(f"panel-{k + 1}")
    drawn = io.BytesIO()
    figure.savefig(drawn, format="svg")
    text = drawn.getvalue().decode()
    with whole_file(png) as temporary:
        figure.savefig(temporary, format="png", dpi=200, metadata={"Software": None})
    write_text(svg, _described(text, title, description, _boxes(figure, axes)))


def _boxes(figure: Figure, axes: list[Axes]) -> str:
    """``x y width height`` of each panel in the SVG's own units (points, y downwards)."""
    height = figure.get_figheight() * 72
    boxes = []
    for panel in axes:
        box = panel.get_tightbbox(_renderer(figure))
        assert box is not None, "a panel that is not drawn"
        scale = 72 / figure.dpi
        x0, x1, y0, y1 = (scale * v for v in (box.x0, box.x1, box.y0, box.y1))
        values = (x0 - 4, height - y1 - 4, x1 - x0 + 8, y1 - y0 + 8)
        boxes.append(" ".join(f"{value:.1f}" for value in values))
    return ";".join(boxes)


def _described(svg: str, title: str, description: str, boxes: str) -> str:
    # The metadata hold the date.
    svg = re.sub(r"<metadata>.*?</metadata>\s*", "", svg, count=1, flags=re.DOTALL)
    head = re.search(r"<svg\b[^>]*>", svg)
    assert head is not None
    opened = f'{head[0][:-1]} role="img" data-panels="{boxes}">'
    told = f"\n <title>{escape(title)}</title>\n <desc>{escape(description)}</desc>"
    return svg[: head.start()] + opened + told + svg[head.end() :]
