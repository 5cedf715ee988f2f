"""Responses from HDF5: only the columns asked for, in little memory, and every bad file refused."""

import os
import subprocess
import sys
from pathlib import Path

import h5py
import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from hearsay.corpora import responses
from hearsay.corpora.responses import (
    check_rows,
    read_and_count,
    read_responses,
    repeats_of,
    shape_of,
    zscore,
)
from hearsay.errors import InputError

ROWS, COLUMNS = 23, 57


def write(path, data, **options):
    with h5py.File(path, "w") as file:
        file.create_dataset("data", data=data, **options)
    return path


@pytest.fixture
def data():
    return np.random.default_rng(0).normal(size=(ROWS, COLUMNS))


@pytest.mark.parametrize(
    "options",
    [
        {},
        {"chunks": (5, 7)},
        {"chunks": (ROWS, 3), "compression": "gzip"},
        {"chunks": (1, COLUMNS), "shuffle": True, "compression": "lzf"},
        {"dtype": ">f8"},
        {"dtype": "f4", "chunks": (4, 4)},
    ],
    ids=str,
)
@pytest.mark.parametrize("block", [1, 900, 1 << 20])
def test_columns_equal_those_of_plain_h5py(tmp_path, data, options, block, monkeypatch):
    monkeypatch.setattr(responses, "BLOCK_BYTES", block)
    path = write(tmp_path / "a.hf5", data, **options)
    with h5py.File(path) as file:
        plain = file["data"][()].astype(np.float32)
    for columns in (None, [3], [56, 0, 17, 18, 4], list(range(COLUMNS))[::-1]):
        found = read_responses(path, None if columns is None else np.array(columns))
        assert found.dtype == np.float32
        expected = plain if columns is None else plain[:, columns]
        np.testing.assert_array_equal(found, expected)
    assert shape_of(path) == (ROWS, COLUMNS)


@pytest.mark.parametrize("options", [{}, {"chunks": (2, 4, 9)}], ids=str)
def test_repeats(tmp_path, data, options):
    repeats = np.stack([data, data + 1, data + 2])
    path = write(tmp_path / "a.hf5", data)
    assert repeats_of(path) == 0
    with h5py.File(path, "a") as file:
        file.create_dataset("individual_repeats", data=repeats, **options)
    assert repeats_of(path) == 3
    found = read_responses(path, np.array([8, 2]), repeat=2)
    np.testing.assert_array_equal(found, repeats[2][:, [8, 2]].astype(np.float32))
    with pytest.raises(InputError, match="no repeat 3 of individual_repeats; give 0 to 2"):
        read_responses(path, repeat=3)


def test_what_is_not_finite_becomes_zero_and_is_counted(tmp_path, data):
    data[:, 5] = np.nan
    data[3, 7] = np.inf
    data[4, 9] = 1e300  # beyond float32
    path = write(tmp_path / "a.hf5", data)
    found, bad = read_and_count(path)
    assert (bad.values, bad.voxels) == (ROWS + 2, 1)
    assert np.isfinite(found).all()
    assert not found[:, 5].any()
    assert found[3, 7] == found[4, 9] == 0
    assert read_and_count(path, np.array([0, 1]))[1] == responses.NotFinite(0, 0)


MEASURE = """
import sys, h5py, numpy as np
from pathlib import Path
from hearsay.corpora.responses import read_responses

def peak():  # of this program alone; getrusage's includes what came before exec
    line = next(x for x in Path("/proc/self/status").read_text().splitlines() if "VmHWM" in x)
    return int(line.split()[1]) / 1024

path, way = sys.argv[1:]
columns = np.arange(7, 80000, 800)
with h5py.File(path + ".small", "w") as file:
    file["data"] = np.zeros((2, 2))
read_responses(path + ".small")  # brings in all that is loaded once
start = peak()
if way == "columns":
    x = read_responses(path, columns)
else:
    with h5py.File(path) as file:
        x = file["data"][()][:, columns]
assert x.shape == (128, 100) and x[5, 0] == 5 * 7 % 11
print(peak() - start)
"""


