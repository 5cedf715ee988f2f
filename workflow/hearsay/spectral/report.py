"""The audit: one row for every weight matrix of a model, with its spectrum's power-law fit.

Source: Martin & Mahoney, "Universality and Capacity Metrics in Deep Neural Networks"; equation
numbers here are its own (Eqs. 2, 3 and 6).
"""

import hashlib
from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Sequence
from typing import Any, Literal

import numpy as np
import pandas as pd
import torch

from hearsay.errors import InputError, reason_of
from hearsay.spectral.columns import COLUMNS
from hearsay.spectral.matrices import Convention, Part, convention_of, matrices_of
from hearsay.spectral.power_law import SMALL_TAIL, fit_power_law
from hearsay.spectral.sources import Source, open_source
from hearsay.spectral.spectrum import eigenvalues, numerical_rank
from hearsay.spectral.weights import Weight

# Rounding its entries spreads the spectrum of an orthogonal matrix by about one eps of their type.
CONSTANT_EPS = 4


def audit(
    source: Source,
    *,
    convention: str | Convention = "weightwatcher-2019",
    min_size: int | None = None,
    xmax: Literal["lambda_max", "none"] | None = None,
    split_packed: bool | None = None,
    normalise: bool | None = None,
    drop_smallest: bool | None = None,
    device: str = "cpu",
    placeholders: Sequence[str] = (),
    keep_eigenvalues: Callable[[int, np.ndarray], None] | None = None,
    progress: Callable[..., Iterable[Weight]] | None = None,
) -> pd.DataFrame:
    """Fit a power law to the spectrum of every weight matrix of a model.

    Parameters
    ----------
    source : torch module, state dict, path (safetensors file, index or folder, PyTorch checkpoint,
        .nemo archive) or name of a hub model in the local cache. It is only read.
    convention : "weightwatcher-2019" (the published tables), "paper" (its text), "pooled" or
        "flattened"; see `hearsay.spectral.matrices.Convention`, whose fields min_size, xmax,
        split_packed, normalise and drop_smallest the arguments of these names replace.
    device : where the linear algebra runs: "cpu", "cuda", "cuda:1", or "auto" for a GPU if there is
        one. Always in float64.
    placeholders : classes in a pickle, as "module.Class", to replace by empty objects.
    keep_eigenvalues : called as ``keep_eigenvalues(row, spectrum)`` for every row that has one
        (status ok, small_tail, rank_deficient, degenerate), with the row's number and a float64
        array, ascending: all M eigenvalues in the convention's scale, or all of a pooled layer's.
    progress : wraps the weights, called as ``progress(weights, total=n)``; `tqdm.tqdm` will do.

    Returns
    -------
    DataFrame with one row a matrix or slice and the columns of `COLUMNS`, in the source's order.
    N >= M are the matrix's sides. With lambda the eigenvalues of W^T W, or in convention "paper" of
    X = W^T W / N (Eq. 2), and log base 10: lambda_max; alpha_hat = alpha log lambda_max (the term
    of Eq. 3); alpha_hat_normalised, the same for X; log_spectral_norm = log lambda_max;
    log_frobenius_norm = log sum lambda, of the squared norm; stable_rank = sum lambda / lambda_max;
    log_stable_rank = log_frobenius_norm / log_spectral_norm (Eq. 6), NaN where lambda_max = 1.
    The fit is on all eigenvalues (all but the smallest if the convention says so), the other
    numbers are of all.

    status : "ok"; "small_tail" (fewer than 20 eigenvalues in the fitted tail); or a failure without
    numbers: "too_small", "zero", "rank_deficient", "degenerate" (constant spectrum), "not_finite",
    "skipped". reason : a sentence; empty for ok.

    The groups of a convolution, and whether it is transposed, are known from a module only; see
    `hearsay.spectral.layouts` for what the names and shapes of a state dict tell.

    Every tensor of two dimensions or more has a row, tied ones a single row with aliases: tensors
    that share memory, or, in safetensors files, have the same shape, type and bytes.

    Raises
    ------
    InputError
        for a source that cannot be read or is refused, an unknown convention, a missing GPU; by
        name, for a matrix too large for the memory of this machine or its GPU, or whose
        eigenvalues LAPACK does not find.
    """
    rule = convention_of(
        convention,
        min_size=min_size,
        xmax=xmax,
        split_packed=split_packed,
        normalise=normalise,
        drop_smallest=drop_smallest,
    )
    where = _device(device)
    weights = open_source(source, placeholders)
    items = weights if progress is None else progress(weights, total=len(weights))
    like = Counter((w.tensor.shape, w.tensor.dtype) for w in weights if w.tensor.storage is None)
    first_row: dict[bytes, int] = {}
    rows: list[dict[str, Any]] = []
    tensor = None
    for weight in items:
        del tensor  # before the next one is loaded
        tensor = None if weight.layout.skip else weight.tensor.load()
        facts = (weight.tensor.shape, weight.tensor.dtype)
        compared = weight.tensor.storage is None and like[facts] > 1
        if tensor is not None and compared and (digest := _digest(tensor)) is not None:
            if digest in first_row:
                _add_alias(rows, first_row[digest], weight.name)
                continue
            first_row[digest] = len(rows)
        try:
            for row, spectrum in _rows(weight, tensor, rule, where):
                if spectrum is not None and keep_eigenvalues is not None:
                    keep_eigenvalues(len(rows), spectrum)
                rows.append(row)
        except (MemoryError, RuntimeError, np.linalg.LinAlgError) as error:
            if told := _what_stopped(weight, error):
                raise InputError(told) from None
            raise
    return pd.DataFrame(rows, columns=list(COLUMNS)).astype(COLUMNS)


