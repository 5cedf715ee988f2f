"""Eigenvalues against an SVD in float64, their invariances and memory, and the numerical rank."""

import os
import subprocess
import sys
import textwrap

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from hearsay.spectral import spectrum
from hearsay.spectral.power_law import fit_power_law
from hearsay.spectral.spectrum import eigenvalues, numerical_rank

SHAPES = [(1, 1), (1, 17), (17, 1), (2, 2), (5, 3), (3, 5), (64, 64), (97, 41), (41, 97), (7, 1000)]


@pytest.fixture(params=["whole", "blocks"])
def blocks(request, monkeypatch):
    """Small matrices are one block; run also as if they were many."""
    if request.param == "blocks":
        monkeypatch.setattr(spectrum, "BLOCK_ENTRIES", 100)
        monkeypatch.setattr(spectrum, "BLOCK_COLUMNS", 1)


def by_svd(weight: np.ndarray) -> np.ndarray:
    return np.linalg.svd(np.asarray(weight, dtype=np.float64), compute_uv=False)[::-1] ** 2


def heavy_matrix(seed: int, shape: tuple[int, int] = (60, 40)) -> np.ndarray:
    return np.random.default_rng(seed).standard_t(3, shape)


def rotation(rng: np.random.Generator, size: int) -> np.ndarray:
    return np.linalg.qr(rng.standard_normal((size, size)))[0]


@pytest.mark.usefixtures("blocks")
@pytest.mark.parametrize("shape", SHAPES)
def test_equals_svd(shape):
    weight = np.random.default_rng(shape).standard_normal(shape)
    values = eigenvalues(weight)
    expected = by_svd(weight)
    assert values.dtype == np.float64
    assert values.shape == (min(shape),)
    assert np.all(np.diff(values) >= 0)
    assert np.all(values >= 0)
    np.testing.assert_allclose(values, expected, rtol=1e-9, atol=1e-13 * expected[-1])


@pytest.mark.parametrize("shape", SHAPES)
def test_normalise_divides_by_the_larger_side(shape):
    weight = np.random.default_rng(0).standard_normal(shape)
    np.testing.assert_array_equal(
        eigenvalues(weight, normalise=True), eigenvalues(weight) / max(shape)
    )


VIEWS = {
    "transposed": lambda w: w.T,
    "every second": lambda w: w[::2, 1::3],
    "reversed": lambda w: w[::-1, ::-1],
    "of a stack": lambda w: np.stack([w, 2 * w, 3 * w], axis=-1)[..., 1],
    "fortran": np.asfortranarray,
    "broadcast": lambda w: np.broadcast_to(w[:1], (9, w.shape[1])) * np.arange(1, 10)[:, None],
    "read-only": lambda w: np.broadcast_to(w[3], (5, w.shape[1])),
    "big-endian": lambda w: w.astype(">f8"),
}


@pytest.mark.usefixtures("blocks")
@pytest.mark.parametrize("view", VIEWS)
def test_strided_views(view):
    weight = np.random.default_rng(1).standard_normal((40, 30))
    before = weight.copy()
    viewed = VIEWS[view](weight)
    expected = by_svd(viewed)
    np.testing.assert_allclose(eigenvalues(viewed), expected, rtol=1e-9, atol=1e-13 * expected[-1])
    assert np.array_equal(weight, before)
    if view not in ("reversed", "big-endian"):  # torch has neither
        tensor = torch.from_numpy(weight) if view == "transposed" else torch.tensor(viewed)
        tensor = tensor.T if view == "transposed" else tensor
        np.testing.assert_array_equal(eigenvalues(tensor), eigenvalues(viewed))


@pytest.mark.parametrize("dtype", [torch.float64, torch.float32, torch.float16, torch.bfloat16])
@pytest.mark.parametrize("transposed", [False, True])
def test_every_stored_type_is_computed_in_float64(dtype, transposed):
    torch.manual_seed(0)
    tensor = torch.randn(50, 30).to(dtype)
    tensor = tensor.T if transposed else tensor
    expected = by_svd(tensor.double().numpy())
    np.testing.assert_allclose(eigenvalues(tensor), expected, rtol=1e-12)
    if dtype != torch.bfloat16:
        np.testing.assert_allclose(eigenvalues(tensor.numpy()), expected, rtol=1e-12)


def test_float16_squares_beyond_its_own_range():
    weight = np.full((4, 6), 60_000, dtype=np.float16)
    assert eigenvalues(weight)[-1] == pytest.approx(24 * 60_000.0**2)


def test_parameters_keep_their_gradients_and_values():
    parameter = torch.nn.Parameter(torch.randn(8, 5))
    before = parameter.detach().clone()
    assert eigenvalues(parameter).shape == (5,)
    assert parameter.requires_grad
    assert torch.equal(parameter.detach(), before)


