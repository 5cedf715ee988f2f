"""Where networks come from."""

from typing import Literal

from pydantic import Field, ValidationInfo, field_validator, model_validator

from hearsay.settings.closed import Address, Closed, Place

SOURCES = ("hub", "url", "path", "digits", "tiny", "tiny_speech")


class DigitsNet(Closed):
    """A small convolutional net, trained on scikit-learn's handwritten digits (8x8 pixels)."""

    layers: int = Field(3, ge=1, le=50, description="convolutions of 3x3")
    channels: int = Field(64, ge=1, description="output channels of each convolution")
    epochs: int = Field(12, ge=0, description="passes over the training images; 0 leaves it random")
    batch_size: int = Field(64, ge=1, description="images a step")
    learning_rate: float = Field(0.05, gt=0, description="peak of the one-cycle schedule (SGD)")
    weight_decay: float = Field(5e-4, ge=0, description="L2 penalty")
    seed: int = Field(0, ge=0, description="initial weights and order of images")


class TinyModel(Closed):
    """A very small language model with a tokeniser of its own, trained here on generated text."""

    kind: Literal["bert", "gpt2"] = Field(description="masked (BERT) or causal (GPT-2)")
    width: int = Field(64, ge=8, multiple_of=4, description="hidden size")
    layers: int = Field(2, ge=1, description="transformer layers")
    steps: int = Field(300, ge=50, multiple_of=50, description="training steps")
    text: Literal["stories", "spoken", "digits"] = Field(
        "stories",
        description="what BERT learns from: the general text of the demo's stories, sentences that "
        "the demo speaks, or strings of digits in words",
    )
    seed: int = Field(0, ge=0, description="initial weights and order of sentences")


class TinySpeech(Closed):
    """A very small speech encoder with a head for letters, trained here by CTC."""

    speech: list[str] = Field(
        min_length=1, description="parts of corpora to train on, `corpus/part`"
    )
    width: int = Field(64, ge=16, multiple_of=16, description="hidden size")
    layers: int = Field(2, ge=1, description="transformer layers")
    epochs: int = Field(10, ge=1, description="passes over the utterances")
    batch_size: int = Field(8, ge=1, description="utterances a step")
    learning_rate: float = Field(0.003, gt=0, description="peak, of AdamW")
    seed: int = Field(0, ge=0, description="initial weights and order of utterances")


class PretrainedModel(Closed):
    """One neural network. Name exactly one of hub, url, path, digits, tiny, tiny_speech."""

    hub: str | None = Field(
        None, description="repository on the Hugging Face hub, such as `timm/vgg11.tv_in1k`"
    )
    revision: str | None = Field(None, description="commit of the hub repository (40 digits)")
    url: Address | None = Field(None, description="address of one weights file")
    sha256: str | None = Field(
        None,
        pattern="^[0-9a-f]{64}$",
        description="checksum of the weights file at `hub` (model.safetensors) or `url`",
    )
    path: Place | None = Field(
        None, description="a weights file or folder on disk, relative to the working directory"
    )
    digits: DigitsNet | None = Field(None, description="train this net here instead")
    tiny: TinyModel | None = Field(None, description="train this language model here instead")
    tiny_speech: TinySpeech | None = Field(
        None, description="train this speech encoder here instead"
    )
    series: str = Field(
        "",
        description="models of one series are compared with each other by the spectral audit",
    )
    accuracy: float | None = Field(
        None,
        ge=0,
        le=100,
        description="top-1 in percent, where resources/published has none; of `digits` it is "
        "measured here",
    )

    @field_validator("accuracy")
    @classmethod
    def _not_measured_here(cls, accuracy: float | None, others: ValidationInfo) -> float | None:
        if accuracy is not None and others.data.get("digits") is not None:
            raise ValueError(
                "accuracy of a digits model is measured here: leave it out, or set it to null"
            )
        return accuracy

    @model_validator(mode="after")
    def _one_source(self) -> "PretrainedModel":
        given = [kind for kind in SOURCES if getattr(self, kind) is not None]
        if len(given) != 1:
            raise ValueError(f"name exactly one of {', '.join(SOURCES)} (found: {given or 'none'})")
        if self.revision is not None and self.hub is None:
            raise ValueError("revision goes with hub")
        if self.sha256 is not None and self.hub is None and self.url is None:
            raise ValueError("sha256 goes with hub or url")
        return self
