"""The command line: what it prints, writes and refuses, and with which status."""

import argparse
import re
import subprocess
import sys
import xml.etree.ElementTree as ElementTree

import numpy as np
import pandas as pd
import pytest
import torch
from safetensors.torch import save_file
from typer.testing import CliRunner

from hearsay.errors import InputError
from hearsay.spectral.__main__ import app
from hearsay.spectral.esd_plot import write_esd_plot
from hearsay.spectral.report import audit


@pytest.fixture
def model(tmp_path, heavy):
    state = {
        "conv.weight": heavy(64, 52, 1, 2),
        "fc.weight": heavy(300, 200),
        "small.weight": heavy(10, 30),
        "zero.weight": torch.zeros(60, 60),
        "fc.bias": heavy(300),
    }
    save_file(state, tmp_path / "model.safetensors")
    return tmp_path / "model.safetensors"


def run(*arguments):
    return CliRunner().invoke(app, [str(argument) for argument in arguments])


def error_of(result) -> str:
    assert result.exit_code == 1
    lines = [line for line in result.stderr.splitlines() if line.startswith("error: ")]
    assert len(lines) == 1
    assert "Traceback" not in result.output
    return lines[0]


def test_the_summary_says_what_was_fitted_and_what_not(model, tmp_path):
    result = run(model, "--out", tmp_path / "new" / "audit.csv")
    assert result.exit_code == 0, result.output
    text = result.stdout
    frame = audit(model)
    pd.testing.assert_frame_equal(
        pd.read_csv(tmp_path / "new" / "audit.csv", keep_default_na=False, na_values=[""]),
        pd.read_csv(_csv(frame, tmp_path), keep_default_na=False, na_values=[""]),
    )
    assert "convention  weightwatcher-2019" in text
    assert "eigenvalues of W^T W, no 1/N and no rescaling" in text
    assert re.search(r"too_small +1  M is below 50$", text, re.MULTILINE)
    assert re.search(r"zero +1  all values are zero$", text, re.MULTILINE)
    mean, total = frame["alpha"].mean(), frame["alpha_hat"].sum()
    assert f"mean {mean:.6f} (n = 3, in 2 layers)" in text
    assert f"sum {total:.6f} (Eq. 3)" in text
    for control in ("log10 lambda_max", "log10 ||W||_F^2", "stable rank", "log stable rank"):
        assert re.search(rf"{re.escape(control)} +-?[0-9.]+ \(n = 3\)", text)
    assert "4/4" in result.stderr  # progress
    assert "tensor" in result.stderr


def _csv(frame, folder):
    frame.to_csv(folder / "expected.csv", index=False)
    return folder / "expected.csv"


def test_options_reach_the_audit(model, tmp_path):
    run(model, "--convention", "paper", "--min-size", 11, "--out", tmp_path / "a.csv")
    written = pd.read_csv(tmp_path / "a.csv")
    expected = audit(model, convention="paper", min_size=11)
    np.testing.assert_array_equal(written["alpha"], expected["alpha"])
    assert list(written["status"]) == list(expected["status"])


def test_nan_is_named_and_the_others_are_reported(tmp_path, heavy):
    bad, worse = heavy(60, 60), heavy(60, 60, 1, 2)
    bad[0, 0], worse[0, 0, 0, 1] = float("nan"), float("inf")
    state = {"bad.weight": bad, "good.weight": heavy(60, 60), "worse.weight": worse}
    torch.save(state, tmp_path / "a.pth")
    result = run(tmp_path / "a.pth", "--out", tmp_path / "a.csv", "--plot", tmp_path / "a.svg")
    assert result.exit_code == 1
    errors = [line for line in result.stderr.splitlines() if line.startswith("error: ")]
    assert errors == [
        "error: bad.weight: 1 of 3600 values are NaN or infinite",
        "error: worse.weight: 1 of 7200 values are NaN or infinite",
    ]
    assert "(n = 1, in 1 layers)" in result.stdout
    frame = pd.read_csv(tmp_path / "a.csv")
    assert list(frame["alpha"].notna()) == [False, True, False]
    assert (tmp_path / "a.svg").exists()


