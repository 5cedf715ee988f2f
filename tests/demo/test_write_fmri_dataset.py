"""The demo's dataset, asked through git-annex, h5py and nibabel as any user would."""

import json
import subprocess
from itertools import combinations, pairwise
from pathlib import Path

import h5py
import nibabel
import numpy as np
import pytest
from scipy.signal import savgol_filter

from hearsay.corpora.textgrid import read_textgrid, read_words
from hearsay.demo.annexed import MARKER, annex_environment, remove_dataset
from hearsay.demo.sentences import story
from hearsay.demo.write_fmri_dataset import TEST_STORY, main, make_grid, story_lengths
from hearsay.errors import InputError

OPTIONS = {
    "stories": 5,
    "seconds": 160,
    "test_seconds": 200,
    "subjects": {"SIM01": 4.0, "SIM03": 0.0},
    "voxels": 120,
    "repeats": 3,
    "seed": 0,
}
RAW = "afterthestorm"


def write(parent: Path, **changes: object) -> Path:
    folder = parent / "demo"
    main(folder, json.dumps(OPTIONS | changes), parent / "demo.run.json")
    return folder


def git(folder: Path, *words: str) -> str:
    done = subprocess.run(
        ["git", *words], cwd=folder, env=annex_environment(), capture_output=True, text=True
    )
    assert done.returncode == 0, done.stderr
    return done.stdout


