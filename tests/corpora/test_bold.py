"""From raw BIDS runs to responses: what was planted comes back, in pycortex's order."""

import gzip
import json

import h5py
import nibabel
import numpy as np
import pytest

from hearsay.corpora import preprocess_bold
from hearsay.corpora.bold import (
    detrend,
    masked_run,
    order_of_runs,
    read_mask,
    repetition_time,
    responses_of_run,
)
from hearsay.corpora.present import read_present, read_respdict, the_one
from hearsay.errors import InputError

SHAPE = (5, 4, 3)
AFFINE = np.diag([2.6, 2.6, 2.6, 1.0])
TRS = 90
STORY = "souls"
OPTIONS = {"mask": None, "window_s": 120, "trim": 10}


def save(path, data, affine=AFFINE, tr=2.0, **header):
    path.parent.mkdir(parents=True, exist_ok=True)
    image = nibabel.Nifti1Image(data, affine)
    if data.ndim == 4:
        image.header.set_xyzt_units("mm", "sec")
        image.header.set_zooms((2.6, 2.6, 2.6, tr))
    if "slope" in header:
        image.header.set_slope_inter(header["slope"], header["inter"])
    nibabel.save(image, path)
    return path


@pytest.fixture
def mask():
    chosen = np.random.default_rng(5).random(SHAPE) < 0.6
    chosen[0, 0, 0] = False
    return chosen


class Dataset:
    """A clone with raw runs in which voxel v of row j holds a fast sine of its own phase."""

    def __init__(self, folder, mask, runs=2):
        self.folder, self.mask = folder, mask
        self.voxels = int(mask.sum())
        rng = np.random.default_rng(1)
        time = np.arange(TRS)
        phase = rng.uniform(0, 6, SHAPE)
        self.signal = np.sin(2 * np.pi * time / 7 + phase[..., None])
        self.runs = []
        for k in range(runs):
            drift = 40 * (time / TRS) ** 2 + 7 * time / TRS * k
            noise = 0.3 * rng.normal(size=(*SHAPE, TRS)) if runs > 1 else 0
            data = (1000 + drift + self.signal + noise).astype(np.float32)
            name = f"sub-S_ses-{10 - k}_task-{STORY}_run-{k + 1}_bold.nii.gz"
            self.runs.append(save(folder / f"sub-S/ses-{10 - k}/func/{name}", data))
        save(folder / "mask_thick.nii.gz", mask.astype(np.uint8))
        (folder / f"task-{STORY}_bold.json").write_text('{"RepetitionTime": 2}')
        (folder / "respdict.json").write_text(json.dumps({STORY: TRS}))
        self.list()

    def list(self):
        lines = ["kind\tstory\tpath\tkey\tbytes", "mask\t\tmask_thick.nii.gz\tK\t1"]
        lines += ["respdict\t\trespdict.json\t\t1"]
        lines += [f"raw\t{STORY}\t{run.relative_to(self.folder)}\tK\t1" for run in self.runs]
        (self.folder / "present.tsv").write_text("\n".join(lines) + "\n")

    def planted(self):
        """Rows by voxels in the order z, y, x."""
        inside = [
            self.signal[x, y, z, 10:-10]
            for z in range(SHAPE[2])
            for y in range(SHAPE[1])
            for x in range(SHAPE[0])
            if self.mask[x, y, z]
        ]
        rows = np.stack(inside, axis=1)
        return (rows - rows.mean(axis=0)) / rows.std(axis=0)

    def run(self, story=STORY, **options):
        out = self.folder / "out.hf5"
        preprocess_bold.main(
            subject="S",
            story=story,
            clone=self.folder,
            present=self.folder / "present.tsv",
            settings=json.dumps(OPTIONS | options),
            out=out,
            record=self.folder / "record.json",
        )
        with h5py.File(out) as file:
            assert file["data"].chunks is None
            return {name: file[name][()] for name in file}

    def refused(self, match, **options):
        (self.folder / "out.hf5").unlink(missing_ok=True)
        with pytest.raises(InputError, match=match) as caught:
            self.run(**options)
        assert "\n" not in str(caught.value)
        assert not (self.folder / "out.hf5").exists()


