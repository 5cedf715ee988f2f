"""Conventions against brute-force references, and the invariances that a spectrum must have."""

import numpy as np
import pytest
import torch

from hearsay.errors import InputError
from hearsay.spectral.matrices import CONVENTIONS, convention_of
from hearsay.spectral.power_law import fit_power_law
from hearsay.spectral.report import audit

FIT = ["alpha", "xmin", "D", "sigma", "n_tail"]


def reference(values, xmax=None):
    """alpha, xmin, D of the definition, by trying every xmin; slow and plain."""
    x = np.sort(np.asarray(values, dtype=np.float64))
    best = None
    for xmin in np.unique(x)[:-1]:
        tail = x[x >= xmin]
        alpha = 1 + len(tail) / np.log(tail / xmin).sum()
        F = 1 - (tail / xmin) ** (1 - alpha)
        if xmax is not None:
            F /= 1 - (xmax / xmin) ** (1 - alpha)
        D = np.abs(F - np.arange(len(tail)) / len(tail)).max()
        if best is None or best[2] > D:
            best = (alpha, xmin, D)
    return best


def squared_singular_values(matrix):
    return np.sort(np.linalg.svd(np.asarray(matrix, dtype=np.float64), compute_uv=False) ** 2)


def of_slice(frame, label):
    rows = frame[frame["slice"] == label]
    assert len(rows) == 1
    return rows.iloc[0]


# --- each convention against its definition ------------------------------------------------------


def test_slices_of_2019_drop_the_smallest_and_end_at_the_largest(heavy):
    weight = heavy(64, 56, 3, 2)
    frame = audit({"conv.weight": weight})
    assert list(frame["slice"]) == ["0,0", "0,1", "1,0", "1,1", "2,0", "2,1"]
    for i in range(3):
        for j in range(2):
            row = of_slice(frame, f"{i},{j}")
            values = squared_singular_values(weight[:, :, i, j])
            alpha, xmin, D = reference(values[1:], xmax=values[-1])
            assert (row["N"], row["M"]) == (64, 56)
            np.testing.assert_allclose(
                [row["alpha"], row["xmin"], row["D"], row["lambda_max"]],
                [alpha, xmin, D, values[-1]],
                rtol=1e-9,
            )
            assert row["alpha_hat"] == pytest.approx(alpha * np.log10(values[-1]))
            assert row["alpha_hat_normalised"] == pytest.approx(alpha * np.log10(values[-1] / 64))
            assert row["log_frobenius_norm"] == pytest.approx(np.log10(values.sum()))
            assert row["stable_rank"] == pytest.approx(values.sum() / values[-1])
            assert row["log_stable_rank"] == pytest.approx(
                np.log10(values.sum()) / np.log10(values[-1])
            )


def test_the_smallest_eigenvalue_is_left_out_of_the_fit_only():
    # A whole spectrum that is a power law (alpha = 3): the fit takes all that it is given.
    values = (1 - (np.arange(100) + 0.5) / 100) ** -0.5
    weight = {"w.weight": torch.from_numpy(np.diag(np.sqrt(values)))}
    dropped, whole = (audit(weight, drop_smallest=drop).iloc[0] for drop in (None, False))
    assert (dropped["n_tail"], whole["n_tail"]) == (99, 100)
    assert dropped["xmin"] == pytest.approx(values[1])
    assert dropped["stable_rank"] == whole["stable_rank"]


def test_paper_divides_by_n_and_its_two_alpha_hats_agree(heavy):
    weight = heavy(48, 16, 1, 2)
    row = of_slice(audit({"conv.weight": weight}, convention="paper"), "0,1")
    values = squared_singular_values(weight[:, :, 0, 1]) / 48
    alpha, xmin, _ = reference(values)
    np.testing.assert_allclose(
        [row["alpha"], row["xmin"], row["lambda_max"]], [alpha, xmin, values[-1]], rtol=1e-9
    )
    assert (
        row["alpha_hat"]
        == row["alpha_hat_normalised"]
        == pytest.approx(alpha * np.log10(values[-1]))
    )