@pytest.fixture(scope="module")
def dataset(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return write(tmp_path_factory.mktemp("dataset"))


def responses(dataset: Path, subject: str, name: str, key: str = "data") -> np.ndarray:
    path = dataset / "derivative/preprocessed_data" / subject / f"{name}.hf5"
    with h5py.File(path, "r") as file:
        assert file[key].dtype == np.float64
        assert file[key].chunks is None
        return file[key][()]


def auditory(dataset: Path, subject: str = "SIM01") -> list[int]:
    return json.loads((dataset / f"derivative/rois/{subject}.json").read_text())["AC"]


def test_layout(dataset: Path) -> None:
    annexed = set(git(dataset, "annex", "find", "--anything").split())
    in_git = set(git(dataset, "ls-files").split()) - annexed
    names = sorted(story_lengths(OPTIONS))
    assert len(names) == 6
    mask = "transforms/{0}_auto/mask_thick.nii.gz"
    assert annexed == {
        *(f"derivative/TextGrids/{name}.TextGrid" for name in names),
        *(f"derivative/preprocessed_data/{s}/{n}.hf5" for s in OPTIONS["subjects"] for n in names),
        *(f"derivative/pycortex-db/{s}/{mask.format(s)}" for s in OPTIONS["subjects"]),
        f"sub-SIM01/ses-1/func/sub-SIM01_ses-1_task-{RAW}_bold.nii.gz",
    }
    assert {
        ".datalad/config",
        "README",
        "CHANGES",
        "dataset_description.json",
        "participants.tsv",
        "derivative/respdict.json",
        "derivative/rois/SIM03.json",
        *(f"task-{name}_bold.json" for name in names),
    } <= in_git
    assert json.loads((dataset / f"task-{RAW}_bold.json").read_text())["RepetitionTime"] == 2
    keys = git(dataset, "annex", "find", "--format=${key}\n").split()
    assert all(key.startswith("MD5E-s") for key in keys)
    assert "1 copy" in git(dataset, "annex", "whereis", f"derivative/TextGrids/{RAW}.TextGrid")
    assert git(dataset, "annex", "fsck", "--quiet") == ""
    assert git(dataset, "tag").split() == ["1.0.0"]
    assert git(dataset, "status", "--porcelain") == ""
    assert not git(dataset, "ls-files", "-s", "derivative/TextGrids").startswith("100644")


def test_clone_can_get_its_content(dataset: Path, tmp_path: Path) -> None:
    clone = tmp_path / "clone"
    git(tmp_path, "clone", "--quiet", "--branch", "1.0.0", str(dataset), str(clone))
    file = clone / f"derivative/TextGrids/{RAW}.TextGrid"
    assert not file.exists()
    git(clone, "annex", "get", "--quiet", str(file))
    assert len(read_words(file)) > 200
    remove_dataset(clone)
    assert not clone.exists()


def test_same_seed_same_keys(dataset: Path, tmp_path: Path) -> None:
    again = write(tmp_path)
    logs = git(again, "rev-parse", "git-annex")
    commit = git(again, "rev-parse", "1.0.0")
    assert commit == git(dataset, "rev-parse", "1.0.0")
    listing = ("annex", "find", "--format=${file} ${key}\n")
    assert git(again, *listing) == git(dataset, *listing)
    described = git(again, "show", "git-annex:uuid.log")
    assert "origin of demo" in described
    assert str(tmp_path) not in described

    (tmp_path / "demo/README").write_text("changed by hand")
    write(tmp_path)  # replaces its own
    assert git(again, "rev-parse", "HEAD") == commit.strip() + "\n"
    assert git(again, "rev-parse", "git-annex") == logs
    assert git(again, "status", "--porcelain") == ""

    other = write(tmp_path, seed=1)
    assert git(other, "rev-parse", "HEAD") != commit
    assert json.loads((tmp_path / "demo.run.json").read_text())["id"] == (
        (other / MARKER).read_text().strip()
    )
    assert sorted(path.name for path in tmp_path.iterdir()) == ["demo", "demo.run.json"]
    remove_dataset(other)


def test_never_replaces_what_it_did_not_write(tmp_path: Path) -> None:
    kept = tmp_path / "demo/mine"
    kept.parent.mkdir()
    kept.write_text("precious")
    with pytest.raises(InputError, match="did not write"):
        write(tmp_path)
    assert kept.read_text() == "precious"


def test_textgrids(dataset: Path) -> None:
    starts, ends, marks = set(), set(), set()
    for name, seconds in story_lengths(OPTIONS).items():
        file = dataset / f"derivative/TextGrids/{name}.TextGrid"
        content = file.read_bytes()
        marks.add(content.startswith(b"\xef\xbb\xbf"))
        text = content.decode("utf-8-sig")
        ends.add("\r\n" in text)
        named = "xmin = " in text
        starts.add("chronological" if "chronological" in text else "long" if named else "short")
        words = story(f"0 {name}", seconds)
        assert read_words(file) == words
        tiers = read_textgrid(file)
        assert list(tiers) == ["phone", "word"]
        labels = {interval.text for interval in tiers["word"]}
        assert {"sp", "{NS}", ""} <= labels
        assert all(label == label.upper() for label in labels - {"sp"})
        for tier in tiers.values():
            assert tier[-1].offset == seconds
        word_tier = tiers["word"]
        assert all(a.offset == b.onset for a, b in pairwise(word_tier))
        phones = tiers["phone"]
        overlaps = any(a.offset > b.onset for a, b in pairwise(phones))
        assert overlaps == (name == TEST_STORY)
    assert starts == {"long", "short", "chronological"}
    assert ends == marks == {True, False}


def test_rows(dataset: Path) -> None:
    volumes = json.loads((dataset / "derivative/respdict.json").read_text())
    lengths = story_lengths(OPTIONS)
    assert volumes == {name: seconds / 2 + 10 for name, seconds in lengths.items()}
    for subject in OPTIONS["subjects"]:
        for name in lengths:
            assert responses(dataset, subject, name).shape == (volumes[name] - 20, 120)
        each = responses(dataset, subject, TEST_STORY, "individual_repeats")
        assert each.shape == (3, volumes[TEST_STORY] - 20, 120)
        assert np.array_equal(each.mean(axis=0), responses(dataset, subject, TEST_STORY))


def test_mask_and_region(dataset: Path) -> None:
    path = dataset / "derivative/pycortex-db/SIM01/transforms/SIM01_auto/mask_thick.nii.gz"
    mask = np.asanyarray(nibabel.load(path).dataobj)
    assert mask.shape == (12, 12, 10)
    assert set(np.unique(mask)) == {0, 1}
    assert mask.sum() == 120
    region = auditory(dataset)
    assert len(region) == len(set(region)) == 30
    assert 0 <= min(region) < max(region) < 120
    # On both sides of the head, none in the middle.
    x = np.argwhere(mask.T)[region][:, 2]
    assert {*(x < 6)} == {True, False}
    assert not {5, 6} & set(x)


def test_default_size() -> None:
    grid = make_grid(600)
    assert grid.mask.sum() == 600
    assert len(grid.auditory) == 80
    with pytest.raises(InputError, match="voxels: 2000"):
        make_grid(2000)


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"stories": 99}, "stories: 99"),
        ({"seconds": 61}, "seconds: 61"),
        ({"test_seconds": 20}, "test_seconds: 20"),
    ],
)
def test_settings_that_cannot_be(changes: dict[str, int], message: str) -> None:
    with pytest.raises(InputError, match=message):
        story_lengths(OPTIONS | changes)


