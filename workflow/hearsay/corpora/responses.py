"""Preprocessed fMRI responses of one story, read by columns from HDF5.

The layout is that of ds003020: ``data`` is [rows, voxels], row j covering the story time from
10 + 2j to 12 + 2j seconds; a story heard several times also has ``individual_repeats``
[repeats, rows, voxels], of which ``data`` is the mean. A subject's files hold 20 GB, a model needs
a hundredth of it: only the columns asked for are ever held in memory.
"""

import contextlib
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import h5py
import numpy as np

from hearsay.corpora.annex import check_present
from hearsay.errors import InputError, reason_of

REPEATS = "individual_repeats"
TRIMMED = 20  # TRs of a run that have no row: 10 at either end
BLOCK_BYTES = 16 << 20  # of a file in memory at once


@dataclass(frozen=True)
class NotFinite:
    """What was replaced by 0: single values, and voxels of which every value was."""

    values: int
    voxels: int


def read_responses(
    path: Path | str,
    columns: np.ndarray | None = None,
    *,
    dataset: str = "data",
    repeat: int | None = None,
) -> np.ndarray:
    """Responses as float32 [rows, columns asked for]; values that are not finite become 0.

    Parameters
    ----------
    path : HDF5 file of one story.
    columns : integers [V'], each once, in any order; all columns if None.
    dataset : which one to read.
    repeat : number of a single presentation, from 0; reads ``individual_repeats`` instead.

    Raises
    ------
    InputError
        for a file that is missing, not fetched, truncated or without the dataset, for one of
        another type or number of dimensions, and for columns or repeats that are not there.
    """
    return read_and_count(path, columns, dataset=dataset, repeat=repeat)[0]


def read_and_count(
    path: Path | str,
    columns: np.ndarray | None = None,
    *,
    dataset: str = "data",
    repeat: int | None = None,
) -> tuple[np.ndarray, NotFinite]:
    """As `read_responses`, with the number of values and whole voxels that were not finite."""
    with _open(path) as file:
        if repeat is not None:
            source = _dataset(path, file, REPEATS, 3)
            if not 0 <= repeat < len(source):
                raise InputError(
                    f"{path}: no repeat {repeat} of {REPEATS}; give 0 to {len(source) - 1}"
                )
        else:
            source = _dataset(path, file, dataset, 2)
        wanted = _checked(path, columns, source.shape[-1])
        out = np.empty((source.shape[-2], len(wanted)), np.float32)
        offset = _place_in_file(path, source)
        if offset is not None:
            offset += (repeat or 0) * source.shape[-2] * source.shape[-1] * source.dtype.itemsize
            _read_mapped(Path(path), source, offset, wanted, out)
        else:
            _read_blocks(source, repeat, wanted, out)
    # float64 beyond float32's range is infinite by now, and counted with the rest.
    values = voxels = 0
    for part in _column_blocks(out):
        bad = ~np.isfinite(part)
        values += int(bad.sum())
        voxels += int(bad.all(axis=0).sum()) if len(bad) else 0
        part[bad] = 0.0
    return out, NotFinite(values, voxels)


def shape_of(path: Path | str, dataset: str = "data") -> tuple[int, int]:
    """Rows and columns of a file's responses; reads its header only."""
    with _open(path) as file:
        rows, columns = _dataset(path, file, dataset, 2).shape
    return rows, columns


def repeats_of(path: Path | str) -> int:
    """How many single presentations a file holds beside their mean; 0 if none."""
    with _open(path) as file:
        return len(_dataset(path, file, REPEATS, 3)) if REPEATS in file else 0


def zscore(x: np.ndarray) -> np.ndarray:
    """Each voxel with mean 0 and variance 1 over the rows; a constant voxel becomes 0.

    Parameters
    ----------
    x : [..., rows, voxels]; computed in float64.

    Returns
    -------
    float32 array of the same shape.
    """
    out = np.empty(x.shape, np.float32)
    for source, part in zip(_column_blocks(x), _column_blocks(out), strict=True):
        values = source.astype(np.float64)
        constant = values.max(axis=-2, keepdims=True) == values.min(axis=-2, keepdims=True)
        values -= values.mean(axis=-2, keepdims=True)
        deviation = np.sqrt((values**2).mean(axis=-2, keepdims=True))
        constant |= deviation == 0.0
        part[...] = np.where(constant, 0.0, values / np.where(constant, 1.0, deviation))
    return out


def check_rows(path: Path | str, rows: int, story: str, respdict_trs: int) -> None:
    """Raise InputError unless a story has as many rows as its run has TRs, less 20."""
    if rows != respdict_trs - TRIMMED:
        raise InputError(
            f"{path}: {story} has {rows} rows, but respdict.json says {respdict_trs} TRs, "
            f"{respdict_trs - TRIMMED} after trimming {TRIMMED}; fetch the file anew, or leave the "
            "story out of `stories`"
        )