def test_pooled_joins_all_positions_of_a_convolution(heavy):
    weight = heavy(12, 20, 3, 3)
    frame = audit({"conv.weight": weight}, convention="pooled")
    values = np.sort(
        np.concatenate(
            [squared_singular_values(weight[:, :, i, j]) for i in range(3) for j in range(3)]
        )
    )
    alpha, xmin, _ = reference(values)
    (row,) = frame.to_dict("records")
    assert (row["N"], row["M"], row["slice"]) == (20, 12, "")
    np.testing.assert_allclose(
        [row["alpha"], row["xmin"], row["lambda_max"]], [alpha, xmin, values[-1]], rtol=1e-9
    )
    assert row["log_frobenius_norm"] == pytest.approx(np.log10(values.sum()))


def test_pooled_counts_eigenvalues_not_sides(heavy):
    frame = audit(
        {"conv.weight": heavy(8, 3, 2, 2), "small.weight": heavy(8, 3, 1, 3)}, convention="pooled"
    )
    assert list(frame["status"] == "too_small") == [False, True]  # 12 and 9 eigenvalues


def test_flattened_is_the_map_of_one_patch(heavy):
    weight = heavy(40, 6, 3, 3)
    (row,) = audit({"conv.weight": weight}, convention="flattened").to_dict("records")
    values = squared_singular_values(weight.reshape(40, 54))
    alpha, xmin, _ = reference(values)
    assert (row["N"], row["M"]) == (54, 40)
    np.testing.assert_allclose(
        [row["alpha"], row["xmin"], row["lambda_max"]], [alpha, xmin, values[-1]], rtol=1e-9
    )


def test_flattened_transposed_convolution_has_in_and_out_in_their_places():
    torch.manual_seed(0)
    layer = torch.nn.ConvTranspose2d(6, 20, 3, bias=False)  # weight (in, out, 3, 3)
    (row,) = audit(layer, convention="flattened").to_dict("records")
    matrix = layer.weight.detach().permute(1, 0, 2, 3).reshape(20, 54)
    assert (row["N"], row["M"], row["kind"]) == (54, 20, "conv_transpose2d")
    assert row["lambda_max"] == pytest.approx(squared_singular_values(matrix)[-1], rel=1e-12)


def test_transposed_groups_are_along_the_input_channels(heavy):
    layer = torch.nn.ConvTranspose2d(24, 40, 2, groups=2, bias=False)
    layer.weight.data = heavy(24, 20, 2, 2)
    frame = audit(layer, convention="flattened")
    assert list(frame["slice"]) == ["group 0", "group 1"]
    for group, row in enumerate(frame.to_dict("records")):
        block = layer.weight.detach()[12 * group : 12 * (group + 1)]
        matrix = block.permute(1, 0, 2, 3).reshape(20, 48)
        assert row["lambda_max"] == pytest.approx(squared_singular_values(matrix)[-1], rel=1e-12)


def test_groups_are_split_and_pooled(heavy):
    layer = torch.nn.Conv2d(24, 36, (1, 2), groups=2, bias=False)
    layer.weight.data = heavy(36, 12, 1, 2)
    weight = layer.weight.detach()
    frame = audit(layer, convention="paper", normalise=False)
    assert list(frame["slice"]) == [
        "group 0 / 0,0",
        "group 0 / 0,1",
        "group 1 / 0,0",
        "group 1 / 0,1",
    ]
    row = of_slice(frame, "group 1 / 0,1")
    assert row["lambda_max"] == pytest.approx(squared_singular_values(weight[18:, :, 0, 1])[-1])
    (pooled,) = audit(layer, convention="pooled").to_dict("records")
    total = (weight.double() ** 2).sum().item()
    assert pooled["log_frobenius_norm"] == pytest.approx(np.log10(total))
    assert pooled["lambda_max"] == pytest.approx(frame["lambda_max"].max())


