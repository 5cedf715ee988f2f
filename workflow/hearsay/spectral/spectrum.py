"""Eigenvalues of W^T W for a weight matrix W, in float64, with bounded memory.

Source: Martin & Mahoney, "Traditional and heavy-tailed self regularization in neural network
models" (ICML 2019), eq. 2: X = W^T W / N for W of N x M, N >= M.
"""

from __future__ import annotations

import sys
from collections.abc import Iterator
from typing import TYPE_CHECKING, Literal

import numpy as np
from scipy import linalg

if TYPE_CHECKING:
    import torch
    from typing_extensions import TypeIs

# The weight is converted to float64 in blocks of 4 MiB, which stay in the cache, but of no fewer
# columns than the product needs to run at full speed.
BLOCK_ENTRIES = 2**19
BLOCK_COLUMNS = 256
# A float64 copy of the matrix up to this size may be made for the sake of accuracy.
SVD_BYTES = 64 * 2**20
# Below this share of the largest, eigenvalues from the Gram matrix have too few digits.
GRAM_RANGE = 1e-10


def eigenvalues(weight: np.ndarray | torch.Tensor, *, normalise: bool = False) -> np.ndarray:
    """Squared singular values of `weight`, ascending: shape (min(weight.shape),), float64.

    weight: a matrix, numpy array or torch tensor of any floating type (float16 and bfloat16
        included), on any device, with any strides; not modified. Its orientation does not matter.
    normalise: divide by N, the larger side: the spectrum of X = W^T W / N (eq. 2).

    Memory: the smaller Gram matrix (8 M^2 bytes) is summed in blocks of a few MiB and decomposed
    in place: a 16384 x 4096 weight costs some 150 MB beside itself, whatever its type. A CUDA
    tensor is treated the same way on its device, where the solver copies the Gram matrix once.

    Accuracy: the Gram matrix carries errors of about 1e-15 of the largest eigenvalue, so an
    eigenvalue of 1e-10 of it keeps five digits, one of 1e-7 eight. Where the smallest falls below
    1e-10 of the largest and a float64 copy takes at most 64 MiB, the singular values are computed
    from the matrix itself instead, with errors of about 1e-15 of the largest singular value.
    Rounding below zero is set to zero.

    ValueError: not a matrix, not of a floating type, NaN or Inf among the entries, or entries
    whose squares leave float64's range.
    """
    matrix = _as_matrix(weight)
    if matrix.shape[0] > matrix.shape[1]:
        matrix = matrix.T
    M, N = matrix.shape
    if M == 0:
        return np.empty(0)
    if isinstance(matrix, np.ndarray) or matrix.device.type == "cpu":
        values = _on_cpu(matrix)
    else:
        values = _on_device(matrix)
    values = np.maximum(values, 0.0)
    return values / N if normalise else values


def numerical_rank(
    eigenvalues: np.ndarray, shape: tuple[int, int], dtype: np.dtype | torch.dtype | str | type
) -> int:
    """How many eigenvalues stand above the noise of a stored matrix; M for one of full rank.

    eigenvalues: as `eigenvalues` returns them, normalised or not; shape: of the matrix; dtype: of
    its stored entries.

    Rounding each entry to its type perturbs a matrix by some E with a spectral norm of about
    eps * rms * (sqrt(N) + sqrt(M)), rms being the entries' root mean square. An eigenvalue is noise
    if it is below the square of twice that, or below what `eigenvalues` resolves: 16 eps of the
    largest by way of the Gram matrix, 16 eps of the largest singular value where it uses an SVD.

    eps is float64's for float64 entries and float32's for all others, float16 and bfloat16 too.
    Their own eps would be right for a low-rank product rounded to them, but it also exceeds the
    smallest singular value of every ordinary square matrix in them, and would condemn those. So
    copied or zeroed rows are found in any type, a rounded low-rank product in float32 and float64
    only. The smallest singular value of a random square matrix has no lower limit: of 4096 x 4096
    in float32 one in 500, of smaller ones fewer, falls below the noise by chance.
    """
    M, N = sorted(shape)
    values = np.asarray(eigenvalues)
    if values.shape != (M,):
        raise ValueError(
            f"a matrix of shape {tuple(shape)} has {M} eigenvalues, not {values.shape}"
        )
    if M == 0 or values[-1] <= 0:
        return 0
    itemsize = np.dtype(dtype).itemsize if isinstance(dtype, str | type) else dtype.itemsize
    eps = np.finfo(np.float64 if itemsize >= 8 else np.float32).eps
    mean_square = values.sum() / (N * M)
    storage = mean_square * (2 * eps * (np.sqrt(N) + np.sqrt(M))) ** 2
    solver = 16 * np.finfo(np.float64).eps
    if _svd_is_affordable(M, N):
        solver = solver**2
    return int(np.count_nonzero(values > max(storage, solver * values[-1])))


def _is_tensor(weight: np.ndarray | torch.Tensor) -> TypeIs[torch.Tensor]:
    torch = sys.modules.get("torch")  # whoever holds a tensor has imported it
    return torch is not None and isinstance(weight, torch.Tensor)


