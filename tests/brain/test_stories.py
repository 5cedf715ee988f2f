"""Prepared stories: split, file, alignment, and that the test story decides nothing."""

import json
import shutil

import h5py
import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from safetensors.numpy import save_file
from tokenizers import Tokenizer, models, pre_tokenizers

from hearsay.brain import prepare_stories
from hearsay.brain.stories import (
    Stories,
    Story,
    digest_of,
    read_stories,
    split_stories,
    write_stories,
)
from hearsay.brain.windows import words_in_rows
from hearsay.corpora.textgrid import Word
from hearsay.errors import InputError

NAMES = ["alder", "birch", "cedar", "elm", "fir", "oak"]
TEST = "harbour"
VOXELS = 40
PLANTED = [4, 11, 30]
VOCABULARY = ["<unk>", "sea", "wind", "boat", "rain"]


# --- split --------------------------------------------------------------------------------------


@given(
    st.lists(st.text("abcd", min_size=1, max_size=5), unique=True, min_size=5, max_size=12),
    st.integers(0, 3),
    st.randoms(),
)
def test_split_is_of_whole_stories_and_independent_of_order(names, validation, random):
    test = names[0]
    split = split_stories(names, test, validation)
    assert set(split) == set(names)
    assert split[test] == "test"
    assert sorted(split.values()).count("validation") == validation
    assert list(split.values()).count("test") == 1
    random.shuffle(names)
    assert split_stories(names, test, validation) == split
    # What is chosen does not depend on which story is the test story, but for that one.
    chosen = {name for name in names if split[name] == "validation"}
    assert split_stories(names, test, sorted(chosen)) == split


@pytest.mark.parametrize(
    ("test", "validation", "match"),
    [
        ("moth", 1, "no story 'moth'; there are alder, .*oak"),
        (TEST, ["elm", TEST], "'harbour' is the test story.*alder"),
        (TEST, ["moth"], "validation: no story 'moth'; there are alder"),
        (TEST, 6, "leave none to train on"),
        (TEST, 60, "60 of the 6 stories"),
        (TEST, NAMES, "leave none to train on"),
        (TEST, -1, "give 0 or more"),
    ],
)
def test_bad_split(test, validation, match):
    with pytest.raises(InputError, match=match):
        split_stories([*NAMES, TEST], test, validation)


# --- file ---------------------------------------------------------------------------------------


def small(**changes):
    rng = np.random.default_rng(0)
    voxels = np.array([2, 5, 7])
    stories = {}
    for k, (name, split) in enumerate({"b": "train", "a": "train", "c": "test"}.items()):
        x = rng.normal(size=(6 + k, 3)).astype(np.float32)
        words = [Word("café", 0.25, 0.5), Word("it's", 11.0, 11.5)][: 2 - k]
        repeats = np.stack([x, -x]) if split == "test" else None
        stories[name] = Story(name, split, x, words, repeats)
    made = Stories("S", "ds", "3.1.0", voxels, digest_of(voxels), "all", stories, 9)
    return made


def test_what_is_written_is_read(tmp_path):
    made = small()
    write_stories(tmp_path / "w.h5", made)
    read = read_stories(tmp_path / "w.h5")
    for name in ("subject", "dataset", "version", "voxel_digest", "voxel_method", "columns"):
        assert getattr(read, name) == getattr(made, name)
    np.testing.assert_array_equal(read.voxels, made.voxels)
    assert [s.name for s in read.of("train")] == ["a", "b"]
    assert read.of("validation") == []
    for name, story in made.stories.items():
        assert read.stories[name].words == story.words
        assert read.stories[name].split == story.split
        assert read.stories[name].responses.dtype == np.float32
        np.testing.assert_array_equal(read.stories[name].responses, story.responses)
    np.testing.assert_array_equal(read.stories["c"].repeats, made.stories["c"].repeats)
    assert set(read_stories(tmp_path / "w.h5", ("train",)).stories) == {"a", "b"}
    with pytest.raises(ValueError, match="no split"):
        read.of("tset")
    first = (tmp_path / "w.h5").read_bytes()
    write_stories(tmp_path / "w.h5", made)
    assert (tmp_path / "w.h5").read_bytes() == first


