"""Audit the weight matrices of any model: ``python -m hearsay.spectral MODEL``."""

import sys
from pathlib import Path
from typing import TYPE_CHECKING

import typer

from hearsay.errors import InputError

if TYPE_CHECKING:
    import numpy as np
    import pandas as pd

app = typer.Typer(add_completion=False, pretty_exceptions_enable=False, rich_markup_mode=None)

CONTROLS = {
    "log10 lambda_max": "log_spectral_norm",
    "log10 ||W||_F^2": "log_frobenius_norm",
    "stable rank": "stable_rank",
    "log stable rank": "log_stable_rank",
}


@app.command()
def main(
    model: str = typer.Argument(
        help="A .safetensors file, an index of shards, a Hugging Face folder, a PyTorch "
        "checkpoint, a .nemo archive, or the name of a hub model in the local cache, such as "
        "timm/vgg11.tv_in1k."
    ),
    convention: str = typer.Option(
        "weightwatcher-2019",
        help="How tensors become matrices. weightwatcher-2019: the published tables (one matrix "
        "a kernel position, M >= 50, xmax the largest eigenvalue). paper: the paper's text "
        "(X = W^T W / N, M >= 10). pooled: one spectrum a convolution. flattened: a convolution "
        "as one matrix (out, in * kernel).",
    ),
    out: Path | None = typer.Option(None, help="CSV to write, one row a matrix or slice."),
    plot: Path | None = typer.Option(
        None, help="Spectra with their fits, to write as .svg, .pdf or .png."
    ),
    layer: list[str] = typer.Option(
        [], help="A weight to plot; by default the twelve with the most eigenvalues."
    ),
    min_size: int | None = typer.Option(
        None, help="Smallest matrix to fit; the convention's own if not given."
    ),
    device: str = typer.Option("cpu", help="cpu, cuda, cuda:1, or auto."),
    placeholder: list[str] = typer.Option(
        [], help="A class in a pickle, as module.Class, to replace by an empty object."
    ),
) -> None:
    """Fit a power law to the spectrum of every weight matrix of a model.

    Prints how many matrices were fitted and why others were not, the mean exponent alpha, the
    weighted alpha_hat = alpha log10 lambda_max as mean and as sum (Eq. 3 of the paper), and the
    controls that need no power law. Nothing is downloaded; a pickle is read without running code.

    Ends with status 1 if a weight holds NaN or infinite values; the others are still reported.
    """
    try:
        broken = _report(model, convention, out, plot, layer, min_size, device, placeholder)
    except InputError as error:
        _fail([str(error)])
    except OSError as error:
        _fail([f"{error.filename or model}: {error.strerror or error}"])
    if broken:
        _fail(broken)


def _report(
    model: str,
    convention: str,
    out: Path | None,
    plot: Path | None,
    layers: list[str],
    min_size: int | None,
    device: str,
    placeholders: list[str],
) -> list[str]:
    """Audit, write and print; return a line for every weight with NaN or infinite values."""
    # Imported here, so that --help does not wait for torch.
    from tqdm import tqdm

    from hearsay.files import whole_file
    from hearsay.spectral.matrices import convention_of
    from hearsay.spectral.report import audit

    if out is not None and out.is_dir():
        raise InputError(f"{out}: a folder; --out names a file")
    if layers and plot is None:
        raise InputError("--layer chooses what --plot draws: give --plot too")
    if plot is not None:
        from hearsay.spectral.esd_plot import check_format, write_esd_plot

        check_format(plot)
    rule = convention_of(convention, min_size=min_size)
    spectra: dict[int, np.ndarray] = {}
    frame = audit(
        model,
        convention=rule,
        device=device,
        placeholders=placeholders,
        keep_eigenvalues=spectra.__setitem__ if plot is not None else None,
        progress=lambda weights, total: tqdm(weights, total=total, unit="tensor", file=sys.stderr),
    )
    if out is not None:
        with whole_file(out) as temporary:
            frame.to_csv(temporary, index=False)
    described = str(rule).replace("; ", "\n            ").replace(": ", "\n            ", 1)
    typer.echo(f"model       {model}\nconvention  {described}\n{_summary(frame)}")
    if plot is not None:
        write_esd_plot(plot, frame, spectra, layers)
    named = frame[frame["status"] == "not_finite"].drop_duplicates("name")
    return [f"{row['name']}: {row['reason']}" for _, row in named.iterrows()]


def _summary(frame: "pd.DataFrame") -> str:
    from hearsay.spectral.columns import STATUSES
    from hearsay.spectral.summary import summary_table

    table = summary_table(frame)
    value, n = table["value"], table["n"]
    lines = [f"matrices    {len(frame)}, from {frame['name'].nunique()} tensors"]
    for status in STATUSES:
        rows = frame[frame["status"] == status]
        if len(rows):
            lines.append(f"  {status:<16}{len(rows):>6}  {_reasons(rows['reason'])}".rstrip())
    if not n["alpha"]:
        return "\n".join([*lines, "alpha       none: no matrix could be fitted"])
    lines += [
        f"alpha       mean {value['alpha']:.6f} (n = {n['alpha']}, in {value['depth']:.0f} layers)",
        f"alpha_hat   mean {value['alpha_hat']:.6f}, sum {value['alpha_hat_sum']:.6f} (Eq. 3)",
        f"  of W^T W / N  mean {value['alpha_hat_normalised']:.6f}, "
        f"sum {value['alpha_hat_normalised_sum']:.6f}",
        "controls    (means; they need no power law)",
        *(
            f"  {label:<18}{value[metric]:.6f} (n = {n[metric]})"
            for label, metric in CONTROLS.items()
        ),
    ]
    return "\n".join(lines)


def _reasons(reasons: "pd.Series") -> str:
    """The most frequent reasons, with how often each was given where they differ."""
    counts = reasons[reasons != ""].value_counts()
    shown = [
        str(reason) if len(counts) == 1 else f"{reason} ({count})"
        for reason, count in counts.head(3).items()
    ]
    if len(counts) > 3:
        shown.append(f"other reasons ({counts.iloc[3:].sum()})")
    return "; ".join(shown)


def _fail(messages: list[str]) -> None:
    for message in messages:
        typer.echo(f"error: {' '.join(message.split())}", err=True)
    raise typer.Exit(1)


if __name__ == "__main__":
    app(prog_name="python -m hearsay.spectral")