def _rows(
    weight: Weight, tensor: torch.Tensor | None, rule: Convention, device: torch.device
) -> Iterator[tuple[dict[str, Any], np.ndarray | None]]:
    """The rows of one weight, each with its spectrum where it has one."""
    shape = weight.tensor.shape
    base = {
        "name": weight.name,
        "aliases": ";".join(weight.aliases),
        "kind": weight.layout.kind,
        "shape": "x".join(map(str, shape)),
        "slice": "",
    }
    if tensor is None:
        yield {**base, "status": "skipped", "reason": weight.layout.skip}, None
        return
    if broken := _not_finite(tensor):
        reason = f"{broken} of {tensor.numel()} values are NaN or infinite"
        yield {**base, "status": "not_finite", "reason": reason}, None
        return
    for part in matrices_of(tensor.to(device), weight.layout, rule):
        assert isinstance(weight.tensor.dtype, torch.dtype), "others are skipped"
        facts, spectrum = _analyse(part, rule, weight.tensor.dtype)
        yield {**base, "slice": part.label, **facts}, spectrum


def _analyse(
    part: Part, rule: Convention, dtype: torch.dtype
) -> tuple[dict[str, Any], np.ndarray | None]:
    """Everything about one part that its matrices decide; no numbers unless the fit succeeds."""
    if part.reason:
        return {"status": "skipped", "reason": part.reason}, None
    M, N = sorted(part.matrices[0].shape)
    facts: dict[str, Any] = {"N": N, "M": M}

    def failure(status: str, reason: str) -> dict[str, Any]:
        return {**facts, "status": status, "reason": reason}

    if not any(bool(matrix.any()) for matrix in part.matrices):
        return failure("zero", "all values are zero"), None
    count = M * len(part.matrices)
    if count < rule.min_size:
        size = "M is" if len(part.matrices) == 1 else f"{count} eigenvalues,"
        return failure("too_small", f"{size} below {rule.min_size}"), None
    try:
        # Eq. 2 where the convention normalises: X = W^T W / N.
        spectra = [eigenvalues(matrix, normalise=rule.normalise) for matrix in part.matrices]
    except np.linalg.LinAlgError:
        raise
    except ValueError as error:  # float64 values whose squares leave float64's range
        small = all(float(matrix.abs().max()) < 1 for matrix in part.matrices)
        return failure("zero" if small else "not_finite", str(error)), None
    spectrum = np.sort(np.concatenate(spectra)) if len(spectra) > 1 else spectra[0]
    ranks = [numerical_rank(values, (N, M), dtype) for values in spectra]
    if min(ranks) < M:
        several = f" in {sum(rank < M for rank in ranks)} slices" if len(ranks) > 1 else ""
        return failure("rank_deficient", f"numerical rank {min(ranks)} of {M}{several}"), spectrum
    largest = float(spectrum[-1])
    constant = largest - float(spectrum[0]) <= CONSTANT_EPS * torch.finfo(dtype).eps * largest
    fit = fit_power_law(
        spectrum[1:] if rule.drop_smallest else spectrum,
        xmax=largest if rule.xmax == "lambda_max" else None,
    )
    if constant or fit.status == "degenerate":
        return failure("degenerate", "a constant spectrum, as of an orthogonal matrix"), spectrum
    log_largest = float(np.log10(largest))
    log_sum = float(np.log10(spectrum.sum()))
    log_largest_of_X = log_largest if rule.normalise else log_largest - float(np.log10(N))
    flagged = f"fewer than {SMALL_TAIL} eigenvalues in the tail: sigma is no fair error bar"
    return {
        **facts,
        "alpha": fit.alpha,
        "xmin": fit.xmin,
        "D": fit.D,
        "sigma": fit.sigma,
        "n_tail": fit.n_tail,
        "lambda_max": largest,
        "alpha_hat": fit.alpha * log_largest,  # one term of Eq. 3
        "alpha_hat_normalised": fit.alpha * log_largest_of_X,
        "log_spectral_norm": log_largest,
        "log_frobenius_norm": log_sum,
        "stable_rank": float(spectrum.sum() / largest),
        "log_stable_rank": log_sum / log_largest if log_largest else np.nan,  # Eq. 6
        "status": fit.status,
        "reason": flagged if fit.status == "small_tail" else "",
    }, spectrum