def test_planted_rows_come_back_in_pycortex_order(tmp_path, mask):
    dataset = Dataset(tmp_path, mask, runs=1)
    found = dataset.run()
    assert set(found) == {"data"}
    data = found["data"]
    assert data.dtype == np.float64
    assert data.shape == (TRS - 20, dataset.voxels)
    np.testing.assert_allclose(data.mean(axis=0), 0, atol=1e-9)
    np.testing.assert_allclose(data.std(axis=0), 1, atol=1e-9)
    planted = dataset.planted()
    agreement = (data * planted).mean(axis=0)
    assert agreement.min() > 0.99
    # Any other order of the voxels agrees less: the phases differ.
    assert (data * planted[:, ::-1]).mean(axis=0).mean() < 0.7


def test_several_runs_are_kept_in_order_and_averaged(tmp_path, mask):
    dataset = Dataset(tmp_path, mask, runs=3)
    found = dataset.run()
    repeats = found["individual_repeats"]
    assert repeats.shape == (3, TRS - 20, dataset.voxels)
    np.testing.assert_allclose(repeats.mean(axis=0), found["data"], atol=1e-12)
    np.testing.assert_allclose(repeats.std(axis=1), 1, atol=1e-9)
    # Sessions 8, 9, 10 are the third, second and first that were written.
    array, affine = read_mask(tmp_path / "mask_thick.nii.gz")
    first = masked_run(dataset.runs[2], array, affine)
    expected = responses_of_run(first, window_s=120, trim=10, tr=2.0)
    np.testing.assert_array_equal(repeats[0], expected)
    record = json.loads((tmp_path / "record.json").read_text())
    assert [name.split("_")[1] for name in record["runs"]] == ["ses-8", "ses-9", "ses-10"]


def test_run_order_is_by_number(tmp_path):
    names = ["sub-S_ses-10_task-a_run-9_bold.nii.gz", "sub-S_ses-2_task-a_run-10_bold.nii.gz"]
    names += ["sub-S_ses-2_task-a_run-2_bold.nii.gz"]
    assert sorted((tmp_path / n for n in names), key=order_of_runs) == [
        tmp_path / names[k] for k in (2, 1, 0)
    ]


@pytest.mark.parametrize("suffix", [".nii", ".nii.gz"])
def test_values_equal_nibabels_own(tmp_path, mask, suffix):
    data = np.random.default_rng(2).integers(0, 900, (*SHAPE, 8)).astype(np.int16)
    path = save(tmp_path / f"a_bold{suffix}", data, slope=0.5, inter=-3.0)
    whole = np.asarray(nibabel.load(path).dataobj).T[:, mask.T]
    assert len(np.unique(whole)) > 50
    np.testing.assert_allclose(masked_run(path, mask, AFFINE), whole, rtol=1e-6)


def test_scans_without_a_value_are_no_spikes(tmp_path, mask, capsys):
    """What resampling leaves empty in some scans: a 0 among values of 1000 would drown them."""
    dataset = Dataset(tmp_path, mask, runs=1)
    image = nibabel.load(dataset.runs[0])
    data = np.asarray(image.dataobj).copy()
    (x, y, z), gone = np.argwhere(mask)[[3, 5]]
    data[x, y, z, 40:42] = np.nan
    data[tuple(gone)] = np.nan
    save(dataset.runs[0], data)
    found, planted = dataset.run()["data"], dataset.planted()
    holes = mask & np.isnan(data).any(axis=-1)
    inside = holes.T[mask.T]
    whole = np.isnan(data).all(axis=-1).T[mask.T]
    assert (found * planted).mean(axis=0)[inside & ~whole] > 0.95
    assert not found[:, whole].any()
    assert json.loads((tmp_path / "record.json").read_text())["constant_voxels"] == 1
    assert f"{2 + TRS} values in 2 voxels are not finite" in capsys.readouterr().err


def test_slow_drift_goes_and_fast_signal_stays():
    time = np.arange(200.0)[:, None]
    parabola = 5 + 0.3 * time - 0.002 * time**2
    np.testing.assert_allclose(detrend(parabola, 120, 2.0), 0, atol=1e-8)
    fast = np.sin(time)
    inner = slice(31, -31)
    np.testing.assert_allclose(detrend(fast, 120, 2.0)[inner], fast[inner], atol=0.1)
    # 120 s are 60 TRs, hence 61: the middle row's trend does not know the 31st neighbour.
    impulse = np.zeros((200, 1))
    impulse[100] = 1.0
    touched = np.flatnonzero(np.abs(detrend(impulse, 120, 2.0)[:, 0]) > 1e-12)
    assert (touched.min(), touched.max()) == (70, 130)


def test_a_short_run_gets_a_shorter_window():
    short = np.random.default_rng(0).normal(size=(24, 3))
    assert responses_of_run(short, window_s=120, trim=10, tr=2.0).shape == (4, 3)
    with pytest.raises(ValueError, match="too few"):
        detrend(short[:2], 120, 2.0)


