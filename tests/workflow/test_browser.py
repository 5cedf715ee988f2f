"""The demo's result page in a real browser: it fits a phone and a desktop, and asks for nothing;
its tables sort, its search finds, and every number tells its run, by keys and by mouse.
"""

import json
import re
import shutil
import subprocess

import pytest
from chromium import Chromium

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


@pytest.mark.parametrize("width", [375, 390, 768, 1280, 1440])
def test_the_page_never_scrolls_sideways_and_loads_nothing(demo, tmp_path, browser, width):
    page = tmp_path / "index.html"
    text = (demo / "results/demo/index.html").read_text(encoding="utf-8")
    page.write_text(text.replace("</body>", f"{MEASURE}</body>"), encoding="utf-8")
    frame = tmp_path / "frame.html"
    frame.write_text(FRAME.format(width=width), encoding="utf-8")
    browser.look(1600, 1000, "light")
    browser.open(frame)
    browser.wait_for("document.body.dataset.measured")
    measured = browser.run("document.body.dataset.measured")
    inner, scroll, requests = map(int, measured.split())
    assert inner == width
    assert scroll <= width
    assert requests == 0


def test_the_page_prints(demo, tmp_path, chromium):
    page = (demo / "results/demo/index.html").as_uri()
    pdf = tmp_path / "page.pdf"
    command = [*chromium, f"--print-to-pdf={pdf}", page]
    subprocess.run(command, check=True, capture_output=True, timeout=600)
    assert pdf.read_bytes()[:5] == b"%PDF-"
    assert pdf.stat().st_size > 50_000


@pytest.mark.parametrize("width", [1456, 1920, 2560])
def test_tables_use_a_wide_window_and_no_more(demo, browser, width):
    browser.look(width, 1000, "light")
    browser.open(demo / "results/demo/index.html")
    assert browser.run("document.documentElement.scrollWidth") <= width
    used = browser.run("document.querySelector('#asr-table-3 .scroll').clientWidth")
    assert used > width / 2 + 500


@pytest.mark.parametrize(("selector", "width"), [(":not(.wide)", 688), (".wide", 1017)])
def test_a_printed_sheet_holds_every_column(demo, browser, selector, width):
    browser.look(width, 1000, "light")  # A4 within its margins; wide tables lie on their side
    browser.open(demo / "results/demo/index.html")
    browser.call("Emulation.setEmulatedMedia", media="print")
    browser.run("dispatchEvent(new Event('beforeprint'))")
    tables = f"[...document.querySelectorAll('figure{selector} table')]"
    assert browser.run(f"{tables}.length") > 1
    cut = browser.run(
        f"{tables}.filter(table => table.getBoundingClientRect().right > {width} + 1)"
        ".map(table => table.closest('figure').id)"
    )
    browser.call("Emulation.setEmulatedMedia", media="")
    assert cut == []


# --- what a reader does ---------------------------------------------------------------------------

SIZES = {"phone": (390, 844), "desktop": (1440, 900)}
TABLE = "#asr-table-6"
COLUMN = """[...document.querySelector("{table} table").tBodies].map(body =>
  [...body.querySelectorAll("tr:not(.group)")].map(row => row.cells[{column}].dataset.value))"""


@pytest.fixture(scope="module")
def browser(chromium, tmp_path_factory):
    used = Chromium(chromium, tmp_path_factory.mktemp("profile"))
    yield used
    used.close()


@pytest.fixture(params=["light", "dark"])
def scheme(request):
    return request.param


@pytest.fixture(params=SIZES)
def page(demo, browser, scheme, request):
    """The page, opened; a complaint or a request of its own fails the test."""
    file = demo / "results/demo/index.html"
    browser.look(*SIZES[request.param], scheme)
    browser.complaints.clear()
    browser.requests.clear()
    browser.open(file)
    yield browser
    assert browser.complaints == []
    assert [url for url in browser.requests if not url.startswith("data:")] == [file.as_uri()]
    width = SIZES[request.param][0]
    assert browser.run("document.documentElement.scrollWidth") <= width


def test_the_page_is_one_small_file(demo):
    assert (demo / "results/demo/index.html").stat().st_size < 10_000_000


def test_the_scheme_is_the_readers(page, scheme):
    colour = page.run("getComputedStyle(document.body).backgroundColor")
    light = sum(map(int, re.findall(r"\d+", colour))) > 3 * 128
    assert light == (scheme == "light")


