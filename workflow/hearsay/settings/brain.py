"""Settings of decoding from fMRI."""

from typing import Annotated, Literal

from pydantic import Field, model_validator

from hearsay.settings.closed import Closed, Device, EachOnce, Name, Precision, Subject


class Voxels(Closed):
    """Which columns of the responses are used."""

    method: Literal["indices", "mask", "select", "all"] = Field(
        "select",
        description="an index file, a NIfTI mask, the voxels that a ridge encoding model predicts "
        "best on held-out training stories, or all",
    )
    file: str | None = Field(
        None,
        description="of `indices` and `mask`; `{subject}` stands for the subject, `{clone}` for "
        "the folder of the dataset's clone",
    )
    roi: str | None = Field(None, description="name of the region in an index file with several")
    count: int = Field(1000, ge=1, description="voxels that `select` keeps")

    @model_validator(mode="after")
    def _has_its_file(self) -> "Voxels":
        if self.method in ("indices", "mask") and self.file is None:
            raise ValueError(f"method {self.method!r} reads a file: name it as file")
        return self


class Decoding(Closed):
    """How text is generated from a prompt."""

    method: Literal["greedy", "beam", "nucleus"] = Field("greedy", description="search")
    beams: int = Field(5, ge=1, description="of `beam`")
    top_p: float = Field(0.9, gt=0, le=1, description="of `nucleus`, and of the null model")
    words_per_tr: int | None = Field(
        12, ge=1, description="most words between two alignment tokens; null: no limit"
    )
    draws: int = Field(10, ge=1, description="draws of every random control")


class Recipe(Closed):
    """Everything that a decoder's training depends on; the defaults are preset `paper`.

    What the paper leaves open is resolved in the description of each key; `hearsay.brain.recipes`
    has the presets `public-code` and `best`.
    """

    stop: Literal["tokens", "words"] = Field(
        "tokens",
        description="end of a decoded window: its W-th alignment token `$`, or as many words as "
        "the word-rate model predicts (WR in the paper)",
    )
    finetune: Literal["none", "stage1", "both"] = Field(
        "both",
        description="when the language model is trained. The paper's text means both stages, its "
        "code does stage 1 only",
    )
    contrastive_weight: float = Field(1.0, ge=0, description="α of Eq. 6; 0 leaves Eq. 3–5 out")
    contrastive: Literal["paper", "public-code"] = Field(
        "paper", description="Eq. 3–5, or the ratio of batch sums of the public code"
    )
    temperature: float = Field(0.1, gt=0, description="τ of Eq. 3–4")
    prompt_length: int = Field(30, ge=1, description="k; the public code has 100")
    layers: int = Field(8, ge=1, description="of the mapping network and the fMRI encoder")
    heads: int = Field(8, ge=1, description="attention heads")
    latent: int = Field(512, ge=1, description="size that the text feature is mapped to first")
    mapper_dropout: float = Field(0.1, ge=0, lt=1, description="of the mapping network")
    encoder_dropout: float = Field(
        0.1, ge=0, lt=1, description="of the fMRI encoder; the public code loses it on the way"
    )
    window: int = Field(
        10, ge=1, description="TRs a window (20 s); others can be decoded, but not scored"
    )
    train_hop: int = Field(
        10, ge=1, description="TRs from one training window to the next; 10: no overlap"
    )
    hrf_context: int = Field(
        0, ge=0, description="further rows of responses after the window, for the haemodynamic lag"
    )
    text_shift: int = Field(
        0, description="TRs by which text is late; -1 is the misalignment of the public code"
    )
    prefix: str = Field("", description="text before every target; the public code has `=`")
    encoder_text: Literal["aligned", "plain"] = Field(
        "aligned", description="text given to BERT: with alignment tokens, as decoded, or without"
    )
    pooling: Literal["mean", "mean-with-padding"] = Field(
        "mean", description="over real tokens, or over padding too, as the public code does"
    )
    max_tokens: int = Field(128, ge=2, description="longest target; hard cap of generation")
    epochs_text: int = Field(100, ge=1, description="most passes of stage 1")
    epochs_fmri: int = Field(100, ge=1, description="most passes of stage 2")
    patience: int | None = Field(
        10,
        ge=1,
        description="epochs without a better loss on the validation stories before training "
        "stops and the best weights are taken; null: all epochs, the last weights",
    )
    batch_size: int = Field(32, ge=1, description="windows a step")
    learning_rate: float = Field(1e-4, gt=0, description="peak; AdamW")
    language_model_learning_rate: float = Field(1e-4, gt=0, description="the same for GPT-2")
    weight_decay: float = Field(0.01, ge=0, description="of AdamW; the public code has 0")
    warmup: float = Field(
        0.05, ge=0, le=1, description="share of the steps with a rising rate; linear decay after"
    )
    clip_norm: float | None = Field(1.0, gt=0, description="largest norm of the gradient")
    loss: Literal["token", "window"] = Field(
        "token", description="Eq. 2 as a mean over tokens, or as a sum over each window"
    )
    lora_rank: int = Field(0, ge=0, description="of peft's LoRA; 0: all weights are trained")
    input: Literal["fmri", "noise"] = Field(
        "fmri", description="noise: a control that is trained on Gaussian noise end to end"
    )
    control_of: Name | None = Field(None, description="the setting for which this one is a control")
    seed: int = Field(0, ge=0, description="initial weights, dropout, order of windows")


