"""Means and sums over successes only, with their counts."""

import numpy as np
import pandas as pd
import pytest
import torch
from audits import audit_small
from torch import nn

from hearsay.errors import InputError
from hearsay.spectral.columns import STATUSES
from hearsay.spectral.report import audit
from hearsay.spectral.summarise_audits import all_rows
from hearsay.spectral.summary import summarise, summary_table

# --- summary -------------------------------------------------------------------------------------


def test_summary_counts_and_means(heavy):
    state = {
        "a.weight": heavy(60, 60),
        "conv.weight": heavy(60, 60, 1, 2),
        "zero.weight": torch.zeros(60, 60),
        "b.weight": heavy(20, 60),
        "ids": torch.zeros(4, 4, dtype=torch.int64),
    }
    frame = audit(state)
    table = summary_table(frame)
    value, n = table["value"], table["n"]
    good = frame[frame["alpha"].notna()]
    assert len(good) == 3
    assert value["matrices"] == 6
    assert value["depth"] == 2
    counts = value[[f"status_{status}" for status in STATUSES]]
    assert counts.sum() == 6
    assert counts["status_ok"] + counts["status_small_tail"] == 3
    assert (counts["status_zero"], counts["status_too_small"], counts["status_skipped"]) == (
        1,
        1,
        1,
    )
    assert value["alpha"] == pytest.approx(good["alpha"].mean())
    assert value["alpha_hat_sum"] == pytest.approx(3 * value["alpha_hat"])  # Eq. 3
    assert value["alpha_hat_normalised_sum"] == pytest.approx(good["alpha_hat_normalised"].sum())
    assert n["alpha"] == n["alpha_hat_sum"] == 3
    assert pd.isna(n["depth"])
    assert list(table.index) == [
        "depth",
        "matrices",
        *(f"status_{status}" for status in STATUSES),
        "alpha",
        "alpha_hat",
        "alpha_hat_sum",
        "alpha_hat_normalised",
        "alpha_hat_normalised_sum",
        "alpha_hat_unnormalised",
        "alpha_hat_rescaled",
        "log_spectral_norm",
        "log_frobenius_norm",
        "stable_rank",
        "log_stable_rank",
    ]


def test_alpha_hat_in_the_scale_of_the_published_tables(heavy):
    """k^2 / 2 for the slices of a k x k convolution, 1 / 2 for any other matrix."""
    frame = audit({"fc.weight": heavy(60, 70), "conv.weight": heavy(60, 60, 3, 3)})
    assert len(frame) == 10
    scale = [1 / 2] + 9 * [9 / 2]
    expected = (frame["alpha"] * np.log10(frame["lambda_max"] * scale)).mean()
    assert summarise(frame)["alpha_hat_rescaled"] == pytest.approx(expected, rel=1e-12)
    flat = audit({"conv.weight": heavy(60, 60, 3, 3)}, convention="flattened")
    expected = (flat["alpha"] * np.log10(flat["lambda_max"] / 2)).mean()
    assert summarise(flat)["alpha_hat_rescaled"] == pytest.approx(expected, rel=1e-12)


def test_the_groups_of_a_flattened_convolution_are_no_slices():
    torch.manual_seed(0)
    flat = audit(nn.Conv2d(64, 64, 3, groups=2), convention="flattened")
    assert list(flat["slice"]) == ["group 0", "group 1"]
    expected = (flat["alpha"] * np.log10(flat["lambda_max"] / 2)).mean()
    assert summarise(flat)["alpha_hat_rescaled"] == pytest.approx(expected, rel=1e-12)


def test_the_scale_of_the_published_tables_has_no_1_over_n(heavy):
    """The same fits, of W^T W and of X = W^T W / N (Eq. 2): one alpha_hat in their scale."""
    weights = {"fc.weight": heavy(60, 70), "conv.weight": heavy(60, 60, 3, 3)}
    plain, normalised = (summarise(audit(weights, normalise=flag)) for flag in (False, True))
    assert normalised["alpha_hat"] == normalised["alpha_hat_normalised"] < plain["alpha_hat"] - 1
    for metric in ("alpha_hat_unnormalised", "alpha_hat_rescaled"):
        assert normalised[metric] == pytest.approx(plain[metric], rel=1e-9)
    assert plain["alpha_hat_unnormalised"] == plain["alpha_hat"]


def test_summary_of_a_report_read_back(tmp_path, zoo):
    frame = audit_small(zoo)
    frame.to_csv(tmp_path / "a.csv", index=False)
    pd.testing.assert_series_equal(summarise(pd.read_csv(tmp_path / "a.csv")), summarise(frame))


def test_slices_of_a_report_read_back_may_be_numbers(tmp_path, heavy):
    """Kernel positions along one axis, beside a matrix without any: 0.0, 1.0 and NaN."""
    frame = audit({"conv.weight": heavy(60, 60, 2), "fc.weight": heavy(60, 70)})
    frame.to_csv(tmp_path / "a.csv", index=False)
    back = pd.read_csv(tmp_path / "a.csv")
    assert back["slice"].dtype == float
    pd.testing.assert_series_equal(summarise(back), summarise(frame))


def test_summary_without_a_success_has_no_means():
    summary = summarise(audit({"w.weight": torch.zeros(60, 60)}))
    assert summary["status_zero"] == 1
    assert summary["depth"] == 0
    assert summary[["alpha", "alpha_hat", "alpha_hat_sum", "log_spectral_norm"]].isna().all()


@pytest.mark.parametrize("kept", [0.0, 0.03, 0.9])
def test_a_damaged_audit_is_named(tmp_path, heavy, kept):
    path = tmp_path / "net.csv"
    audit({f"l{k}.weight": heavy(60, 60) for k in range(3)}).to_csv(path, index=False)
    path.write_bytes(path.read_bytes()[: int(kept * path.stat().st_size)])
    with pytest.raises(InputError, match=r"net\.csv: not a whole audit .*; delete it"):
        list(all_rows({"net": path}, {}, "paper", "0" * 12))


def test_summary_of_a_foreign_frame_is_refused(heavy):
    frame = audit({"w.weight": heavy(60, 60)})
    frame["status"] = "failed"
    with pytest.raises(ValueError, match="no audit gives the status failed"):
        summarise(frame)
