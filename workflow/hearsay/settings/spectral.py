"""Settings of the audit of weight matrices."""

from typing import Annotated, Literal

from pydantic import Field

from hearsay.settings.closed import Closed, EachOnce, Name

Convention = Literal["weightwatcher-2019", "paper", "pooled", "flattened"]


class Spectral(Closed):
    """The power-law audit of weight matrices (paper: capacity metrics)."""

    models: Annotated[list[Name], EachOnce] | None = Field(
        None, description="which of `models` to audit; all that name a series if not set"
    )
    convention: Convention = Field(
        "weightwatcher-2019",
        description="how tensors become matrices and which eigenvalues are fitted; "
        "the default is the one behind the published tables",
    )
    min_size: int | None = Field(
        None, ge=2, description="smallest matrix that is fitted; the convention's own if not set"
    )
    device: str = Field(
        "cpu",
        pattern=r"^(cpu|cuda(:[0-9]+)?)$",
        description="`cpu`, or `cuda` where a GPU does the linear algebra",
    )
    threads: int = Field(2, ge=1, description="CPU threads of one model's audit")
    placeholders: list[str] = Field(
        [], description="classes in a pickle to replace by empty ones, such as `package.Class`"
    )
    pair: tuple[Name, Name] | None = Field(
        None, description="two models compared layer by layer in Figure 4"
    )
    esd: Name | None = Field(
        None, description="the model whose largest spectrum is drawn; the first one if not set"
    )
    trained_jobs: Literal["model", "all"] = Field(
        "model",
        description="how the models trained here are audited: a job each `model`, or one for `all` "
        "of them, which is best for small ones",
    )