def _what_stopped(weight: Weight, error: Exception) -> str:
    """A line on a weight that memory did not hold or LAPACK did not decompose; else empty."""
    shape = " x ".join(map(str, weight.tensor.shape))
    if isinstance(error, np.linalg.LinAlgError | torch.linalg.LinAlgError):
        return (
            f"{weight.name}: no eigenvalues of {shape} ({reason_of(error)}); run the audit again, "
            "on another device if it fails again"
        )
    # torch has no error of its own for the memory of the CPU.
    kinds = MemoryError | torch.OutOfMemoryError
    if isinstance(error, kinds) or "can't allocate memory" in str(error):
        return (
            f"{weight.name}: too little memory for {shape} values; give the job more, or audit "
            "on the CPU what a GPU cannot hold"
        )
    return ""


def _not_finite(tensor: torch.Tensor) -> int:
    """How many values are NaN or infinite; looks twice only if there are some."""
    # The extremes take no memory, unlike a mask or a sum in float64; NaN is passed on by both.
    if not tensor.numel() or torch.stack(torch.aminmax(tensor)).isfinite().all():
        return 0
    return tensor.numel() - int(tensor.isfinite().sum())


def _device(name: str) -> torch.device:
    if name == "auto":
        name = "cuda" if torch.cuda.is_available() else "cpu"
    if name != "cpu" and not name.startswith("cuda"):
        raise InputError(f"device {name!r}: choose cpu, cuda, cuda:NUMBER or auto")
    try:
        if name != "cpu":
            torch.empty(0, device=name)
        return torch.device(name)
    except (RuntimeError, AssertionError) as error:
        first = reason_of(error)
        raise InputError(f"device {name!r}: no such GPU here ({first}); use cpu") from None


def _digest(tensor: torch.Tensor) -> bytes | None:
    """SHA-256 of a tensor's type, shape and bytes; None where all values are equal.

    Equal constants, such as matrices that start at zero, are no sign of tied weights.
    """
    if not tensor.numel() or bool((tensor == tensor.flatten()[0]).all()):
        return None
    facts = f"{tensor.dtype} {tuple(tensor.shape)} ".encode()
    content = tensor.contiguous().view(torch.uint8).numpy()
    digest = hashlib.sha256(facts)
    digest.update(content.data)
    return digest.digest()


def _add_alias(rows: list[dict[str, Any]], start: int, alias: str) -> None:
    name = rows[start]["name"]
    for row in rows[start:]:
        if row["name"] != name:
            return
        row["aliases"] = f"{row['aliases']};{alias}" if row["aliases"] else alias