def test_a_model_without_a_single_fit(tmp_path):
    torch.save({"zero.weight": torch.zeros(60, 60)}, tmp_path / "a.pth")
    result = run(tmp_path / "a.pth")
    assert result.exit_code == 0
    assert "alpha       none: no matrix could be fitted" in result.stdout
    assert "no spectrum to draw" in error_of(run(tmp_path / "a.pth", "--plot", tmp_path / "a.svg"))


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["--convention", "ww"], "no convention 'ww'"),
        (["--min-size", "1"], "min_size 1"),
        (["--device", "tpu"], "device 'tpu'"),
        (["--plot", "a.gif"], "a.gif: a plot is written as one of .svg, .pdf, .png"),
        (["--layer", "fc.weight"], "give --plot too"),
        (["--out", "."], "a folder; --out names a file"),
    ],
)
def test_wrong_options_end_with_one_line(model, arguments, message, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    assert message in error_of(run(model, *arguments))
    assert sorted(tmp_path.iterdir()) == [model]


def test_a_missing_model_ends_with_one_line(tmp_path):
    assert "no such file" in error_of(run(tmp_path / "nothing.safetensors"))


def test_a_hub_name_says_what_is_missing(monkeypatch, tmp_path):
    monkeypatch.setattr("huggingface_hub.constants.HF_HUB_CACHE", str(tmp_path))
    message = error_of(run("timm/vgg11.tv_in1k"))
    assert "model.safetensors of the hub model timm/vgg11.tv_in1k is not in the local" in message


def test_an_unwritable_output_ends_with_one_line(model, tmp_path):
    (tmp_path / "file").write_text("")
    assert str(tmp_path / "file") in error_of(run(model, "--out", tmp_path / "file" / "a.csv"))


def test_placeholders_on_the_command_line(tmp_path, heavy):
    content = {"state_dict": {"w.weight": heavy(60, 60)}, "args": argparse.Namespace(a=1)}
    torch.save(content, tmp_path / "a.pth")
    assert "argparse.Namespace" in error_of(run(tmp_path / "a.pth"))
    assert run(tmp_path / "a.pth", "--placeholder", "argparse.Namespace").exit_code == 0


# --- the plot ------------------------------------------------------------------------------------


def test_the_plot_is_deterministic_and_shows_the_fits(model, tmp_path):
    for name in ("a.svg", "b.svg"):
        assert run(model, "--plot", tmp_path / name).exit_code == 0
    first = (tmp_path / "a.svg").read_bytes()
    assert first == (tmp_path / "b.svg").read_bytes()
    assert b"<dc:date>" not in first
    root = ElementTree.fromstring(first)
    axes = [e for e in root.iter() if re.fullmatch(r"axes_\d+", e.get("id", ""))]
    assert len(axes) == 2  # conv (its first slice) and fc


def test_chosen_layers_are_drawn_with_all_their_slices(model, tmp_path):
    assert run(model, "--plot", tmp_path / "a.svg", "--layer", "conv.weight").exit_code == 0
    text = (tmp_path / "a.svg").read_text()
    assert "conv.weight [0,0]" in text
    assert "conv.weight [0,1]" in text
    assert "fc.weight" not in text
    message = error_of(run(model, "--plot", tmp_path / "b.svg", "--layer", "fc.wieght"))
    assert "no weight 'fc.wieght' in this model; near it: fc.weight" in message
    message = error_of(run(model, "--plot", tmp_path / "b.svg", "--layer", "small.weight"))
    assert "no spectrum to draw (too_small: M is below 50)" in message


def test_at_most_twelve_panels_and_failures_without_a_line(tmp_path, heavy):
    spectra = {}
    state = {f"l{k}.weight": heavy(30 - k, 40) for k in range(14)}
    state["low.weight"] = heavy(30, 3) @ heavy(3, 30)
    frame = audit(state, convention="paper", keep_eigenvalues=spectra.__setitem__)
    write_esd_plot(tmp_path / "a.svg", frame, spectra)
    text = (tmp_path / "a.svg").read_text()
    assert "l11.weight" in text
    assert "l12.weight" not in text
    write_esd_plot(tmp_path / "b.svg", frame, spectra, ["low.weight"])
    assert "numerical rank 3 of 30" in (tmp_path / "b.svg").read_text()
    with pytest.raises(InputError, match="13 spectra chosen, of which 12 fit"):
        write_esd_plot(tmp_path / "c.svg", frame, spectra, [f"l{k}.weight" for k in range(13)])
    for suffix in ("png", "pdf"):
        write_esd_plot(tmp_path / f"a.{suffix}", frame, spectra, ["l0.weight"])
        assert (tmp_path / f"a.{suffix}").stat().st_size > 1000


# --- as a program --------------------------------------------------------------------------------


def test_help_explains_and_waits_for_no_torch():
    code = (
        "import sys\n"
        "from typer.testing import CliRunner\n"
        "from hearsay.spectral.__main__ import app\n"
        "result = CliRunner().invoke(app, ['--help'])\n"
        "print(result.stdout)\n"
        "print('loaded:', *sorted({'torch', 'scipy', 'pandas', 'matplotlib'} & set(sys.modules)))\n"
    )
    result = subprocess.run(
        [sys.executable, "-c", code], capture_output=True, text=True, check=True
    )
    for word in ("MODEL", "--convention", "--out", "--plot", "--layer", "--min-size", "--device"):
        assert word.lower() in result.stdout.lower()
    assert "--placeholder" in result.stdout
    assert "Eq. 3" in result.stdout
    assert result.stdout.rstrip().endswith("loaded:")


def test_the_package_hands_names_on_without_importing_them_early():
    code = (
        "import sys, hearsay.spectral as spectral\n"
        "assert not {'torch', 'numpy', 'pandas'} & set(sys.modules)\n"
        "assert {'audit', 'eigenvalues', 'fit_power_law', 'summarise'} <= set(dir(spectral))\n"
        "spectral.fit_power_law\n"
        "assert 'torch' not in sys.modules\n"
        "for name in spectral.__all__:\n"
        "    assert getattr(spectral, name).__doc__, name\n"
        "try:\n"
        "    spectral.nothing\n"
        "except AttributeError as error:\n"
        "    assert 'nothing' in str(error)\n"
        "else:\n"
        "    raise AssertionError('an unknown name was found')\n"
    )
    subprocess.run([sys.executable, "-c", code], check=True)


def test_as_a_module(model, tmp_path):
    command = [sys.executable, "-m", "hearsay.spectral", str(tmp_path / "none.pth")]
    result = subprocess.run(command, capture_output=True, text=True)
    assert result.returncode == 1
    assert result.stdout == ""
    assert result.stderr == f"error: {tmp_path / 'none.pth'}: no such file or folder\n"
