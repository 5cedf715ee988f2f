"""Which voxels a model reads: given by number, by an ROI's mask, or all of them.

Voxels are named by their column in the dataset's response files, that is by their place among the
voxels of ``mask_thick`` in pycortex's order (z before y before x). The choice by an encoding model
is in `hearsay.brain.voxel_selection`.
"""

import json
from pathlib import Path
from typing import Any

import numpy as np

from hearsay.corpora.bold import read_mask, read_volume
from hearsay.errors import InputError, reason_of

METHODS = ("indices", "mask", "select", "all")


def file_of(setting: str | None, subject: str, method: str) -> Path:
    """Path of the file that a method reads, with ``{subject}`` filled in."""
    if setting is None:
        raise InputError(f"voxels.file: the method {method!r} needs a file; name one")
    return Path(setting.replace("{subject}", subject))


def read_indices(path: Path | str, columns: int, roi: str | None = None) -> np.ndarray:
    """Voxel columns from a file, in ascending order.

    Parameters
    ----------
    path : ``.json`` with a list, or with lists by name of an ROI; ``.npy``; or ``.txt`` with one
        number a line.
    columns : how many the subject's files have.
    roi : which list of a JSON object to take.

    Returns
    -------
    int64 [voxels].

    Raises
    ------
    InputError
        for a missing file or ROI (those there are listed), and for numbers that are no columns.
    """
    path = Path(path)
    if not path.is_file():
        raise InputError(f"{path}: no such file of voxels; correct voxels.file")
    values = _named_list(path, _content(path), roi)
    try:
        numbers = np.asarray(values)
    except ValueError:
        numbers = np.empty((0, 0))
    if numbers.ndim != 1 or not numbers.size:
        raise InputError(f"{path}: not a list of voxel numbers, or an empty one")
    if numbers.dtype.kind == "f" and (numbers == np.floor(numbers)).all():
        numbers = numbers.astype(np.int64)
    if numbers.dtype.kind not in "iu":
        raise InputError(f"{path}: voxel numbers must be whole, not {numbers.dtype}")
    if numbers.min() < 0 or numbers.max() >= columns:
        wrong = numbers[(numbers < 0) | (numbers >= columns)][0]
        raise InputError(
            f"{path}: no voxel {wrong}, the responses have {columns} (0 to {columns - 1}); is it "
            "another subject's file?"
        )
    if len(np.unique(numbers)) != len(numbers):
        raise InputError(f"{path}: a voxel is named twice; name each once")
    return np.sort(numbers.astype(np.int64))


def _content(path: Path) -> Any:
    try:
        if path.suffix == ".npy":
            return np.load(path, allow_pickle=False)
        text = path.read_text(encoding="utf-8")
        return json.loads(text) if path.suffix == ".json" else [int(x) for x in text.split()]
    except Exception as error:  # numpy raises anything for a broken header
        reason = reason_of(error)
        raise InputError(
            f"{path}: not readable as voxel numbers ({reason}); give .json, .npy or .txt"
        ) from None


def _named_list(path: Path, content: Any, roi: str | None) -> Any:
    if isinstance(content, dict):
        if roi not in content:
            listed = ", ".join(sorted(content)) or "none"
            raise InputError(f"{path}: no ROI {roi!r}; there are {listed}. Correct voxels.roi")
        return content[roi]
    if roi is not None:
        raise InputError(
            f"{path}: a plain list has no ROI {roi!r}; leave voxels.roi out, or give a JSON object"
        )
    return content


def mask_columns(
    roi_file: Path | str, thick_file: Path | str, roi: str | None = None
) -> np.ndarray:
    """Columns of the voxels that an ROI's volume marks.

    Parameters
    ----------
    roi_file : NIfTI volume on the grid of the subject's mask.
    thick_file : the subject's ``mask_thick.nii.gz``, which defines the columns.
    roi : a whole number to take the voxels of that label, of either sign as pycortex writes them
        for the two hemispheres; None for all that is not 0. What is not a number is outside.

    Returns
    -------
    int64 [voxels], ascending; voxels of the ROI outside the mask have no column and are left out.

    Raises
    ------
    InputError
        for half a file, volumes on different grids, a label that is not there, and an ROI outside
        the mask.
    """
    thick, affine = read_mask(thick_file)
    labels, own_affine = read_volume(roi_file)
    if labels.shape != thick.shape or not np.allclose(own_affine, affine, atol=1e-3):
        raise InputError(
            f"{roi_file}: not on the grid of {thick_file} (shapes {labels.shape} and "
            f"{thick.shape}, or the affines differ); resample the ROI to it"
        )
    marked = labels != 0
    if roi is not None:
        there = sorted({int(abs(label)) for label in np.unique(labels) if label})
        if not roi.isdigit() or int(roi) not in there:
            listed = ", ".join(map(str, there)) or "none"
            raise InputError(f"{roi_file}: no ROI of label {roi!r}; there are {listed}")
        marked = np.abs(labels) == int(roi)
    found = np.flatnonzero(marked.T[thick.T]).astype(np.int64)
    if not len(found):
        raise InputError(f"{roi_file}: none of its voxels lies in {thick_file}; give another ROI")
    return found
