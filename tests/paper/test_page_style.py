"""The page's colours and small texts."""

import json
import re

import pytest

from hearsay.paper.html_text import duration, pretty_json, short_commit, symbols
from hearsay.paper.page import HERE
from hearsay.paper.style import SERIES

# --- colours --------------------------------------------------------------------------------------


def schemes():
    """CSS variables of the light and the dark page."""
    css = (HERE / "page.css").read_text()
    light = dict(re.findall(r"--([\w-]+): (#\w{6});", css.split("@media")[0]))
    dark = css[css.index("prefers-color-scheme: dark") :]
    return [light, light | dict(re.findall(r"--([\w-]+): (#\w{6});", dark[: dark.index("\n}")]))]


def contrast(one, other):
    """WCAG 2 contrast ratio."""

    def luminance(colour):
        parts = [int(colour[k : k + 2], 16) / 255 for k in (1, 3, 5)]
        linear = [c / 12.92 if c <= 0.04045 else ((c + 0.055) / 1.055) ** 2.4 for c in parts]
        return 0.2126 * linear[0] + 0.7152 * linear[1] + 0.0722 * linear[2]

    high, low = sorted((luminance(one), luminance(other)), reverse=True)
    return (high + 0.05) / (low + 0.05)


@pytest.mark.parametrize("scheme", [0, 1], ids=["light", "dark"])
def test_contrast_is_sufficient(scheme):
    colours = schemes()[scheme]
    for name in ("ink", "muted", "link"):
        for ground in ("paper", "wash"):
            assert contrast(colours[name], colours[ground]) >= 4.5, (name, ground)
    for k in range(len(SERIES)):
        assert contrast(colours[f"series-{k + 1}"], colours["paper"]) >= 3


def test_dark_differs_from_light_in_every_colour():
    light, dark = schemes()
    assert all(light[name] != dark[name] for name in light)


# --- small text -----------------------------------------------------------------------------------


def test_symbols_are_set_and_names_left_alone():
    assert symbols("log λmax -0.8") == "log <i>λ</i><sub>max</sub> −0.8"
    assert symbols("by 1.3e-06 (-2)") == "by 1.3\xa0×\xa010<sup>−6</sup> (−2)"
    assert symbols("n = 4") == "n\xa0=\xa04"
    assert symbols("resnet-20, lr1e-3<b>") == "resnet-20, lr1e-3&lt;b&gt;"


def test_settings_stand_on_few_lines():
    models = [{"model": f"model-{k}", "series": "ResNet"} for k in range(4)]
    text = pretty_json({"models": models, "none": None})
    assert json.loads(text) == {"models": models, "none": None}
    assert text.count("\n") == 8
    assert pretty_json([]) == "[]"


@pytest.mark.parametrize(
    ("seconds", "text"), [(0.04, "0.0 s"), (119, "119.0 s"), (150, "2.5 min"), (9000, "2.5 h")]
)
def test_durations(seconds, text):
    assert duration(seconds) == text


def test_commits_are_short_but_say_that_files_were_changed():
    assert short_commit("0123456789abcdef-dirty") == "0123456789-dirty"
    assert short_commit("not in git") == "not in git"
