"""TextGrids: one content in every form that Praat writes gives one list of words."""

import codecs
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from hearsay.corpora.textgrid import Interval, Word, read_textgrid, read_words
from hearsay.errors import InputError

FORMS = ["long", "short", "chronological"]
ENCODINGS = ["utf-8", "utf-8-sig", "utf-16-le", "utf-16-be"]
Tier = tuple[str, str, list[Interval]]  # class, name, intervals; a point has equal times


def quoted(text: str) -> str:
    return '"' + text.replace('"', '""') + '"'


def write_long(tiers: list[Tier], end: float) -> str:
    lines = ['File type = "ooTextFile"', 'Object class = "TextGrid"', "", "xmin = 0 "]
    lines += [f"xmax = {end!r} ", "tiers? <exists> ", f"size = {len(tiers)} ", "item []: "]
    for place, (kind, name, intervals) in enumerate(tiers, start=1):
        lines += [f"    item [{place}]:", f'        class = "{kind}" ']
        lines += [
            f"        name = {quoted(name)} ",
            "        xmin = 0 ",
            f"        xmax = {end!r} ",
        ]
        what = "intervals" if kind == "IntervalTier" else "points"
        lines += [f"        {what}: size = {len(intervals)} "]
        for number, interval in enumerate(intervals, start=1):
            lines += [f"        {what} [{number}]:"]
            if kind == "IntervalTier":
                lines += [f"            xmin = {interval.onset!r} "]
                lines += [f"            xmax = {interval.offset!r} "]
                lines += [f"            text = {quoted(interval.text)} "]
            else:
                lines += [f"            number = {interval.onset!r} "]
                lines += [f"            mark = {quoted(interval.text)} "]
    return "\n".join(lines) + "\n"


def write_short(tiers: list[Tier], end: float) -> str:
    lines = ['File type = "ooTextFile"', 'Object class = "TextGrid"', "", "0", repr(end)]
    lines += ["<exists>", str(len(tiers))]
    for kind, name, intervals in tiers:
        lines += [f'"{kind}"', quoted(name), "0", repr(end), str(len(intervals))]
        for interval in intervals:
            lines += [repr(interval.onset)]
            lines += [repr(interval.offset)] if kind == "IntervalTier" else []
            lines += [quoted(interval.text)]
    return "\n".join(lines) + "\n"


def write_chronological(tiers: list[Tier], end: float) -> str:
    lines = ['"Praat chronological TextGrid text file"', f"0 {end!r}   ! Time domain."]
    lines += [f"{len(tiers)}   ! Number of tiers."]
    lines += [f'"{kind}" {quoted(name)} 0 {end!r}' for kind, name, _ in tiers]
    entries = [
        (interval.onset, place, kind, name, interval)
        for place, (kind, name, intervals) in enumerate(tiers, start=1)
        for interval in intervals
    ]
    for _, place, kind, name, interval in sorted(entries, key=lambda entry: entry[:2]):
        times = f"{interval.onset!r} {interval.offset!r}"
        times = times if kind == "IntervalTier" else repr(interval.onset)
        # Praat writes the tier's name as a comment, whatever is in it.
        lines += ["", f"! {' '.join(name.split())}:", f"{place} {times}", quoted(interval.text)]
    return "\n".join(lines) + "\n"


WRITERS = {"long": write_long, "short": write_short, "chronological": write_chronological}


def save(path: Path, tiers: list[Tier], form: str, encoding: str, newline: str) -> Path:
    end = max((i.offset for _, _, intervals in tiers for i in intervals), default=1.0)
    content = WRITERS[form](tiers, end).replace("\n", newline).encode(encoding)
    mark = {"utf-16-le": codecs.BOM_UTF16_LE, "utf-16-be": codecs.BOM_UTF16_BE}.get(encoding, b"")
    path.write_bytes(mark + content)
    return path


# Labels as people type them: quotes, exclamation marks, equals signs, numbers, line breaks.
labels = st.text(
    alphabet=st.sampled_from("AbΩé \"'!=<>[]{}0123.\n") | st.characters(categories=["L", "P"]),
    max_size=12,
).map(lambda text: text.replace("\r", ""))
times = st.floats(0, 1000, allow_subnormal=False).map(lambda t: round(t, 9))