# --- opening and checking -----------------------------------------------------------------------


@contextlib.contextmanager
def _open(path: Path | str) -> Iterator[h5py.File]:
    check_present(Path(path))
    try:
        with h5py.File(path, "r") as file:
            yield file
    except (OSError, RuntimeError) as error:
        reason = reason_of(error)
        raise InputError(
            f"{path}: no whole HDF5 file ({reason}); remove it and fetch it again"
        ) from None


def _dataset(path: Path | str, file: h5py.File, name: str, dimensions: int) -> h5py.Dataset:
    if not isinstance(file.get(name), h5py.Dataset):
        raise InputError(
            f"{path}: no dataset {name!r}; there are {', '.join(sorted(file)) or 'none'}. "
            "Responses of this layout come with ds003020 from version 2.0.3 on"
        )
    dataset = file[name]
    if dataset.dtype.kind != "f" or dataset.ndim != dimensions or not all(dataset.shape):
        raise InputError(
            f"{path}: dataset {name!r} is {dataset.dtype} of shape {dataset.shape}, not floating "
            f"point with {dimensions} dimensions; fetch the file anew"
        )
    return dataset


def _checked(path: Path | str, columns: np.ndarray | None, available: int) -> np.ndarray:
    if columns is None:
        return np.arange(available)
    wanted = np.asarray(columns)
    if wanted.ndim != 1 or wanted.dtype.kind not in "iu" or not len(wanted):
        raise InputError(f"{path}: columns are to be a list of whole numbers, and not empty")
    if wanted.min() < 0 or wanted.max() >= available:
        wrong = wanted[(wanted < 0) | (wanted >= available)][0]
        raise InputError(
            f"{path}: no column {wrong}, there are {available} (0 to {available - 1}); "
            "are the voxels those of this subject?"
        )
    if len(np.unique(wanted)) != len(wanted):
        raise InputError(f"{path}: a column is asked for twice; give each voxel once")
    return wanted.astype(np.int64)


# --- reading ------------------------------------------------------------------------------------


def _place_in_file(path: Path | str, dataset: h5py.Dataset) -> int | None:
    """Byte at which a contiguous dataset begins, or None for one that is stored otherwise."""
    if dataset.chunks is not None or dataset.is_virtual or dataset.external is not None:
        return None
    offset = dataset.id.get_offset()
    if offset is None:  # compact, or never written
        return None
    size = Path(path).stat().st_size
    if offset + dataset.size * dataset.dtype.itemsize > size:
        raise InputError(f"{path}: truncated at {size} bytes; remove it and fetch it again")
    return offset


def _read_mapped(
    path: Path, dataset: h5py.Dataset, offset: int, wanted: np.ndarray, out: np.ndarray
) -> None:
    """Map some rows at a time, so that no more than these count as this process's memory."""
    columns, bytes_of_row = dataset.shape[-1], dataset.shape[-1] * dataset.dtype.itemsize
    for rows in _spans(len(out), BLOCK_BYTES // bytes_of_row):
        block = np.memmap(
            path,
            dataset.dtype,
            "r",
            offset + rows.start * bytes_of_row,
            (rows.stop - rows.start, columns),
        )
        with np.errstate(over="ignore"):
            out[rows] = block if len(wanted) == columns and _ordered(wanted) else block[:, wanted]
        del block


def _read_blocks(
    dataset: h5py.Dataset, repeat: int | None, wanted: np.ndarray, out: np.ndarray
) -> None:
    """Read whole chunks, each once, and of these only those that hold a wanted column."""
    rows, columns = dataset.shape[-2:]
    chunk_rows, chunk_columns = (dataset.chunks or (1, columns))[-2:]
    width = max(1, BLOCK_BYTES // (chunk_rows * chunk_columns * dataset.dtype.itemsize))
    width = min(width * chunk_columns, columns)
    height = max(1, BLOCK_BYTES // (chunk_rows * width * dataset.dtype.itemsize)) * chunk_rows
    for span in _spans(columns, width):
        places = np.flatnonzero((wanted >= span.start) & (wanted < span.stop))
        if not len(places):
            continue
        within = wanted[places] - span.start
        for part in _spans(rows, height):
            block = dataset[part, span] if repeat is None else dataset[repeat, part, span]
            with np.errstate(over="ignore"):
                out[part, places] = block[:, within]
            del block  # before the next one comes


def _spans(length: int, step: int) -> list[slice]:
    step = max(1, step)
    return [slice(start, min(start + step, length)) for start in range(0, length, step)]


def _ordered(wanted: np.ndarray) -> bool:
    return bool((np.diff(wanted) > 0).all())


def _column_blocks(x: np.ndarray) -> Iterator[np.ndarray]:
    """Views of some columns at a time, together all of `x`."""
    rows = max(1, x.size // max(1, x.shape[-1]))
    for span in _spans(x.shape[-1], BLOCK_BYTES // (8 * rows)):
        yield x[..., span]