def test_a_heading_sorts_up_down_and_back(page):
    heading = f"{TABLE} th[data-group][data-column]"
    column = page.run(f"Number(document.querySelectorAll({heading!r})[1].dataset.column)")
    button = f"document.querySelectorAll({heading!r})[1]"
    values = COLUMN.format(table=TABLE, column=column)
    printed = page.run(values)
    page.run(f"{button}.querySelector('button').focus()")
    told = []
    for _ in range(3):
        page.press("Enter")
        told.append((page.run(f"{button}.ariaSort"), page.run(values)))
    assert [order for order, _ in told] == ["ascending", "descending", "none"]
    for order, groups in told[:2]:
        for group, before in zip(groups, printed, strict=True):
            known = [float(value) for value in group if value is not None]
            assert known == sorted(known, reverse=order == "descending")
            assert sorted(map(str, group)) == sorted(map(str, before))
    assert told[2][1] == printed


def test_intervals_sort_by_their_lower_limit(page):
    headings = (
        "[...document.querySelectorAll('#audit-table-2 th[data-column]')]"
        ".filter(heading => heading.textContent === '95 % interval')"
    )
    negative = 0
    for place in range(page.run(f"{headings}.length")):
        page.run(f"{headings}[{place}].querySelector('button').click()")
        column = page.run(f"Number({headings}[{place}].dataset.column)")
        for group in page.run(
            "[...document.querySelectorAll('#audit-table-2 tbody')].map(body => "
            f"[...body.rows].slice(1).map(row => row.cells[{column}].textContent))"
        ):
            known = [text for text in group if " to " in text]
            lower = [float(text.partition(" to ")[0].replace("−", "-")) for text in known]
            assert lower == sorted(lower)
            negative += len({limit for limit in lower if limit < 0}) > 1
    assert negative


def test_a_wide_window_shows_measured_numbers_without_scrolling(page):
    right = page.run(
        "Math.min(...[...document.querySelectorAll('#asr-table-3 td.n:not([data-published])')]"
        ".slice(1, 3).map(cell => cell.getBoundingClientRect().right))"
    )
    assert right < page.run("innerWidth") or page.run("innerWidth") < 1000


def test_decoded_text_and_its_window_are_read_without_scrolling_sideways(page):
    cut = page.run(
        "[...document.querySelectorAll('#bpgpt-figure-2 :is(td.long, tr.group span)')].filter("
        "cell => cell.getBoundingClientRect().right > "
        "cell.closest('.scroll').getBoundingClientRect().right).length"
    )
    assert cut == 0


def test_the_search_filters_and_tells_how_much_it_found(page):
    rows = (
        "[...document.querySelectorAll('main figure tbody tr:not(.group)')]"
        ".filter(row => row.checkVisibility()).map(row => row.parentElement.textContent)"
    )
    told = "document.querySelector('form.search output').textContent"
    every = page.run(f"{rows}.length")
    page.run("document.getElementById('search').focus()")
    page.type("sPANish transfer")
    found = page.run(rows)
    assert 0 < len(found) < every
    assert all("spanish" in text.lower() for text in found)
    assert page.run(told).startswith(f"{len(found)} row")
    page.type(" xyzzy")
    assert page.run(rows) == []
    assert page.run(told) == "0 rows, 0 tables, 0 figures, 0 findings"
    page.run("document.getElementById('search').value = ''")
    page.type(" ")
    assert page.run(f"{rows}.length") == every
    assert page.run(told) == ""


def search(page, words):
    """Search for `words`; what the page says that it found."""
    page.run(
        f"(field => {{ field.value = {words!r}; field.dispatchEvent(new Event('input')); }})"
        "(document.getElementById('search'))"
    )
    return page.run("document.querySelector('form.search output').textContent")


def test_the_search_finds_what_a_keyboard_writes_otherwise(page):
    for shown, typed in (("−", "-"), ("–", "-"), ("'", "’")):
        words = page.run(
            "[...document.querySelectorAll('main td, .findings dd')].flatMap(cell => "
            f"cell.textContent.split(/\\s+/)).find(word => /\\w{shown}\\w|{shown}\\d/.test(word))"
        )
        assert shown in words
        found = search(page, words.replace(shown, typed))
        assert not found.startswith("0 rows, 0 tables, 0 figures, 0 findings")
        assert search(page, words) == found


