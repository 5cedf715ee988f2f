"""Raw BOLD runs in BIDS to responses: masked, detrended, trimmed and z-scored.

What is *not* done: motion correction, distortion or slice-time correction, and registration. The
runs must already be in the space of the mask, as fMRIPrep or FSL leave them; a run whose grid is
another one is refused, but a run that merely was not aligned cannot be told from one that was.

After A. LeBel et al., "A natural language fMRI dataset for voxelwise encoding models", Scientific
Data 2023: a Savitzky-Golay filter of second order over 120 s gives the drift that is subtracted,
20 s are cut off at either end, and each voxel is scaled to mean 0 and variance 1 within its run.
"""

import json
import re
import sys
import zlib
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
from scipy.signal import savgol_filter

from hearsay.corpora.annex import check_present
from hearsay.errors import InputError, reason_of

ORDER = 2  # of the Savitzky-Golay filter
BLOCK_VOXELS = 4096


def read_mask(path: Path | str) -> tuple[np.ndarray, np.ndarray]:
    """A mask as booleans [x, y, z] and its affine [4, 4]; whatever is not 0 is inside.

    Raises InputError for what is no NIfTI volume of three dimensions and for an empty mask.
    """
    values, affine = read_volume(path)
    mask = values != 0
    if not mask.any():
        raise InputError(f"{path}: the mask is empty; give one that marks the voxels to keep")
    return mask, affine


def read_volume(path: Path | str) -> tuple[np.ndarray, np.ndarray]:
    """Values of one volume, [x, y, z], and its affine [4, 4]; what is not finite becomes 0.

    Raises InputError for what is no NIfTI volume of three dimensions, or not a whole one.
    """
    image = load_image(path, 3)
    try:
        values = np.asarray(image.dataobj)
    except (OSError, EOFError, zlib.error, ValueError) as error:
        reason = reason_of(error)
        raise InputError(f"{path}: not a whole NIfTI file ({reason}); fetch it again") from None
    if values.dtype.kind not in "biuf":
        raise InputError(f"{path}: its values are {values.dtype}, not numbers; give a mask")
    return np.where(np.isfinite(values), values, 0), np.asarray(image.affine)


def load_image(path: Path | str, dimensions: int) -> Any:
    """Open a NIfTI file of so many dimensions; nothing but its header is read."""
    import nibabel
    from nibabel.filebasedimages import ImageFileError

    check_present(Path(path))
    try:
        image = nibabel.load(path)
    except (ImageFileError, OSError, EOFError, zlib.error, ValueError) as error:
        reason = reason_of(error)
        raise InputError(f"{path}: not a readable NIfTI file ({reason}); fetch it again") from None
    if not isinstance(image, nibabel.Nifti1Image):  # Nifti2Image is one, too
        raise InputError(f"{path}: {type(image).__name__}, not NIfTI; convert it to .nii.gz")
    if len(image.shape) != dimensions:
        raise InputError(f"{path}: shape {image.shape}, but {dimensions} dimensions are needed")
    return image


def order_of_runs(path: Path) -> tuple[int, int, str]:
    """Key that sorts runs by session and run number, 2 before 10."""
    numbers = [re.search(rf"_{what}-(\d+)", path.name) for what in ("ses", "run")]
    session, run = (int(number.group(1)) if number else 0 for number in numbers)
    return session, run, path.name


def repetition_time(run: Path, clone: Path) -> float:
    """Seconds between volumes: from the nearest BIDS side file, else from the NIfTI header.

    The side file is ``…_bold.json`` beside the run; or, by BIDS's inheritance, one whose entities
    are among the run's in a folder above, up to the dataset's root.
    """
    name = run.name.removesuffix(".gz").removesuffix(".nii")
    entities = set(name.split("_"))
    folder = run.parent
    while True:
        found = [f for f in folder.glob("*bold.json") if set(f.stem.split("_")) <= entities]
        for side in sorted(found, key=lambda f: -len(f.stem.split("_"))):
            check_present(side)
            try:
                value = json.loads(side.read_text(encoding="utf-8")).get("RepetitionTime")
            except (ValueError, AttributeError):
                raise InputError(f"{side}: not a JSON object; fetch it again") from None
            if value is not None:
                return float(value)
        if folder in (clone, folder.parent):
            break
        folder = folder.parent
    header = load_image(run, 4).header
    scale = {"msec": 1e-3, "usec": 1e-6}.get(header.get_xyzt_units()[1], 1.0)
    return float(header.get_zooms()[3]) * scale


