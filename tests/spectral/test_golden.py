"""The authors' own published numbers, from the very weights they used (2019 convention)."""

import pandas as pd
import pytest
from typer.testing import CliRunner

from hearsay.spectral.__main__ import app
from hearsay.spectral.report import audit
from hearsay.spectral.summary import summarise

pytestmark = pytest.mark.real_data

# IntelLabs/distiller ResNet-20; the numbers are WeightWatcher 0.1.2's, as published.
DISTILLER = {
    "checkpoint_trained_dense": (3.2900305228, 1.2619667760),
    "checkpoint_trained_4D_regularized_5Lremoved_finetuned": (2.9283531958, 1.0113120746),
    "checkpoint_trained_channel_regularized_resnet20_finetuned": (2.8356886560, 1.0363721888),
}
# akamaster/pytorch_resnet_cifar10; measured independently of this code, to the digits given:
# slices, mean alpha, mean alpha_hat, mean of X / N, sum, sum of X / N; then with M >= 10 and no
# xmax: mean alpha, mean alpha_hat, mean log10 lambda_max, mean log10 ||W||_F^2.
CIFAR = {
    "resnet20-12fca82f": "45 3.1435 1.1268 -4.551 50.7 -204.8 2.8255 0.7908 .2733 1.042",
    "resnet32-d509ac18": "81 3.4224 0.5354 -5.646 43.4 -457.3 2.6973 0.2687 .0862 .862",
    "resnet44-014dd654": "117 3.0836 0.1173 -5.452 13.7 -637.9 2.6804 -0.1194 -.0422 .724",
    "resnet56-4bfd9763": "153 2.9776 -0.1425 -5.521 -21.8 -844.7 2.5863 -0.3249 -.1340 .624",
}


@pytest.mark.parametrize("name", DISTILLER)
def test_distiller(real_data, name):
    alpha, alpha_hat = DISTILLER[name]
    frame = audit(real_data / "distiller" / f"{name}.pth.tar")
    summary = summarise(frame)
    assert summary["status_ok"] + summary["status_small_tail"] == 45
    assert summary["alpha"] == pytest.approx(alpha, abs=5e-6)
    assert summary["alpha_hat"] == pytest.approx(alpha_hat, abs=2e-6)
    assert summary["alpha_hat_sum"] == pytest.approx(45 * alpha_hat, abs=1e-4)
    # No slice that the authors fitted is rank-deficient: none had to be treated specially.
    assert summary["status_rank_deficient"] == 0


@pytest.mark.parametrize("name", DISTILLER)
def test_distiller_on_the_command_line(real_data, name, tmp_path):
    alpha, alpha_hat = DISTILLER[name]
    path = real_data / "distiller" / f"{name}.pth.tar"
    result = CliRunner().invoke(app, [str(path), "--out", str(tmp_path / "audit.csv")])
    assert result.exit_code == 0, result.output
    (line,) = [line for line in result.stdout.splitlines() if line.startswith("alpha  ")]
    assert "(n = 45, in 5 layers)" in line
    assert float(line.split()[2]) == pytest.approx(alpha, abs=5e-6)
    (line,) = [line for line in result.stdout.splitlines() if line.startswith("alpha_hat")]
    assert float(line.split()[2].rstrip(",")) == pytest.approx(alpha_hat, abs=2e-6)
    written = pd.read_csv(tmp_path / "audit.csv")
    pd.testing.assert_series_equal(summarise(written), summarise(audit(path)))


@pytest.mark.parametrize("name", CIFAR)
def test_cifar_resnets(real_data, name):
    path = real_data / "cifar-resnets" / f"{name}.th"
    published = summarise(audit(path))
    loose = summarise(audit(path, convention="paper", normalise=False))
    paper = summarise(audit(path, convention="paper"))
    measured = [
        published["status_ok"] + published["status_small_tail"],
        *published[["alpha", "alpha_hat", "alpha_hat_normalised"]],
        *published[["alpha_hat_sum", "alpha_hat_normalised_sum"]],
        *loose[["alpha", "alpha_hat", "log_spectral_norm", "log_frobenius_norm"]],
    ]
    for text, value in zip(CIFAR[name].split(), measured, strict=True):
        decimals = len(text.partition(".")[2])
        assert value == pytest.approx(float(text), abs=0.5000001 * 10**-decimals)
    # The paper's X = W^T W / N: the same exponents, and the alpha_hat of X.
    assert paper["alpha"] == pytest.approx(loose["alpha"], rel=1e-12)
    assert paper["alpha_hat"] == pytest.approx(loose["alpha_hat_normalised"], rel=1e-9)