@pytest.mark.usefixtures("blocks")
@pytest.mark.parametrize("dtype", [torch.float64, torch.float32, torch.bfloat16])
def test_device_route_equals_cpu_route(dtype):
    """The code for CUDA tensors, run on the CPU."""
    torch.manual_seed(1)
    for shape in [(30, 50), (20, 20), (1, 9)]:
        tensor = torch.randn(shape).to(dtype)
        np.testing.assert_allclose(
            spectrum._on_device(tensor), eigenvalues(tensor), rtol=1e-8, atol=1e-14
        )
    tensor[0, 3] = torch.nan
    with pytest.raises(ValueError, match="1 NaN and 0 Inf"):
        spectrum._on_device(tensor)
    graded = torch.logspace(0, -9, 10, dtype=torch.float64).diag()
    np.testing.assert_allclose(spectrum._on_device(graded), np.logspace(-18, 0, 10), rtol=1e-12)


@pytest.mark.skipif(not torch.cuda.is_available(), reason="no CUDA device")
@pytest.mark.parametrize("dtype", [torch.float32, torch.bfloat16])
def test_cuda_equals_cpu(dtype):
    torch.manual_seed(2)
    tensor = torch.randn(300, 200).to(dtype)
    np.testing.assert_allclose(eigenvalues(tensor.cuda()), eigenvalues(tensor), rtol=1e-8)


seeds = st.integers(0, 2**32)


@settings(max_examples=25, deadline=None)
@given(seeds)
def test_alpha_is_the_same_for_the_transpose(seed):
    weight = heavy_matrix(seed)
    assert fit_power_law(eigenvalues(weight.T)).alpha == pytest.approx(
        fit_power_law(eigenvalues(weight)).alpha, rel=1e-9
    )


@settings(max_examples=25, deadline=None)
@given(seeds, st.booleans())
def test_alpha_is_the_same_after_rotation(seed, left):
    rng = np.random.default_rng(seed)
    weight = heavy_matrix(seed)
    rotated = rotation(rng, 60) @ weight if left else weight @ rotation(rng, 40)
    assert fit_power_law(eigenvalues(rotated)).alpha == pytest.approx(
        fit_power_law(eigenvalues(weight)).alpha, rel=1e-9
    )


@settings(max_examples=25, deadline=None)
@given(seeds)
def test_alpha_is_the_same_after_permutation(seed):
    rng = np.random.default_rng(seed)
    weight = heavy_matrix(seed)
    permuted = weight[rng.permutation(60)][:, rng.permutation(40)]
    assert fit_power_law(eigenvalues(permuted)).alpha == pytest.approx(
        fit_power_law(eigenvalues(weight)).alpha, rel=1e-9
    )


@settings(max_examples=25, deadline=None)
@given(seeds, st.floats(-6, 6))
def test_scale_moves_xmin_by_its_square_and_alpha_not(seed, exponent):
    weight = heavy_matrix(seed)
    scale = 10.0**exponent
    fit = fit_power_law(eigenvalues(weight))
    scaled = fit_power_law(eigenvalues(scale * weight))
    assert scaled.alpha == pytest.approx(fit.alpha, rel=1e-9)
    assert scaled.xmin == pytest.approx(fit.xmin * scale**2, rel=1e-9)


def test_small_eigenvalues_keep_their_digits():
    rng = np.random.default_rng(3)
    singular = np.logspace(0, -9, 20)
    weight = rotation(rng, 30)[:, :20] * singular @ rotation(rng, 20)
    # Squared, the smallest is 1e-18 of the largest: lost in the Gram matrix, kept by the SVD.
    np.testing.assert_allclose(eigenvalues(weight), np.sort(singular**2), rtol=1e-5)


def test_gram_route_is_as_accurate_as_stated(monkeypatch):
    monkeypatch.setattr(spectrum, "SVD_BYTES", 0)
    rng = np.random.default_rng(4)
    singular = np.logspace(0, -5, 20)
    weight = rotation(rng, 30)[:, :20] * singular @ rotation(rng, 20)
    error = np.abs(eigenvalues(weight) / np.sort(singular**2) - 1)
    assert error[0] < 1e-4  # at 1e-10 of the largest
    assert error[singular[::-1] ** 2 >= 1e-7].max() < 1e-7


@pytest.mark.parametrize("make", [np.asarray, torch.tensor], ids=["numpy", "torch"])
def test_nan_and_inf_are_counted(make):
    weight = np.ones((30, 20), dtype=np.float32)
    weight[3, 4] = np.nan
    with pytest.raises(ValueError, match="1 NaN and 0 Inf"):
        eigenvalues(make(weight))
    weight[5, 5:7] = [np.inf, -np.inf]
    with pytest.raises(ValueError, match="1 NaN and 2 Inf"):
        eigenvalues(make(weight))
    weight[3, 4] = 0
    with pytest.raises(ValueError, match="0 NaN and 2 Inf"):
        eigenvalues(make(weight))