@pytest.mark.skipif(not Path("/proc/self/status").exists(), reason="no /proc to measure with")
@pytest.mark.parametrize("chunks", [None, (64, 500)], ids=["contiguous", "chunked"])
def test_memory_stays_far_below_the_file(tmp_path, chunks):
    path = tmp_path / "a.hf5"
    with h5py.File(path, "w") as file:
        dataset = file.create_dataset("data", (128, 80_000), "f8", chunks=chunks)
        for row in range(0, 128, 64):
            rows = np.arange(row, row + 64)[:, None]
            dataset[row : row + 64] = rows * np.arange(80_000)[None] % 11
    environment = os.environ | {"PYTHONPATH": str(Path(responses.__file__).parents[2])}
    grown = {
        way: float(
            subprocess.run(
                [sys.executable, "-c", MEASURE, str(path), way],
                env=environment,
                stdout=subprocess.PIPE,
                check=True,
            ).stdout
        )
        for way in ("columns", "whole")
    }
    # The block in memory is 16 MiB: less than the file by any measure.
    assert grown["whole"] > 0.9 * path.stat().st_size / 2**20
    assert grown["columns"] < 0.4 * grown["whole"]


def refused(path, match, columns=None, **options):
    with pytest.raises(InputError, match=match) as caught:
        read_responses(path, columns, **options)
    message = str(caught.value)
    assert "\n" not in message
    assert str(path) in message


@pytest.mark.parametrize(
    ("columns", "match"),
    [
        ([0, COLUMNS], f"no column {COLUMNS}, there are {COLUMNS}"),
        ([-1], "no column -1"),
        ([4, 2, 4], "asked for twice"),
        ([], "not empty"),
        ([0.5], "whole numbers"),
        ([[1, 2]], "list of whole numbers"),
    ],
)
def test_bad_columns(tmp_path, data, columns, match):
    refused(write(tmp_path / "a.hf5", data), match, np.array(columns))


def test_bad_files(tmp_path, data):
    path = tmp_path / "story.hf5"
    refused(path, "datalad get|fetch")
    path.write_bytes(b"")
    refused(path, "fetch")
    path.write_text("/annex/objects/MD5E-s230399888--e7ecedfcc2e378f760447a49fc3940dd.hf5\n")
    refused(path, "MD5E-s230399888")
    path.unlink()
    path.symlink_to("../.git/annex/objects/XX/YY/KEY/KEY")
    refused(path, "fetch")
    path.unlink()
    path.write_text("no HDF5 at all\n" * 100)
    refused(path, "no whole HDF5 file")
    path.unlink()
    write(path, data)
    content = path.read_bytes()
    path.write_bytes(content[: len(content) * 2 // 3])
    refused(path, "no whole HDF5 file|truncated")
    write(path, data)
    refused(path, "no dataset 'other'; there are data", dataset="other")
    refused(path, "no dataset 'individual_repeats'", repeat=0)
    write(path, np.zeros((3, 4), int))
    refused(path, "int64")
    write(path, np.zeros((3, 4, 5)))
    refused(path, r"\(3, 4, 5\)")
    write(path, np.zeros((0, 5)))
    refused(path, "shape")
    with h5py.File(path, "w") as file:
        file.create_group("data")
    refused(path, "no dataset 'data'")


@given(
    rows=st.integers(2, 12),
    columns=st.integers(1, 5),
    scale=st.floats(1e-3, 1e3),
    shift=st.floats(-1e3, 1e3),
    seed=st.integers(0, 99),
)
def test_zscore(rows, columns, scale, shift, seed):
    x = np.random.default_rng(seed).normal(size=(rows, columns))
    found = zscore(x * scale + shift)
    assert found.dtype == np.float32
    np.testing.assert_allclose(found.mean(axis=0), 0, atol=1e-5)
    np.testing.assert_allclose(found.std(axis=0), 1, atol=1e-4)
    np.testing.assert_allclose(found, zscore(x), atol=1e-4)


def test_a_constant_voxel_becomes_zero():
    x = np.random.default_rng(0).normal(size=(7, 3)).astype(np.float32)
    x[:, 1] = 0.1
    found = zscore(np.stack([x, 3 * x]))
    assert not found[:, :, 1].any()
    np.testing.assert_allclose(found[0], found[1], atol=1e-6)
    np.testing.assert_allclose(found[0, :, 0].std(), 1, atol=1e-6)


def test_rows_must_agree_with_respdict():
    check_rows("souls.hf5", 291, "souls", 311)
    with pytest.raises(InputError, match=r"souls\.hf5: souls has 290 rows.* 311 TRs, 291"):
        check_rows("souls.hf5", 290, "souls", 311)