# --- invariances ---------------------------------------------------------------------------------


def test_transpose_and_permutations_change_no_fit(heavy):
    weight = heavy(70, 60)
    order = torch.randperm(70, generator=torch.Generator().manual_seed(1))
    frames = [
        audit({"w.weight": w}) for w in (weight, weight.T.contiguous(), weight.T, weight[order])
    ]
    for frame in frames[1:]:
        np.testing.assert_allclose(
            frame[FIT].astype(float), frames[0][FIT].astype(float), rtol=1e-9
        )


@pytest.mark.parametrize("scale", [1e-6, 1e6])
def test_scale_leaves_alpha_and_shifts_alpha_hat(heavy, scale):
    weight = heavy(60, 64).double()
    plain, scaled = (audit({"w.weight": w}).iloc[0] for w in (weight, weight * scale))
    assert scaled["alpha"] == pytest.approx(plain["alpha"], rel=1e-9)
    assert scaled["alpha_hat"] - plain["alpha_hat"] == pytest.approx(
        2 * plain["alpha"] * np.log10(scale), rel=1e-9
    )


def test_a_slice_is_the_matrix_in_any_order_of_axes(heavy):
    oihw = heavy(60, 52, 3, 3)
    hwio = oihw.permute(2, 3, 1, 0).contiguous()
    frame = audit({"conv.weight": oihw})
    for i in range(3):
        for j in range(3):
            alone = audit({"w.weight": hwio[i, j]}).iloc[0]
            row = of_slice(frame, f"{i},{j}")
            np.testing.assert_allclose(alone[FIT].astype(float), row[FIT].astype(float), rtol=1e-9)


@pytest.mark.parametrize("convention", CONVENTIONS)
def test_a_1x1_convolution_is_a_dense_layer(heavy, convention):
    weight = heavy(64, 52)
    dense, conv = (
        audit({"w.weight": w}, convention=convention).iloc[0]
        for w in (weight, weight[:, :, None, None])
    )
    assert (dense[[*FIT, "N", "M"]] == conv[[*FIT, "N", "M"]]).all()


def test_an_even_kernel_with_fewer_outputs_has_its_larger_side_first(heavy):
    frame = audit({"conv.weight": heavy(16, 64, 4, 4)}, convention="paper")
    assert len(frame) == 16
    assert (frame["N"] == 64).all()
    assert (frame["M"] == 16).all()


# --- overrides -----------------------------------------------------------------------------------


def test_every_field_can_be_overridden(heavy):
    weight = {"w.weight": heavy(64, 52)}
    values = squared_singular_values(weight["w.weight"])
    row = audit(weight, xmax="none", drop_smallest=False, normalise=True, min_size=10).iloc[0]
    fit = fit_power_law(values / 64)
    assert row["alpha"] == pytest.approx(fit.alpha, rel=1e-9)
    assert row["lambda_max"] == pytest.approx(values[-1] / 64)
    assert audit(weight, min_size=53).iloc[0]["status"] == "too_small"
    rule = convention_of("paper", min_size=99, xmax=None)
    assert (rule.min_size, rule.xmax, rule.normalise) == (99, "none", True)
    assert audit(weight, convention=rule).iloc[0]["status"] == "too_small"


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"convention": "weightwatcher"}, "choose one of weightwatcher-2019, paper, pooled"),
        ({"min_size": 1}, "min_size 1"),
        ({"xmax": "max"}, "xmax 'max'"),
    ],
)
def test_unknown_options_are_refused(heavy, options, message):
    with pytest.raises(InputError, match=message):
        audit({"w.weight": heavy(60, 60)}, **options)


def test_a_convention_says_in_words_what_it_does():
    assert "X = W^T W / N (Eq. 2)" in str(CONVENTIONS["paper"])
    assert "no 1/N" in str(CONVENTIONS["weightwatcher-2019"])