@pytest.mark.parametrize(
    ("weight", "message"),
    [
        (np.ones(5), "two dimensions"),
        (np.ones((2, 2, 2)), "two dimensions"),
        (torch.ones(3, 3, 3, 3), "two dimensions"),
        (1.0, "two dimensions"),
        (np.ones((3, 3), dtype=int), "floating type"),
        (torch.ones(3, 3, dtype=torch.int8), "floating type"),
        (np.ones((3, 3), dtype=complex), "floating type"),
        (torch.ones(3, 3, dtype=torch.bool), "floating type"),
        (np.full((3, 3), 1e200), "too large"),
        (np.full((3, 3), 1e-200), "too small"),
    ],
)
def test_refuses_what_is_no_weight_matrix(weight, message):
    with pytest.raises(ValueError, match=message):
        eigenvalues(weight)


def test_zero_and_empty_matrices():
    assert np.array_equal(eigenvalues(np.zeros((6, 4))), np.zeros(4))
    assert eigenvalues(np.zeros((0, 4))).shape == (0,)


def rank_of(weight) -> int:
    return numerical_rank(eigenvalues(weight), tuple(weight.shape), weight.dtype)


@pytest.mark.parametrize("dtype", [torch.float64, torch.float32, torch.float16, torch.bfloat16])
@pytest.mark.parametrize("shape", [(256, 256), (100, 300), (1000, 1000), (3, 3), (1, 5)])
def test_random_matrices_have_full_rank(dtype, shape):
    torch.manual_seed(3)
    assert rank_of(torch.randn(shape).to(dtype)) == min(shape)


@pytest.mark.parametrize("dtype", [torch.float64, torch.float32, torch.float16, torch.bfloat16])
def test_copied_and_zeroed_rows_lower_the_rank(dtype):
    torch.manual_seed(4)
    weight = torch.randn(256, 256).to(dtype)
    weight[7] = weight[200]
    assert rank_of(weight) == 255
    weight[30:40] = 0
    assert rank_of(weight) == 245
    assert rank_of(weight.T) == 245
    assert rank_of(torch.zeros(9, 5, dtype=dtype)) == 0


@pytest.mark.parametrize("rank", [1, 8, 64])
@pytest.mark.parametrize("shape", [(256, 256), (300, 200)])
@pytest.mark.parametrize("dtype", [np.float32, np.float64])
def test_low_rank_products(shape, rank, dtype):
    rng = np.random.default_rng(rank)
    left = rng.standard_normal((shape[0], rank)).astype(dtype)
    weight = left @ rng.standard_normal((rank, shape[1])).astype(dtype)
    assert rank_of(weight) == rank
    assert rank_of(1e-6 * weight) == rank
    values = eigenvalues(weight, normalise=True)
    assert numerical_rank(values, shape, dtype) == rank
    assert numerical_rank(values, shape, np.dtype(dtype).name) == rank


def test_rank_beyond_the_svd_route(monkeypatch):
    monkeypatch.setattr(spectrum, "SVD_BYTES", 0)
    rng = np.random.default_rng(5)
    weight = rng.standard_normal((300, 300))
    assert rank_of(weight) == 300
    weight[1] = weight[0]
    assert rank_of(weight) == 299
    product = rng.standard_normal((300, 8)) @ rng.standard_normal((8, 300))
    assert rank_of(product) == rank_of(product.astype(np.float32)) == 8


def test_rank_refuses_values_of_another_shape():
    with pytest.raises(ValueError, match="has 3 eigenvalues"):
        numerical_rank(np.ones(4), (5, 3), np.float32)


@pytest.mark.skipif(sys.platform != "linux", reason="reads /proc")
@pytest.mark.parametrize(
    "make",
    [
        "np.random.default_rng(0).standard_normal({shape}, dtype=np.float32)",
        "np.random.default_rng(0).standard_normal({shape}, dtype=np.float32).T",
        "torch.empty({shape}, dtype=torch.bfloat16).normal_()",
    ],
    ids=["float32", "transposed", "bfloat16"],
)
def test_memory_beyond_the_weight(make):
    """Half of 16384 x 4096 in each direction; for that one the limit is 350 MB."""
    code = f"""
        import numpy as np
        import torch
        from hearsay.spectral.spectrum import eigenvalues

        def peak():  # ru_maxrss would begin with the parent's
            return int(open("/proc/self/status").read().split("VmHWM:")[1].split()[0])

        eigenvalues(np.random.default_rng(0).standard_normal((300, 200)))  # loads libraries
        weight = {make.format(shape=(8192, 2048))}  # made without a higher peak of its own
        before = peak()
        eigenvalues(weight)
        print(peak() - before)
        """
    child = subprocess.run(
        [sys.executable, "-c", textwrap.dedent(code)],
        env={**os.environ, "OMP_NUM_THREADS": "1", "OPENBLAS_NUM_THREADS": "1"},
        check=True,
        capture_output=True,
        text=True,
    )
    megabytes = int(child.stdout) / 1024
    gram = 8 * 2048**2 / 2**20
    # The Gram matrix once, one block of 4 MB, and slack. A float64 copy of the weight: 128 MB.
    assert gram < megabytes < gram + 4 + 16