class Setting(Closed):
    """One row of the ablation tables: a preset and what differs from it."""

    preset: Literal["paper", "public-code", "best"] | None = Field(
        None, description="where to start from; `brain.preset` if not set"
    )
    recipe: Recipe = Field(Recipe(), description="keys of the recipe that differ from the preset")


class WordRate(Closed):
    """The ridge model that predicts the words of a TR from responses (the stop `words`)."""

    delays: list[int] = Field(
        [-4, -3, -2, -1], min_length=1, description="TRs; negative: later responses"
    )
    alphas: list[Annotated[float, Field(gt=0)]] = Field(
        [
            *(10.0, 16.7, 27.8, 46.4, 77.4, 129.2, 215.4, 359.4, 599.5, 1000.0),
            *(2154.0, 5995.0, 16681.0, 46416.0, 129155.0, 359381.0, 1000000.0),
        ],
        min_length=1,
        description="penalties to choose from, by held-out training stories. The public code of "
        "Tang et al. has 10 to 1000 and squares them",
    )
    folds: int = Field(5, ge=2, description="groups of training stories, held out in turn")


class BrainScores(Closed):
    """How decoded text is judged."""

    protocols: list[Literal["bp-gpt", "tang"]] = Field(
        ["bp-gpt", "tang"],
        min_length=1,
        description="29 disjoint windows; or 20 s windows each second, with idf",
    )
    tang_controls: bool = Field(
        True, description="controls under `tang` too, which has 20 times the windows"
    )
    bertscore: Name = Field("roberta-large", description="one of `models`")
    bertscore_layer: int = Field(17, ge=0, description="whose hidden states are compared")
    wordnet: str | None = Field(
        None,
        description="folder of WordNet's files for METEOR; else /usr/share/wordnet, where it is; "
        "`none`: without synonyms",
    )
    resamples: int = Field(2000, ge=100, description="of the bootstrap and of permutations")
    seed: int = Field(0, ge=0, description="of both")


class Brain(Closed):
    """Text decoded from fMRI (paper: BP-GPT)."""

    dataset: Name = Field("ds003020", description="one of `fmri_datasets`")
    subjects: Annotated[list[Subject], EachOnce] = Field(
        [], description="who is decoded; nobody: BP-GPT is left out"
    )
    stories: Annotated[list[Name], EachOnce] | None = Field(
        None, description="which to use; all if not set"
    )
    test_story: Name = Field("wheretheressmoke", description="never seen by any fitting")
    validation: Annotated[int, Field(ge=0)] | Annotated[list[Name], EachOnce] = Field(
        2, description="training stories held out for early stopping: how many, or which"
    )
    raw: dict[Subject, list[Name]] = Field(
        {}, description="stories whose responses are made here from the raw scans, by subject"
    )
    voxels: Voxels = Field(Voxels(), description="which voxels")
    encoder: Name = Field("bert-base-uncased", description="text encoder, one of `models`")
    language_model: Name = Field("gpt2", description="causal language model, one of `models`")
    preset: Literal["paper", "public-code", "best"] = Field(
        "paper", description="recipe of settings that name none"
    )
    recipe: Recipe = Field(
        Recipe(), description="keys of the recipe that differ from the preset in all settings"
    )
    settings: dict[Name, Setting] = Field({}, description="what is trained, by name")
    controls: list[Name] | None = Field(
        None, description="settings whose decoding is compared with controls; all if not set"
    )
    settings_of: dict[Subject, list[Name]] = Field(
        {}, description="subjects for whom only these settings are trained"
    )
    word_rate: WordRate = Field(WordRate(), description="the word-rate model")
    decoding: Decoding = Field(Decoding(), description="generation")
    scores: BrainScores = Field(BrainScores(), description="metrics and statistics")
    device: Device = Field("auto", description="where trainings run; `auto`: a GPU if there is one")
    devices: int = Field(
        1,
        ge=1,
        description="GPUs of one training (data parallel): each contrasts its own share of a batch",
    )
    precision: Precision = Field(
        "auto", description="of Lightning's Fabric; auto: bf16-mixed on a GPU, else 32-true"
    )
