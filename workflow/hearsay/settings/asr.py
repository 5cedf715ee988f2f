"""Settings of speech recognition (paper: QuartzNet transfer)."""

from typing import Annotated, Literal

from pydantic import Field

from hearsay.settings.closed import Closed, Device, EachOnce, Name, Precision, Snapshots


class RecogniserRecipe(Closed):
    """Everything that the training of one recogniser depends on; the defaults are the paper's."""

    blocks: Literal["15x5", "5x3", "5x5", "narrow"] = Field(
        "15x5", description="QuartzNet's blocks; `narrow` is a small one for a CPU"
    )
    decoder: Literal["fresh", "same-alphabet"] = Field(
        "fresh",
        description="with a source: a new decoder, or the source's own, whose alphabet must then "
        "be the same",
    )
    blank_bias: float | None = Field(
        None,
        description="first bias of the blank in a new decoder. Above 0, a net with small batches "
        "skips the phase in which it learns to say nothing, and can stay for good; not set: as "
        "drawn, like the paper's",
    )
    epochs: int = Field(256, ge=0, description="passes over the training data; 0: source as it is")
    learning_rate: float = Field(
        0.015,
        gt=0,
        description="peak; the paper has 0.01 to 0.02 from scratch and a tenth in fine-tuning",
    )
    batch_size: int = Field(256, ge=1, description="clips a step, over all devices")
    micro_batch: int = Field(
        32,
        ge=1,
        description="clips that go through the network at once; a larger batch adds up gradients. "
        "Batch normalisation sees one of these, as in the paper (32 on each of 8 GPUs)",
    )
    beta1: float = Field(0.95, ge=0, lt=1, description="of Novograd")
    beta2: float = Field(0.25, ge=0, lt=1, description="of Novograd")
    weight_decay: float = Field(0.001, ge=0, description="of Novograd; the paper: 0.001 to 0.002")
    warmup_ratio: float = Field(
        0.12, ge=0, lt=1, description="share of steps in which the rate rises; then a cosine to 0"
    )
    rect_masks: int = Field(
        5,
        ge=0,
        description="rectangles cut out of every training spectrogram (the paper is silent)",
    )
    rect_time: int = Field(120, ge=0, description="largest length of a rectangle in 10-ms frames")
    rect_freq: int = Field(50, ge=0, description="largest height of a rectangle in mel bands")
    rect_share: float = Field(
        0.2,
        gt=0,
        le=1,
        description="largest share of a clip's length that one rectangle covers; NeMo has no such "
        "limit and fails on clips shorter than `rect_time`",
    )
    dropout: float | None = Field(
        None, ge=0, lt=1, description="of the encoder; if not set, as its configuration has it"
    )
    buckets: int = Field(
        1,
        ge=1,
        description="clips of like length are batched together, in so many groups by length: less "
        "padding; 1: batches are drawn from all clips",
    )
    keep: Literal["last", "best"] = Field(
        "last",
        description="which weights are kept: those of the last epoch, or those with the smallest "
        "word error rate on the validation part. The paper reports `best runs` on that very part",
    )
    patience: int | None = Field(
        None, ge=1, description="with `best`: epochs without a better one that end the training"
    )


class Recognition(Closed):
    """Recognisers and what they are tested on."""

    experiments: str | None = Field(
        None,
        description="table of what is trained (TSV: language, run, tables, source, corpora, "
        "validation, tests, seeds, note, and any keys of the recipe), relative to the working "
        "directory, else to the repository; without one speech recognition is left out",
    )
    languages: Annotated[list[Name], EachOnce] | None = Field(
        None, description="languages of that table that are used; all of it if not set"
    )
    tables: dict[Literal["3", "4", "5", "6"], dict[str, str | dict[Name, str]]] = Field(
        {},
        description="for each of the paper's tables its columns and the test set measured for "
        "each, `corpus/part`, in Table 6 one for each language",
    )
    figures: dict[Literal["2", "3"], list[Name]] = Field(
        {},
        description="for Figures 2 and 3 the two runs that are compared: from scratch, fine-tuned; "
        "`[]`: no such figure",
    )
    figure_languages: dict[Literal["2", "3"], Name] = Field(
        {}, description="the language of the runs of Figures 2 and 3"
    )
    threads: int = Field(4, ge=1, description="CPU threads of one training")
    workers: int = Field(4, ge=0, description="processes that load audio; 0: none besides")
    device: Device = Field("auto", description="where trainings run; `auto`: a GPU if there is one")
    devices: int = Field(
        1, ge=1, description="GPUs of one training (data parallel); the paper's had 8"
    )
    precision: Precision = Field("auto", description="of Lightning's Fabric")
    resamples: int = Field(10_000, ge=100, description="draws of the bootstrap over utterances")
    trajectory: Snapshots = 3