def _as_matrix(weight: np.ndarray | torch.Tensor) -> np.ndarray | torch.Tensor:
    """`weight` itself, checked; as a numpy view of its memory where numpy knows its type."""
    if _is_tensor(weight):
        floating = weight.is_floating_point()
    else:
        weight = np.asarray(weight)
        floating = weight.dtype.kind == "f"
    if weight.ndim != 2:
        raise ValueError(f"a weight matrix has two dimensions, not shape {tuple(weight.shape)}")
    if not floating:
        raise ValueError(f"a weight matrix has a floating type, not {weight.dtype}")
    if not _is_tensor(weight):
        return weight
    import torch

    weight = weight.detach()
    known = weight.dtype in (torch.float64, torch.float32, torch.float16)
    return weight.numpy() if known and weight.device.type == "cpu" else weight


def _on_cpu(matrix: np.ndarray | torch.Tensor) -> np.ndarray:
    """Eigenvalues of matrix @ matrix.T, ascending, for shape (M, N) with M <= N."""
    # All by scipy's own BLAS and LAPACK: numpy's and torch's have thread pools of their own, and
    # pools that take turns disturb each other. On 2 cores scipy takes 39 ms for M = 768 (numpy 40,
    # torch's MKL 47); MKL wins at 2048 (by 1.2) and 4096 (by 1.7), but only scipy works in place.
    M, N = matrix.shape
    gram = np.zeros((M, M), order="F")
    for block in _blocks(matrix):
        columnwise = block.flags.f_contiguous
        gram = linalg.blas.dsyrk(
            1.0,
            block if columnwise else block.T,
            trans=0 if columnwise else 1,
            lower=1,
            beta=1.0,
            c=gram,
            overwrite_c=1,
        )
    _check_range(matrix, float(gram.trace()))
    if M == 1:
        return gram[0]
    lwork = int(linalg.lapack.dsytrd_lwork(M, lower=1)[0])
    _, diagonal, off_diagonal, _, info = linalg.lapack.dsytrd(
        gram, lower=1, lwork=lwork, overwrite_a=1
    )
    if info == 0:
        values, info = linalg.lapack.dsterf(diagonal, off_diagonal)
    if info != 0:
        raise np.linalg.LinAlgError(f"eigenvalues did not converge (LAPACK info {info})")
    if values[0] < GRAM_RANGE * values[-1] and _svd_is_affordable(M, N):
        whole = matrix if isinstance(matrix, np.ndarray) else matrix.double().numpy()
        whole = np.array(whole, dtype=np.float64, order="F")
        return linalg.svdvals(whole, overwrite_a=True, check_finite=False)[::-1] ** 2
    return values


def _on_device(matrix: torch.Tensor) -> np.ndarray:
    """The same as `_on_cpu` by torch, on the device that holds `matrix`."""
    import torch

    M, N = matrix.shape
    gram = torch.zeros((M, M), dtype=torch.float64, device=matrix.device)
    for columns in _block_slices(matrix):
        block = matrix[:, columns].to(torch.float64)
        gram.addmm_(block, block.T)
    _check_range(matrix, float(gram.trace()))
    values = torch.linalg.eigvalsh(gram)
    if values[0] < GRAM_RANGE * values[-1] and _svd_is_affordable(M, N):
        values = torch.linalg.svdvals(matrix.to(torch.float64)).flip(0) ** 2
    return values.cpu().numpy()


def _block_slices(matrix: np.ndarray | torch.Tensor) -> list[slice]:
    """Runs of columns that make a block each."""
    M, N = matrix.shape
    width = max(BLOCK_COLUMNS, BLOCK_ENTRIES // M)
    return [slice(start, start + width) for start in range(0, N, width)]


def _blocks(matrix: np.ndarray | torch.Tensor) -> Iterator[np.ndarray]:
    """The matrix in float64, some columns at a time, each in the same buffer as the one before."""
    strides = np.abs(matrix.strides if isinstance(matrix, np.ndarray) else matrix.stride())
    # The matrix's own order, so that copying is fast.
    order: Literal["F", "C"] = "F" if strides[0] < strides[1] else "C"
    slices = _block_slices(matrix)
    M = matrix.shape[0]
    buffer = np.empty(M * min(slices[0].stop, matrix.shape[1]))
    for columns in slices:
        part = matrix[:, columns]
        block = buffer[: M * part.shape[1]].reshape(tuple(part.shape), order=order)
        if isinstance(part, np.ndarray):
            np.copyto(block, part)
        else:
            import torch

            torch.from_numpy(block).copy_(part)
        yield block


def _svd_is_affordable(M: int, N: int) -> bool:
    return 8 * M * N <= SVD_BYTES


def _check_range(matrix: np.ndarray | torch.Tensor, trace: float) -> None:
    """Refuse a matrix by its sum of squares: not finite, or lost below float64's range."""
    # The trace costs no pass over the matrix: NaN and Inf anywhere in it end up in the trace.
    if np.isfinite(trace) and trace > 1e-250:
        return
    nan = infinite = nonzero = 0
    for block in _blocks(matrix):
        nan += int(np.isnan(block).sum())
        infinite += int(np.isinf(block).sum())
        nonzero += int(np.count_nonzero(block))
    if nan or infinite:
        raise ValueError(f"the weight matrix holds {nan} NaN and {infinite} Inf entries")
    if nonzero:
        size = "large" if trace > 1 else "small"
        raise ValueError(f"the weight matrix's entries are too {size} to be squared in float64")
