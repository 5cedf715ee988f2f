"""The demo's result page in a real browser: it fits a phone and a desktop, and asks for nothing."""

import re
import shutil
import subprocess

import pytest

pytestmark = pytest.mark.demo

MEASURE = """<script>addEventListener("load", () => {
  const requests = performance.getEntriesByType("resource")
    .filter(entry => !entry.name.startsWith("data:")).length;
  parent.postMessage([innerWidth, document.documentElement.scrollWidth, requests].join(" "), "*");
});</script>"""
# A window cannot be as narrow as a phone; a frame in it can.
FRAME = """<!doctype html><body><script>
  addEventListener("message", event => document.body.dataset.measured = event.data);
</script><iframe src="index.html" width="{width}" height="900" style="border:0"></iframe></body>"""


@pytest.fixture(scope="module")
def chromium():
    for name in ("chromium", "chromium-browser", "google-chrome"):
        if path := shutil.which(name):
            return [path, "--headless", "--no-sandbox", "--disable-gpu", "--hide-scrollbars"]
    pytest.skip("no browser: chromium is not installed")


@pytest.mark.parametrize("width", [375, 768, 1280])
def test_the_page_never_scrolls_sideways_and_loads_nothing(demo, tmp_path, chromium, width):
    page = tmp_path / "index.html"
    text = (demo / "results/demo/index.html").read_text(encoding="utf-8")
    page.write_text(text.replace("</body>", f"{MEASURE}</body>"), encoding="utf-8")
    frame = tmp_path / "frame.html"
    frame.write_text(FRAME.format(width=width), encoding="utf-8")
    done = subprocess.run(
        [*chromium, "--window-size=1400,1000", "--dump-dom", frame.as_uri()],
        capture_output=True,
        text=True,
        timeout=120,
    )
    found = re.search(r'data-measured="(\d+) (\d+) (\d+)"', done.stdout)
    assert found, done.stderr
    inner, scroll, requests = map(int, found.groups())
    assert inner == width
    assert scroll <= width
    assert requests == 0


def test_the_page_prints(demo, tmp_path, chromium):
    page = (demo / "results/demo/index.html").as_uri()
    pdf = tmp_path / "page.pdf"
    command = [*chromium, f"--print-to-pdf={pdf}", page]
    subprocess.run(command, check=True, capture_output=True, timeout=120)
    assert pdf.read_bytes()[:5] == b"%PDF-"
    assert pdf.stat().st_size > 50_000
