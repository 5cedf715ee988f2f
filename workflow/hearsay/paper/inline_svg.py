"""A figure's SVG made part of a page: panels that flow, colours that follow the page's."""

import re
import xml.etree.ElementTree as ET
from dataclasses import dataclass
from pathlib import Path

from hearsay.errors import InputError
from hearsay.paper.style import FAINT, INK, MUTED, PAPER, SERIES

_SVG = "http://www.w3.org/2000/svg"
_HREF = "{http://www.w3.org/1999/xlink}href"
_VARIABLES = {
    INK: "--ink",
    MUTED: "--muted",
    FAINT: "--faint",
    PAPER: "--paper",
    **{colour: f"--series-{k + 1}" for k, colour in enumerate(SERIES)},
}
_LARGEST = 1e6  # points of a page
_COLOUR = re.compile("|".join(_VARIABLES))


@dataclass(frozen=True)
class InlineFigure:
    """Title and description for readers who do not see it, and the panels' SVG elements."""

    title: str
    description: str
    panels: list[str]


def read_figure(path: Path, prefix: str) -> InlineFigure:
    """Read an SVG that `hearsay.paper.style.save_figure` wrote.

    Every id gets `prefix`, so that several figures share a page; every colour of the style becomes
    a CSS variable with the colour itself as the value for a page that sets none.

    Raises
    ------
    InputError
        if the file is no such figure, or would load or run something.
    """
    try:
        root = ET.fromstring(path.read_bytes())
    except (OSError, ET.ParseError) as error:
        raise InputError(f"{path}: not an SVG: {error}") from None
    boxes = root.get("data-panels", "").split(";")
    groups = {element.get("id"): element for element in root.iter(f"{{{_SVG}}}g")}
    found = [groups.get(f"panel-{k + 1}") for k in range(len(boxes))]
    panels = [panel for panel in found if panel is not None]
    if root.tag != f"{{{_SVG}}}svg" or not boxes[0] or len(panels) < len(boxes):
        raise InputError(f"{path}: not a figure of this project: it names no panels")
    title, told = (root.findtext(f"{{{_SVG}}}{tag}", "") for tag in ("title", "desc"))
    for element in root.iter():
        _make_inline(element, prefix, path)
    # Shared definitions, such as clip paths, are found anywhere in the page.
    shared = [child for child in root if child.tag == "defs"]
    texts = []
    for box, panel in zip(boxes, panels, strict=True):
        try:
            x, y, width, height = map(float, box.split())
            if not max(map(abs, (x, y, width, height))) < _LARGEST:  # as for what is no number
                raise ValueError(f"panel at {box}")
        except ValueError as error:
            raise InputError(f"{path}: not a figure of this project: {error}") from None
        svg = ET.Element(
            "svg",
            {
                "viewBox": f"{x:g} {y:g} {width:g} {height:g}",
                "width": f"{width * 4 / 3:.0f}",  # points to CSS pixels
                "height": f"{height * 4 / 3:.0f}",
                "aria-hidden": "true",
            },
        )
        svg.extend([*shared, panel])
        shared = []
        texts.append(_html(svg))
    return InlineFigure(title, told, texts)


def _make_inline(element: ET.Element, prefix: str, path: Path) -> None:
    name = element.tag = element.tag.rpartition("}")[2]  # HTML knows the namespace
    if name in ("script", "foreignObject", "image", "a"):
        raise InputError(f"{path}: holds <{name}>, which no figure of this project does")
    if name == "style":
        element.text = ""  # would style the whole page; the page's own sheet sets line joins
    if _HREF in element.attrib:
        element.set("href", element.attrib.pop(_HREF))
    for key, value in list(element.attrib.items()):
        if key.startswith("on") or (key == "href" and not value.startswith("#")):
            raise InputError(f"{path}: holds {key}={value!r}, which no figure of this project does")
        if key == "id":
            value = f"{prefix}-{value}"
        elif key == "href":
            value = f"#{prefix}-{value[1:]}"
        else:
            value = value.replace("url(#", f"url(#{prefix}-")
            if "#" in value and key in ("style", "fill", "stroke"):
                value = _COLOUR.sub(lambda m: f"var({_VARIABLES[m[0]]}, {m[0]})", value)
        element.set(key, value)


def _html(svg: ET.Element) -> str:
    """Text of `svg` without white space that it does not need."""
    text = ET.tostring(svg, encoding="unicode")
    return re.sub(r"\s*\n\s*", " ", re.sub(r">\s+<", "><", text))