def test_the_search_finds_rows_by_why_they_were_not_run_and_tables_by_their_columns(page):
    absent = page.run("document.querySelectorAll('details.rows tbody tr:not(.group)').length")
    assert absent > 0
    assert int(search(page, "not run:").split()[0]) == absent
    group = page.run("document.querySelector('#wabert-table-1 .groups th[scope=colgroup]')"
                     ".textContent.trim()")  # fmt: skip
    search(page, group)
    assert page.run("document.getElementById('wabert-table-1').checkVisibility()")


def test_a_link_leads_to_what_the_search_hides(page):
    link = "#bpgpt-table-i a[href^='#run-']"
    run = page.run(f'document.querySelector("{link}").hash')
    search(page, "SIM01")
    for _ in range(2):  # the second time the same address, and the record is closed again
        page.run(f'document.querySelector("{link}").click()')
        assert page.run(f"document.querySelector('{run}').open")
        assert page.run(f"document.querySelector('{run}').checkVisibility()")
        page.run(f"document.querySelector('{run}').open = false")
    search(page, "SIM01")
    page.run("document.querySelector('nav a[href=\"#egru-table-1\"]').click()")
    assert page.run("document.getElementById('egru-table-1').checkVisibility()")
    assert page.run("document.getElementById('search').value") == ""


def test_a_number_tells_its_run_by_keyboard(page):
    page.run(f"document.querySelector('{TABLE} button.number').focus()")
    first = page.run("document.activeElement.closest('td').cellIndex")
    page.press("ArrowRight", "ArrowRight", "ArrowDown", "ArrowUp")
    assert page.run("document.activeElement.closest('td').cellIndex") > first
    run = page.run("document.activeElement.closest('td').dataset.run")
    value = page.run("document.activeElement.textContent")
    page.press("Enter")
    assert page.run("card.matches(':modal')")
    told = page.run("card.textContent")
    record = page.run(f"document.getElementById('run-{run}').querySelector('dl').textContent")
    assert value in told
    assert record in told
    for part in ("Settings", "Seed", "Code digest", "sha256", "Commit", "Hardware", "Wall time"):
        assert part in told
    assert re.search(
        r"snakemake --cores 1 --configfile config/demo\.yaml -f results/demo/\S+run\.json", told
    )
    inside = page.run(
        "(b => b.left >= 0 && b.top >= 0 && b.right <= innerWidth && b.bottom <= innerHeight)"
        "(card.getBoundingClientRect())"
    )
    assert inside
    page.press("Escape")
    assert not page.run("card.open")
    assert page.run("document.activeElement.textContent") == value
    assert page.run(f"document.querySelectorAll('{TABLE} table')[0].querySelectorAll("
                    "'button.number[tabindex=\"0\"]').length") == 1  # fmt: skip


def test_the_first_column_keeps_its_own_heading_when_others_scroll_below_it(page):
    table = "document.querySelector('#bpgpt-table-ii table')"
    page.run(f"{table}.tHead.scrollIntoView({{block: 'center'}})")
    page.run(f"{table}.closest('.scroll').scrollLeft = 300")
    seen = page.run(
        "(box => document.elementFromPoint(box.x + 12, box.bottom - 12).textContent)"
        f"({table}.tHead.rows[0].cells[0].getBoundingClientRect())"
    )
    assert seen == page.run(f"{table}.tHead.rows[0].cells[0].textContent")


def test_what_has_the_focus_is_never_behind_the_first_column(page):
    page.run(f"document.querySelector('{TABLE} button.number').focus()")
    page.press(*["ArrowRight"] * 12)
    covered = (
        "(focused => focused.closest('tr').cells[0].getBoundingClientRect().right"
        " - focused.getBoundingClientRect().left)(document.activeElement)"
    )
    for _ in range(4):
        page.press("ArrowLeft")
        assert page.run(covered) <= 1
    assert page.run("document.activeElement.className") == "number"


def test_beyond_the_last_number_the_keys_scroll_at_once(page):
    last = f"[...document.querySelector('{TABLE} tbody tr:not(.group)')"
    page.run(f"{last}.querySelectorAll('button.number')].at(-1).focus()")
    scroller = "document.activeElement.closest('.scroll')"
    page.run(f"{scroller}.style.width = '300px'")
    end = page.run(f"{scroller}.scrollWidth - {scroller}.clientWidth")
    page.run(f"{scroller}.scrollLeft = {end - 30}")
    page.press("ArrowRight")
    assert abs(page.run(f"{scroller}.scrollLeft") - end) <= 1