def test_files_that_are_no_stories(tmp_path):
    path = tmp_path / "w.h5"
    with pytest.raises(InputError, match="prepare_stories"):
        read_stories(path)
    write_stories(path, small())
    whole = path.read_bytes()
    path.write_bytes(whole[: len(whole) // 2])
    with pytest.raises(InputError, match=r"w\.h5: damaged"):
        read_stories(path)
    path.write_bytes(whole)
    with h5py.File(path, "a") as file:
        file["voxels"][0] = 3
    with pytest.raises(InputError, match="disagree with voxel_digest"):
        read_stories(path)
    with h5py.File(path, "a") as file:
        file.attrs["format"] = "hearsay stories 0"
    with pytest.raises(InputError, match="'hearsay stories 0', not 'hearsay stories 1'"):
        read_stories(path)


def test_what_does_not_fit_is_not_written(tmp_path):
    made = small()
    made.stories["a"] = Story("a", "train", np.zeros((4, 2), "f4"), [])
    with pytest.raises(ValueError, match="3 voxels"):
        write_stories(tmp_path / "w.h5", made)
    assert not list(tmp_path.iterdir())


# --- the step -----------------------------------------------------------------------------------


def textgrid(words, end):
    """A TextGrid in the short form, with silences between the words."""
    intervals, time = [], 0.0
    for word in words:
        if word.onset > time:
            intervals.append((time, word.onset, "sp"))
        intervals.append((word.onset, word.offset, word.text.upper()))
        time = word.offset
    intervals.append((time, end, "{NS}"))
    lines = ['File type = "ooTextFile"', 'Object class = "TextGrid"', "", "0", f"{end}"]
    lines += ["<exists>", "1", '"IntervalTier"', '"word"', "0", f"{end}", str(len(intervals))]
    for onset, offset, text in intervals:
        lines += [repr(onset), repr(offset), f'"{text}"']
    return "\n".join(lines) + "\n"


class Subject:
    """A small clone of one subject: voxels `PLANTED` follow the words, the others are noise."""

    def __init__(self, folder):
        self.folder = folder
        folder.mkdir()
        self.lines = ["kind\tstory\tpath\tkey\tbytes", "respdict\t\trespdict.json\tk\t1"]
        self.trs = {}
        for k, name in enumerate([*NAMES, TEST]):
            self.add(name, k, rows=50 + k)
        self.encoder = folder / "encoder"
        self.encoder.mkdir()
        rng = np.random.default_rng(9)
        table = rng.normal(size=(len(VOCABULARY), 4)).astype(np.float32)
        save_file({"embeddings.word_embeddings.weight": table}, self.encoder / "model.safetensors")
        tokenizer = Tokenizer(
            models.WordLevel({w: k for k, w in enumerate(VOCABULARY)}, unk_token="<unk>")
        )
        tokenizer.pre_tokenizer = pre_tokenizers.Whitespace()
        tokenizer.save(str(self.encoder / "tokenizer.json"))

    def responses(self, name):
        return self.folder / f"{name}.hf5"

    def add(self, name, seed, rows):
        rng = np.random.default_rng(seed)
        texts = rng.choice(VOCABULARY[1:], rows + 5)
        words = [Word(str(t), 2.0 * k + 0.5, 2.0 * k + 1.5) for k, t in enumerate(texts)]
        data = rng.normal(size=(rows, VOXELS)) * 3 + 1
        # Row j holds 10 + 2j s; word k begins at 2k + 0.5 s, so row j's own word is k = j + 5.
        for voxel, word in zip(PLANTED, VOCABULARY[1:], strict=False):
            data[:, voxel] += 12 * (texts[5 - 2 : 5 - 2 + rows] == word)
        (self.folder / f"{name}.TextGrid").write_text(textgrid(words, 2.0 * rows + 30))
        self.write(name, data, repeats=3 if name == TEST else 0)
        self.trs[name] = rows + 20
        self.lines += [f"responses\t{name}\t{name}.hf5\tk\t1"]
        self.lines += [f"textgrid\t{name}\t{name}.TextGrid\tk\t1"]

    def write(self, name, data, repeats=0):
        with h5py.File(self.responses(name), "w") as file:
            file["data"] = data
            if repeats:
                rng = np.random.default_rng(1)
                file["individual_repeats"] = data + rng.normal(size=(repeats, *data.shape))

    def prepare(self, out="windows.h5", raw=(), encoder=True, voxels=None, **options):
        (self.folder / "present.tsv").write_text("\n".join(self.lines) + "\n")
        (self.folder / "respdict.json").write_text(json.dumps(self.trs))
        settings = {"dataset": "ds", "version": "3.1.0", "stories": None, "test_story": TEST}
        settings |= {"validation": 1, **options}
        settings["voxels"] = {"method": "all", "file": None, "roi": None, "count": 3}
        settings["voxels"] |= voxels or {}
        prepare_stories.main(
            subject="S",
            clone=self.folder,
            present=self.folder / "present.tsv",
            raw=list(raw),
            encoder=self.encoder if encoder else None,
            settings=json.dumps(settings),
            out=self.folder / out,
            record=self.folder / "record.json",
        )
        return read_stories(self.folder / out)

    @property
    def record(self):
        return json.loads((self.folder / "record.json").read_text())

    def refused(self, *matches, **options):
        with pytest.raises(InputError) as caught:
            self.prepare("refused.h5", **options)
        message = str(caught.value)
        assert "\n" not in message
        for text in matches:
            assert text in message
        assert not (self.folder / "refused.h5").exists()


@pytest.fixture
def subject(tmp_path):
    return Subject(tmp_path / "S")


def test_rows_and_words_are_aligned(subject):
    """A word every 2 s named by its time, and responses that are the time of their row."""
    for name in [*NAMES, TEST]:
        rows = subject.trs[name] - 20
        words = [Word(f"t{k}", float(k), k + 0.9) for k in range(0, 2 * rows + 30, 2)]
        (subject.folder / f"{name}.TextGrid").write_text(textgrid(words, 2.0 * rows + 30))
        subject.write(name, np.repeat(10.0 + 2 * np.arange(rows)[:, None], VOXELS, axis=1))
    stories = subject.prepare()
    for name, story in stories.stories.items():
        rows = subject.trs[name] - 20
        assert story.responses.shape == (rows, VOXELS)
        time = 10.0 + 2 * np.arange(rows)
        scaled = (time - time.mean()) / time.std()
        np.testing.assert_allclose(story.responses[:, 0], scaled, atol=1e-6)
        for row, texts in enumerate(words_in_rows(story.words, rows)):
            assert texts == (f"t{10 + 2 * row}",)


def test_every_story_is_there_once_scaled_and_in_its_split(subject):
    stories = subject.prepare()
    assert sorted(stories.stories) == sorted([*NAMES, TEST])
    assert [s.name for s in stories.of("test")] == [TEST]
    assert len(stories.of("validation")) == 1
    assert stories.voxel_method == f"all {VOXELS}"
    assert stories.columns == VOXELS
    for story in stories.stories.values():
        np.testing.assert_allclose(story.responses.mean(axis=0), 0, atol=1e-5)
        np.testing.assert_allclose(story.responses.std(axis=0), 1, atol=1e-5)
        assert {word.text for word in story.words} == set(VOCABULARY[1:])
    test = stories.stories[TEST]
    assert test.repeats.shape == (3, *test.responses.shape)
    np.testing.assert_allclose(test.repeats.std(axis=1), 1, atol=1e-5)
    with h5py.File(subject.responses(TEST)) as file:
        second = file["individual_repeats"][1]
    expected = (second - second.mean(axis=0)) / second.std(axis=0)
    np.testing.assert_allclose(test.repeats[1], expected, atol=1e-5)
    assert all(s.repeats is None for s in stories.of("train"))
    assert subject.record["stories"][TEST]["repeats"] == 3


def test_planted_voxels_are_selected(subject):
    stories = subject.prepare(voxels={"method": "select"})
    assert stories.voxels.tolist() == PLANTED
    assert stories.voxel_method == f"select: 3 of {VOXELS} by an encoding model"
    facts = subject.record["voxels"]
    assert facts["digest"] == stories.voxel_digest == digest_of(stories.voxels)
    assert facts["correlation_least"] > 0.5
    everything = subject.prepare()
    for name, story in stories.stories.items():
        whole = everything.stories[name].responses[:, PLANTED]
        np.testing.assert_array_equal(story.responses, whole)


def test_the_test_and_validation_stories_decide_nothing(subject, tmp_path):
    before = subject.prepare(voxels={"method": "select", "count": 8})
    other = tmp_path / "other"
    shutil.copytree(subject.folder, other)
    changed = Subject.__new__(Subject)
    changed.__dict__ = {**subject.__dict__, "folder": other, "encoder": other / "encoder"}
    changed.trs, changed.lines = dict(subject.trs), list(subject.lines)
    held = [TEST, before.of("validation")[0].name]
    for name in held:
        rows = subject.trs[name] + 7
        data = np.random.default_rng(77).normal(size=(rows, VOXELS))
        data[:, 20:25] += 50 * np.sin(np.arange(rows))[:, None]
        changed.write(name, data)
        changed.trs[name] = rows + 20
        words = [Word("boat", 3.0 * k, 3.0 * k + 2) for k in range(40)]
        (other / f"{name}.TextGrid").write_text(textgrid(words, 200.0))
    after = changed.prepare(voxels={"method": "select", "count": 8})
    np.testing.assert_array_equal(before.voxels, after.voxels)
    assert before.voxel_digest == after.voxel_digest
    trained = [s.name for s in before.of("train")]
    assert [s.name for s in after.of("train")] == trained
    assert not set(trained) & set(held)
    for one, two in zip(before.of("train"), after.of("train"), strict=True):
        assert one.responses.tobytes() == two.responses.tobytes()
        assert one.words == two.words
    assert before.stories[TEST].words != after.stories[TEST].words
    # And a change of a training story does show.
    name = trained[0]
    with h5py.File(changed.responses(name), "a") as file:
        file["data"][:, PLANTED[0]] = file["data"][:, 1]
    third = changed.prepare(voxels={"method": "select", "count": 8})
    assert not np.array_equal(third.stories[name].responses, after.stories[name].responses)


def test_responses_are_not_read_before_the_voxels_are_fixed(subject, monkeypatch):
    order = []
    fixed = prepare_stories.choose_voxels
    one = prepare_stories.read_responses
    two = prepare_stories.read_and_count

    def note(result, text):
        order.append(text)
        return result

    monkeypatch.setattr(
        prepare_stories, "choose_voxels", lambda *a: note(fixed(*a), "voxels are fixed")
    )
    monkeypatch.setattr(
        prepare_stories, "read_responses", lambda p, *a, **k: note(one(p, *a, **k), p.stem)
    )
    monkeypatch.setattr(
        prepare_stories, "read_and_count", lambda p, *a, **k: note(two(p, *a, **k), p.stem)
    )
    stories = subject.prepare(voxels={"method": "select"})
    at = order.index("voxels are fixed")
    assert order[:at] == [s.name for s in stories.of("train")]
    assert set(order[at:]) >= {TEST, stories.of("validation")[0].name}
    assert order[-4:] == [TEST] * 4


def test_voxels_by_number_and_by_mask(subject):
    rois = subject.folder / "rois_S.json"
    rois.write_text('{"AC": [30, 4], "speech": [1]}')
    named = {"method": "indices", "file": str(rois).replace("rois_S", "rois_{subject}")}
    stories = subject.prepare(encoder=False, voxels={**named, "roi": "AC"})
    assert stories.voxels.tolist() == [4, 30]
    assert stories.voxel_method == "indices: rois_S.json [AC]"
    subject.refused("no ROI 'V1'; there are AC, speech", voxels={**named, "roi": "V1"})
    subject.refused("no such file of voxels", voxels={**named, "file": "none.json"})
    subject.refused("voxels.file", voxels={"method": "indices"})

    nibabel = pytest.importorskip("nibabel")
    volume = np.zeros((4, 5, 2), np.uint8)
    nibabel.save(nibabel.Nifti1Image(volume + 1, np.eye(4)), subject.folder / "thick.nii.gz")
    volume[1, 2, 1] = 1  # z, y, x = 1, 2, 1 of 2, 5, 4: column 20 + 8 + 1
    nibabel.save(nibabel.Nifti1Image(volume, np.eye(4)), subject.folder / "roi.nii.gz")
    masked = {"method": "mask", "file": str(subject.folder / "roi.nii.gz")}
    subject.refused("0 files of kind 'mask'", voxels=masked)
    subject.lines.append("mask\t\tthick.nii.gz\tk\t1")
    assert subject.prepare(voxels=masked).voxels.tolist() == [29]


def test_nan_is_replaced_and_counted(subject):
    with h5py.File(subject.responses("elm"), "a") as file:
        file["data"][:, 3] = np.nan
        file["data"][2, 4] = np.nan
        file["data"][:, 5] = 7.0
        rows = len(file["data"])
    stories = subject.prepare()
    x = stories.stories["elm"].responses
    assert np.isfinite(x).all()
    assert not x[:, [3, 5]].any()
    facts = subject.record["stories"]["elm"]
    assert facts["not_finite_values"] == rows + 1
    assert facts["not_finite_voxels"] == 1
    assert facts["constant_voxels"] == 2
    assert subject.record["stories"]["oak"]["not_finite_values"] == 0


def test_responses_made_from_raw_runs_go_first(subject, tmp_path):
    raw = tmp_path / "raw" / "elm.hf5"
    raw.parent.mkdir()
    shutil.copy(subject.responses("elm"), raw)
    with h5py.File(raw, "a") as file:
        file["data"][...] = -file["data"][...]
    plain, turned = subject.prepare(), subject.prepare(raw=[raw])
    np.testing.assert_allclose(
        turned.stories["elm"].responses, -plain.stories["elm"].responses, atol=1e-6
    )
    subject.responses("elm").unlink()
    subject.lines = [line for line in subject.lines if "elm.hf5" not in line]
    assert "elm" in subject.prepare(raw=[raw]).stories
    assert "elm" not in subject.prepare().stories


def test_named_stories_only(subject):
    stories = subject.prepare(stories=["oak", "elm", TEST], validation=["oak"])
    assert {s.name: s.split for s in stories.stories.values()} == {
        "elm": "train",
        "oak": "validation",
        TEST: "test",
    }
    subject.refused("S: no responses of moth; there are alder", stories=["elm", "moth"])
    subject.refused("no story 'moth'; there are", test_story="moth")
    subject.refused("is the test story", validation=[TEST])


def test_all_bad_stories_are_named_at_once(subject):
    with h5py.File(subject.responses("alder"), "a") as file:
        data = file["data"][()]
        del file["data"]
        file["data"] = data[:-1]
    whole = subject.responses("birch").read_bytes()
    subject.responses("birch").write_bytes(whole[: len(whole) // 2])
    subject.responses("cedar").write_text("/annex/objects/MD5E-s230399888--e7ec.hf5\n")
    (subject.folder / "elm.TextGrid").unlink()
    subject.lines = [line for line in subject.lines if "fir.TextGrid" not in line]
    del subject.trs["oak"]
    subject.refused(
        "S: 6 of 7 stories cannot be used",
        "alder has 49 rows, but respdict.json says 70 TRs, 50",
        "birch.hf5: no whole HDF5 file",
        "MD5E-s230399888--e7ec.hf5",
        "elm.TextGrid: no such file",
        "fir: no TextGrid",
        "no story oak",
    )


def test_repeats_of_another_length_are_refused_by_file(subject):
    with h5py.File(subject.responses(TEST), "a") as file:
        shorter = file["individual_repeats"][:, :-1]
        del file["individual_repeats"]
        file["individual_repeats"] = shorter
    rows = subject.trs[TEST] - 20
    subject.refused(f"{TEST}.hf5: individual_repeats have {rows - 1} rows, data {rows}; fetch")


def test_other_bad_input(subject):
    subject.refused(
        "no method 'best'; there are indices, mask, select, all", voxels={"method": "best"}
    )
    subject.refused("needs an encoder", voxels={"method": "select"}, encoder=False)
    subject.refused("41 voxels asked for", voxels={"method": "select", "count": 41})
    subject.refused(
        "two training stories",
        voxels={"method": "select"},
        stories=["elm", TEST],
        validation=0,
    )
    subject.write("oak", np.ones((subject.trs["oak"] - 20, 7)))
    subject.refused("differ in their number of voxels", "oak 7")