def test_signal_to_noise(dataset: Path) -> None:
    """Two repeats correlate by snr / (1 + snr) in the region, and by nothing elsewhere."""
    for subject, expected in (("SIM01", 0.8), ("SIM03", 0.0)):
        repeats = responses(dataset, subject, TEST_STORY, "individual_repeats")
        shared = np.mean([(a * b).mean(axis=0) for a, b in combinations(repeats, 2)], axis=0)
        inside = np.zeros(120, dtype=bool)
        inside[auditory(dataset, subject)] = True
        assert shared[inside].mean() == pytest.approx(expected, abs=0.08)
        assert shared[~inside].mean() == pytest.approx(0, abs=0.04)


def test_word_rate_comes_back_two_to_three_rows_later(dataset: Path) -> None:
    lags = range(-2, 8)
    found = np.zeros(len(lags))
    for name, seconds in story_lengths(OPTIONS).items():
        bold = responses(dataset, "SIM01", name)[:, auditory(dataset)].mean(axis=1)
        rows = len(bold)
        onsets = np.array([word.onset for word in story(f"0 {name}", seconds)])
        counts = np.histogram(onsets, bins=10 + 2 * np.arange(rows + 1))[0]
        centred = (counts - counts.mean()) / counts.std()
        for k, lag in enumerate(lags):
            a, b = max(lag, 0), min(rows, rows + lag)
            found[k] += np.mean(bold[a:b] * centred[a - lag : b - lag])
    assert lags[int(found.argmax())] in (2, 3)
    assert found.max() > 2 * max(found[0], found[-1])


def test_raw_run_becomes_the_responses(dataset: Path) -> None:
    """Masked, detrended, trimmed and z-scored, the raw run is the story's response matrix."""
    stem = dataset / f"sub-SIM01/ses-1/func/sub-SIM01_ses-1_task-{RAW}_bold"
    assert json.loads(stem.with_suffix(".json").read_text())["RepetitionTime"] == 2
    image = nibabel.load(f"{stem}.nii.gz")
    assert image.get_data_dtype() == np.int16
    assert image.shape == (12, 12, 10, 90)
    assert image.header.get_zooms()[3] == 2
    mask = make_grid(120).mask
    run = np.asanyarray(image.dataobj).T[:, mask.T > 0].astype(float)
    flat = (run - savgol_filter(run, 61, 2, axis=0))[10:-10]
    scored = (flat - flat.mean(axis=0)) / flat.std(axis=0)
    expected = responses(dataset, "SIM01", RAW)
    r = (scored * expected).mean(axis=0)
    region = auditory(dataset)
    assert r[region].mean() > 0.85
    assert r.mean() > 0.85
    # Columns are in their places: a voxel's neighbour in the list is another voxel.
    assert (scored * np.roll(expected, 1, axis=1)).mean(axis=0)[region].mean() < 0.6
    # Undetrended it is another thing: there is a drift to remove.
    raw = run[10:-10]
    undone = ((raw - raw.mean(axis=0)) / raw.std(axis=0) * expected).mean(axis=0)
    assert undone[region].mean() < r[region].mean() - 0.1