def intervals() -> st.SearchStrategy[list[Interval]]:
    """Any, overlapping ones included, in the order of their starts (as every form keeps them)."""
    one = st.builds(lambda text, a, b: Interval(text, min(a, b), max(a, b)), labels, times, times)
    return st.lists(one, max_size=6).map(lambda many: sorted(many, key=lambda i: i.onset))


points = st.lists(st.builds(lambda text, t: Interval(text, t, t), labels, times), max_size=3)


@settings(
    max_examples=40, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture]
)
@given(phones=intervals(), words=intervals(), marks=points, name=st.sampled_from(["word", "Words"]))
def test_every_form_gives_the_same_intervals_and_words(tmp_path, phones, words, marks, name):
    tiers: list[Tier] = [
        ("IntervalTier", "phone", phones),
        ("TextTier", 'bell "1"', marks),
        ("IntervalTier", name, words),
    ]
    read = []
    for form in FORMS:
        for encoding in ENCODINGS:
            for newline in ("\n", "\r\n"):
                path = save(tmp_path / "a.TextGrid", tiers, form, encoding, newline)
                got = read_textgrid(path)
                assert list(got) == ["phone", name]
                if newline == "\n":  # a line break inside a label follows the file's own
                    assert got == {"phone": phones, name: words}
                read.append(read_words(path))
    assert all(words == read[0] for words in read)
    assert len(read) == len(FORMS) * len(ENCODINGS) * 2
    assert [w.onset for w in read[0]] == sorted(w.onset for w in read[0])


@pytest.mark.parametrize("form", FORMS)
def test_words_are_lower_case_without_markers_and_in_order(tmp_path, form):
    labels = ["{NS}", "sp", "", " ", "SENTENCE_START", "{BR}", "lg", "{ls}", "CG", "sl"]
    labels += ["{SENTENCE_END}", " {SP} ", "I'M", "Spring", "SOUTH  ISLAND", "nse"]
    many = [Interval(label, float(k), k + 1.5) for k, label in enumerate(labels)]
    many.insert(0, Interval("LAST", 99.0, 100.0))  # out of order in the file
    path = save(tmp_path / "a.TextGrid", [("IntervalTier", "word", many)], form, "utf-8", "\n")
    assert read_words(path) == [
        Word("i'm", 12.0, 13.5),
        Word("spring", 13.0, 14.5),
        Word("south island", 14.0, 15.5),
        Word("nse", 15.0, 16.5),
        Word("last", 99.0, 100.0),
    ]


def test_a_file_as_praat_writes_it(tmp_path):
    path = tmp_path / "a.TextGrid"
    path.write_text(
        '"Praat chronological TextGrid text file"\n'
        "0.0124716553288 2.3   ! Time domain.\n"
        "3   ! Number of tiers.\n"
        '"IntervalTier" "phone" 0.0124716553288 2.3\n'
        '"IntervalTier" "word" 0.0124716553288 2.3\n'
        '"TextTier" "bell" 0.0124716553288 2.3\n\n'
        "! phone:\n1 0.0124716553288 1\n"
        '"DH"\n\n! word:\n2 0.0124716553288 1\n"THE"\n\n! bell:\n3 0.5\n"ding"\n\n'
        '! word:\n2 1 2.3\n"""DOG"""\n'
    )
    assert read_words(path) == [Word("the", 0.0124716553288, 1.0), Word('"dog"', 1.0, 2.3)]


def test_tiers_without_names_are_taken_by_place(tmp_path):
    first, second = [Interval("DH", 0, 1)], [Interval("THE", 0, 1)]
    tiers: list[Tier] = [("IntervalTier", "", first), ("IntervalTier", "", second)]
    path = save(tmp_path / "a.TextGrid", tiers, "long", "utf-8", "\n")
    assert read_words(path) == [Word("the", 0, 1)]
    assert read_textgrid(path) == {"": first, "(2)": second}
    tiers = [("IntervalTier", "a", first), ("IntervalTier", "", second)]
    with pytest.raises(InputError, match="no interval tier 'word'"):
        read_words(save(path, tiers, "long", "utf-8", "\n"))