def masked_run(path: Path, mask: np.ndarray, affine: np.ndarray) -> np.ndarray:
    """Values of one run inside the mask, as float32 [volumes, voxels].

    Voxels are in pycortex's order, z before y before x. Volumes are read one after the other, a
    compressed file in a single pass. What is not finite is interpolated in time.

    Raises
    ------
    InputError
        for a run on another grid than the mask, and for one that is truncated.
    """
    image = load_image(path, 4)
    if image.shape[:3] != mask.shape:
        raise InputError(
            f"{path}: volumes of {image.shape[:3]} voxels, the mask has {mask.shape}; register the "
            "run to the mask first (fMRIPrep), or give a mask in the run's space"
        )
    if not np.allclose(image.affine, affine, atol=1e-3):
        raise InputError(
            f"{path}: its affine is not the mask's, the voxels lie elsewhere; register the run to "
            "the mask first (fMRIPrep), or give a mask in the run's space"
        )
    inside = mask.T  # z, y, x
    out = np.empty((image.shape[3], int(mask.sum())), np.float32)
    for k, volume in enumerate(_volumes(path, image)):
        out[k] = volume.T[inside]
    _fill_holes(out, path)
    return out


def _fill_holes(x: np.ndarray, path: Path) -> None:
    """Put values of `x` [volumes, voxels] that are not finite on the line between those around.

    Resampling leaves such values at the edges; 0, far from all others, would be a spike. A voxel
    without any value becomes 0.
    """
    bad = ~np.isfinite(x)
    voxels = np.flatnonzero(bad.any(axis=0))
    for voxel in voxels:
        gone = bad[:, voxel]
        known = np.flatnonzero(~gone)
        near = np.interp(np.flatnonzero(gone), known, x[known, voxel]) if len(known) else 0.0
        x[gone, voxel] = near
    if len(voxels):
        print(
            f"{path}: {bad.sum()} values in {len(voxels)} voxels are not finite; values between "
            "those around them are taken",
            file=sys.stderr,
        )


def _volumes(path: Path, image: Any) -> Iterator[np.ndarray]:
    from nibabel.openers import ImageOpener

    data = image.dataobj
    shape, count = image.shape[:3], image.shape[3]
    size = int(np.prod(shape)) * data.dtype.itemsize
    try:
        with ImageOpener(str(path)) as stream:
            stream.seek(data.offset)
            for k in range(count):
                content = stream.read(size)
                if len(content) != size:
                    raise EOFError(f"volume {k} of {count} is cut short")
                volume = np.frombuffer(content, data.dtype).reshape(shape, order="F")
                yield volume * np.float64(data.slope) + np.float64(data.inter)
    except (EOFError, OSError, zlib.error) as error:
        raise InputError(f"{path}: truncated or damaged ({error}); fetch it again") from None


def detrend(x: np.ndarray, window_s: float, tr: float) -> np.ndarray:
    """Subtract a Savitzky-Golay trend of second order from each column of `x` [volumes, voxels].

    The window is the odd number of volumes next above `window_s` seconds, or the largest that the
    run has room for. Returns float64.
    """
    window = round(window_s / tr)
    window += 1 - window % 2
    window = min(window, len(x) - 1 + len(x) % 2)
    if window <= ORDER:
        raise ValueError(f"{len(x)} volumes and a window of {window_s} s are too few to detrend")
    x = np.asarray(x, dtype=np.float64)
    return x - savgol_filter(x, window, ORDER, axis=0, mode="interp")


def responses_of_run(x: np.ndarray, *, window_s: float, trim: int, tr: float) -> np.ndarray:
    """Detrend, cut `trim` volumes off either end, z-score; a constant voxel becomes 0.

    Parameters
    ----------
    x : [volumes, voxels].
    window_s : of the Savitzky-Golay filter, seconds.
    trim : volumes.
    tr : seconds.

    Returns
    -------
    float64 [volumes - 2 trim, voxels].
    """
    out = np.empty((len(x) - 2 * trim, x.shape[1]), np.float64)
    for start in range(0, x.shape[1], BLOCK_VOXELS):
        raw = x[:, start : start + BLOCK_VOXELS]
        kept = detrend(raw, window_s, tr)[trim : len(x) - trim]
        kept -= kept.mean(axis=0)
        deviation = kept.std(axis=0)
        # What is left of a constant voxel is rounding.
        flat = (raw.max(axis=0) == raw.min(axis=0)) | (deviation == 0.0)
        out[:, start : start + BLOCK_VOXELS] = np.where(
            flat, 0.0, kept / np.where(flat, 1.0, deviation)
        )
    return out