def test_a_constant_voxel_is_zero():
    x = np.random.default_rng(0).normal(size=(80, 3))
    x[:, 1] = 1234.567
    found = responses_of_run(x, window_s=120, trim=10, tr=2.0)
    assert not found[:, 1].any()
    np.testing.assert_allclose(found[:, [0, 2]].std(axis=0), 1)


def test_repetition_time_comes_from_the_nearest_side_file(tmp_path, mask):
    dataset = Dataset(tmp_path, mask, runs=1)
    run = dataset.runs[0]
    assert repetition_time(run, tmp_path) == 2
    (tmp_path / "task-other_bold.json").write_text('{"RepetitionTime": 9}')
    assert repetition_time(run, tmp_path) == 2
    (tmp_path / f"sub-S/sub-S_task-{STORY}_bold.json").write_text('{"RepetitionTime": 1.5}')
    assert repetition_time(run, tmp_path) == 1.5
    side = run.with_name(run.name.replace(".nii.gz", ".json"))
    side.write_text('{"RepetitionTime": 2.0045}')
    assert repetition_time(run, tmp_path) == 2.0045
    dataset.refused("repetition time of 2.0045 s, not 2;")
    assert len(dataset.run(tr=2.0045)["data"]) == TRS - 20
    side.write_text("nonsense")
    dataset.refused("not a JSON object")


def test_without_side_files_the_header_counts(tmp_path, mask):
    path = save(tmp_path / "sub-S_task-a_bold.nii.gz", np.zeros((*SHAPE, 3), "f4"), tr=1.5)
    assert repetition_time(path, tmp_path) == 1.5


def test_bad_input(tmp_path, mask):
    dataset = Dataset(tmp_path, mask, runs=2)
    dataset.refused(f"S: no raw runs of 'sou' are fetched; there are {STORY}", story="sou")
    dataset.refused("no such file", mask=str(tmp_path / "none.nii.gz"))
    save(tmp_path / "empty.nii.gz", np.zeros(SHAPE, "u1"))
    dataset.refused("the mask is empty", mask=str(tmp_path / "empty.nii.gz"))
    save(tmp_path / "other.nii.gz", np.ones((4, 4, 4), "u1"))
    dataset.refused(r"the mask has \(4, 4, 4\)", mask=str(tmp_path / "other.nii.gz"))
    moved = AFFINE.copy()
    moved[0, 3] = 5.0
    save(tmp_path / "moved.nii.gz", mask.astype("u1"), affine=moved)
    dataset.refused("affine is not the mask's", mask=str(tmp_path / "moved.nii.gz"))
    dataset.refused("too few to trim", trim=44)

    run = dataset.runs[0]
    content = run.read_bytes()
    run.write_bytes(gzip.compress(gzip.decompress(content)[:-5000]))
    dataset.refused("truncated or damaged")
    run.write_bytes(content[: len(content) // 2])
    dataset.refused("truncated or damaged")
    run.write_bytes(b"no image")
    dataset.refused("not a readable NIfTI file")
    run.unlink()
    run.symlink_to("../../../.git/annex/objects/aa/bb/MD5E-s1--0.nii.gz/MD5E-s1--0.nii.gz")
    dataset.refused("MD5E-s1--0")
    run.unlink()
    save(run, np.zeros((*SHAPE, TRS + 1), "f4"))
    dataset.refused("runs of one story must be of one length")
    dataset.runs = [run]
    dataset.list()
    dataset.refused(f"{STORY} has {TRS - 19} rows, but respdict.json says {TRS} TRs")


def test_lists_that_cannot_be_read(tmp_path):
    path = tmp_path / "present.tsv"
    with pytest.raises(InputError, match="fetch the subject first"):
        read_present(path)
    path.write_text("kind\tpath\nraw\tx\n")
    with pytest.raises(InputError, match="no column story"):
        read_present(path)
    path.write_text("kind\tstory\tpath\tkey\tbytes\nsong\t\tx\t\t1\n")
    with pytest.raises(InputError, match="unknown kind 'song'"):
        read_present(path)
    path.write_text("kind\tstory\tpath\tkey\tbytes\n")
    with pytest.raises(InputError, match="0 files of kind 'mask'"):
        the_one(read_present(path), "mask", tmp_path, path)
    for text in ("{", "[]", '{"a": "b"}'):
        path.write_text(text)
        with pytest.raises(InputError, match="clone again"):
            read_respdict(path)