def test_another_tier_can_be_named(tmp_path):
    path = save(
        tmp_path / "a.TextGrid",
        [("IntervalTier", "Phone", [Interval("DH", 0, 1)]), ("IntervalTier", "word", [])],
        "short",
        "utf-8",
        "\n",
    )
    assert read_words(path, tier="phone") == [Word("dh", 0, 1)]
    assert read_words(path) == []


def test_a_file_in_an_old_encoding_is_read(tmp_path):
    path = tmp_path / "a.TextGrid"
    tiers: list[Tier] = [("IntervalTier", "word", [Interval("CAFÉ", 0, 1)])]
    save(path, tiers, "long", "latin-1", "\r\n")
    assert read_words(path) == [Word("café", 0, 1)]


def test_no_word_tier_lists_the_tiers(tmp_path):
    tiers: list[Tier] = [
        ("IntervalTier", "phone", []),
        ("TextTier", "word", []),
        ("IntervalTier", "syllable", []),
    ]
    path = save(tmp_path / "a.TextGrid", tiers, "long", "utf-8", "\n")
    with pytest.raises(InputError, match=r"a\.TextGrid: no interval tier 'word'.*'phone', 'syll"):
        read_words(path)


@pytest.mark.parametrize("form", FORMS)
def test_a_file_that_breaks_off_names_its_line(tmp_path, form):
    tiers: list[Tier] = [("IntervalTier", "word", [Interval("THE", 0, 1), Interval("DOG", 1, 2)])]
    path = save(tmp_path / "a.TextGrid", tiers, form, "utf-8", "\n")
    whole = path.read_text()
    for end, what in [(whole.index('"DOG"'), "ends where"), (whole.index('OG"'), "closing quote")]:
        path.write_text(whole[:end])
        line = whole[:end].count("\n") + 1
        with pytest.raises(InputError, match=rf"a\.TextGrid: line {line}: .*{what}"):
            read_words(path)


def test_a_label_in_the_place_of_a_time_names_its_line(tmp_path):
    tiers: list[Tier] = [("IntervalTier", "word", [Interval("THE", 0, 1)])]
    path = save(tmp_path / "a.TextGrid", tiers, "short", "utf-8", "\n")
    path.write_text(
        path.read_text().replace('\n"THE"', '\n"THE"\n"THE"').replace("\n1\n0", "\n2\n0")
    )
    with pytest.raises(InputError, match=r'line 16: "THE" where an interval\'s start should come'):
        read_words(path)


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (b"some words\n", "line 1: not a Praat TextGrid"),
        (b'<?xml version="1.0"?>', "line 1: not a Praat TextGrid"),
        (b"ooBinaryFile\x08TextGrid", "binary TextGrid; save it as a text file"),
        (b'File type = "ooTextFile"\nObject class = "Sound 2"\n', "line 2: Praat's 'Sound 2'"),
        (b"", "an empty file"),
        (b"/annex/objects/MD5E-s5--d41d.TextGrid\n", r"\(MD5E-s5--d41d.TextGrid\) is not fetched"),
    ],
)
def test_what_is_no_textgrid_is_refused(tmp_path, content, message):
    path = tmp_path / "a.TextGrid"
    path.write_bytes(content)
    with pytest.raises(InputError, match=rf"a\.TextGrid: .*{message}"):
        read_words(path)


def test_a_link_to_unfetched_content_names_key_and_remedy(tmp_path):
    path = tmp_path / "a.TextGrid"
    path.symlink_to("../.git/annex/objects/aa/bb/MD5E-s5--d41d/MD5E-s5--d41d")
    with pytest.raises(InputError, match=rf"\(MD5E-s5--d41d\).*`datalad get {path}`"):
        read_words(path)
    path.unlink()
    path.symlink_to("elsewhere")
    with pytest.raises(InputError, match="a link to elsewhere"):
        read_words(path)
    path.unlink()
    with pytest.raises(InputError, match="no such file"):
        read_words(path)
