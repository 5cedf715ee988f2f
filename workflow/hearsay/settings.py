"""Every setting of the workflow, as closed models: an unknown key is an error.

`config/schema.json` and the table in `config/README.md` are made from here by
``python -m hearsay.config --write``. Settings carry no logic, so that editing this file reruns no
step: a step sees only the values that its rule hands it.
"""

from typing import Annotated, Literal

from pydantic import BaseModel, ConfigDict, Field, model_validator

Name = Annotated[
    str,
    Field(
        pattern=r"^[A-Za-z0-9][A-Za-z0-9._-]*$",
        description="letters, digits, dots, dashes and underscores; it becomes a file's name",
    ),
]
Convention = Literal["weightwatcher-2019", "paper", "pooled", "flattened"]


class Closed(BaseModel):
    """A group of settings that knows all its keys."""

    model_config = ConfigDict(extra="forbid", frozen=True)


class Folders(Closed):
    """Where files go; relative to the working directory (`snakemake --directory`)."""

    results: str = Field("results/paper", description="scores, tables, figures, the result page")
    logs: str = Field("logs/paper", description="one log a job")
    benchmarks: str = Field("logs/paper/benchmarks", description="time and memory of every job")
    resources: str = Field("resources", description="everything downloaded; shared by all results")


class DigitsNet(Closed):
    """A small convolutional net, trained on scikit-learn's handwritten digits (8x8 pixels)."""

    layers: int = Field(3, ge=1, le=50, description="convolutions of 3x3")
    channels: int = Field(64, ge=1, description="output channels of each convolution")
    epochs: int = Field(12, ge=0, description="passes over the training images; 0 leaves it random")
    batch_size: int = Field(64, ge=1, description="images a step")
    learning_rate: float = Field(0.05, gt=0, description="peak of the one-cycle schedule (SGD)")
    weight_decay: float = Field(5e-4, ge=0, description="L2 penalty")
    seed: int = Field(0, ge=0, description="initial weights and order of images")


class PretrainedModel(Closed):
    """One neural network whose weights are read. Name exactly one of hub, url, path, digits."""

    hub: str | None = Field(
        None, description="repository on the Hugging Face hub, such as `timm/vgg11.tv_in1k`"
    )
    revision: str | None = Field(None, description="commit of the hub repository (40 digits)")
    url: str | None = Field(None, description="address of one weights file")
    sha256: str | None = Field(
        None,
        pattern="^[0-9a-f]{64}$",
        description="checksum of the weights file at `hub` (model.safetensors) or `url`",
    )
    path: str | None = Field(
        None, description="a weights file or folder on disk, relative to the working directory"
    )
    digits: DigitsNet | None = Field(None, description="train this net here instead")
    series: str = Field("", description="models of one series are compared with each other")
    accuracy: float | None = Field(
        None, ge=0, le=100, description="top-1 in percent, where resources/published has none"
    )

    @model_validator(mode="after")
    def _one_source(self) -> "PretrainedModel":
        given = [k for k in ("hub", "url", "path", "digits") if getattr(self, k) is not None]
        if len(given) != 1:
            raise ValueError(
                f"name exactly one of hub, url, path, digits (found: {given or 'none'})"
            )
        if self.revision is not None and self.hub is None:
            raise ValueError("revision goes with hub")
        if self.sha256 is not None and self.hub is None and self.url is None:
            raise ValueError("sha256 goes with hub or url")
        return self


class Spectral(Closed):
    """The power-law audit of weight matrices (paper: capacity metrics)."""

    models: list[Name] | None = Field(
        None, description="which of `models` to audit; all of them if not set"
    )
    convention: Convention = Field(
        "weightwatcher-2019",
        description="how tensors become matrices and which eigenvalues are fitted; "
        "the default is the one behind the published tables",
    )
    min_size: int | None = Field(
        None, ge=2, description="smallest matrix that is fitted; the convention's own if not set"
    )
    device: str = Field("cpu", description="`cpu`, or `cuda` where a GPU does the linear algebra")
    placeholders: list[str] = Field(
        [], description="classes in a pickle to replace by empty ones, such as `package.Class`"
    )
    pair: tuple[Name, Name] | None = Field(
        None, description="two models compared layer by layer in Figure 4"
    )
    esd: Name | None = Field(
        None, description="the model whose largest spectrum is drawn; the first one if not set"
    )


class Settings(Closed):
    """The whole configuration."""

    pathvars: Folders = Field(Folders(), description="folders")
    models: dict[Name, PretrainedModel] = Field({}, description="networks, by name")
    spectral: Spectral = Field(Spectral(), description="the audit")