def test_a_number_tells_its_run_by_mouse(page):
    number = f"{TABLE} button.number"
    focused = page.run("document.activeElement.tagName")
    page.point(number)
    page.wait_for("card.open")
    assert page.run("card.open && !card.matches(':modal')")
    assert page.run("document.activeElement.tagName") == focused
    # The card lies beside the number, so that it can still be pressed.
    page.point(number, click=True)
    assert page.run("card.matches(':modal')")
    page.press("Escape")
    assert not page.run("card.open")


def test_speech_can_be_heard_with_its_words(page):
    page.wait_for("[...document.querySelectorAll('audio')].every(audio => audio.duration > 0.5)")
    assert page.run("document.querySelectorAll('#asr .clip').length") >= 4
    assert page.run("document.querySelectorAll('#wabert .clip .words li').length") > 20
    # Into a word, wherever the aligner of this machine put it.
    page.run(
        "{ const clip = document.querySelector('#wabert .clip:has(.words li)');"
        " const words = [...clip.querySelectorAll('.words li')].map(word => word.dataset);"
        " words.sort((a, b) => (b.end - b.start) - (a.end - a.start));"
        " const middle = (Number(words[0].start) + Number(words[0].end)) / 2;"
        " clip.querySelector('audio').currentTime = middle; }"
    )
    page.wait_for("document.querySelectorAll('#wabert .clip .now').length")


def card_of(page, cell):
    """What the card of a cell's number says."""
    page.run(f"{cell}.querySelector('button.number').click()")
    told = page.run("card.textContent")
    page.run("card.close()")
    return told


def test_a_card_tells_whether_a_value_with_a_source_was_measured(page):
    rows = "document.querySelectorAll('#capacity-table-1 {part} tbody tr:not(.group)')[0]"
    measured = card_of(page, f"{rows.format(part='.scroll')}.cells[1]")
    assert "Published, not measured" not in measured
    assert "Source: with the model in this configuration" in measured
    assert "hearsay.spectral.summarise_audits" in measured
    absent = card_of(page, f"{rows.format(part='details.rows')}.cells[1]")
    assert "Published, not measured here. Source: torchvision" in absent


def test_a_card_names_its_row_by_all_that_does(page):
    row = "document.querySelectorAll('#asr-table-3 tbody tr:not(.group)')[1]"
    names = page.run(f"[...{row}.cells].slice(0, 4).map(cell => cell.textContent.trim())")
    place = ", ".join(name for name in names if name != "–")
    assert f" · {place} · " in card_of(page, f"{row}.querySelector('td.n[data-published]')")


def test_a_test_score_beside_a_spectrum_tells_the_run_that_scored(demo, page):
    table = json.loads((demo / "results/demo/tables/audit_table1.json").read_text("utf-8"))
    scored = [row["cells"]["records"] for row in table["rows"]]
    place = "[...document.querySelectorAll('#audit-table-1 tbody tr:not(.group)')].map(row => row."
    assert page.run(f"{place}cells[2].dataset.run)") == scored
    assert set(page.run(f"{place}cells[4].dataset.run)")).isdisjoint(scored)


def test_every_heading_of_a_column_has_a_name_and_no_arrow_in_it(page):
    page.call("Accessibility.enable")
    nodes = page.call("Accessibility.getFullAXTree")["nodes"]
    names = [node["name"]["value"] for node in nodes if node["role"]["value"] == "columnheader"]
    page.call("Accessibility.disable")
    assert len(names) > 100
    assert [name for name in names if not name.strip() or "↕" in name] == []


def test_links_to_files_are_told_apart_by_name(page):
    page.call("Accessibility.enable")
    nodes = page.call("Accessibility.getFullAXTree")["nodes"]
    names = [node["name"]["value"] for node in nodes if node["role"]["value"] == "link"]
    page.call("Accessibility.disable")
    files = [name for name in names if re.match(r"(CSV|MD|TEX|SVG|PNG)\b", name)]
    assert len(files) > 60
    assert len(set(files)) == len(files)


def test_every_measured_number_is_a_button_with_a_run(page):
    lost = page.run(
        "[...document.querySelectorAll('main figure td[data-value]:not([data-published])')]"
        ".filter(cell => !cell.closest('details.rows'))"
        ".filter(cell => !cell.querySelector('button.number') ||"
        " !document.getElementById(`run-${cell.dataset.run}`)).length"
    )
    assert lost == 0
