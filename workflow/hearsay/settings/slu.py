"""Settings of spoken language understanding (paper: WaBERT)."""

from typing import Annotated, Literal

from pydantic import Field

from hearsay.settings.closed import Closed, Device, EachOnce, Name, Precision


class AlignerRecipe(Closed):
    """Everything that the training of one aligner depends on; the defaults are the paper's.

    The paper gives neither temperature nor the α network, nor what becomes of [CLS] and [SEP].
    """

    layer: int = Field(
        12,
        ge=0,
        description="BERT's layer that speech is aligned to and grafted above; 0: its embeddings",
    )
    loss: Literal["info_nce", "cosine"] = Field(
        "info_nce", description="of aligned tokens: Eq. 3 and 4, or Eq. 2, the paper's baseline"
    )
    temperature: float = Field(0.1, gt=0, description="τ of InfoNCE; the paper is silent")
    negatives: Literal["utterance", "batch"] = Field(
        "utterance",
        description="of InfoNCE: the other tokens of the utterance, or of all that go through the "
        "network at once",
    )
    repeats: Literal["negatives", "none"] = Field(
        "negatives", description="what tokens with the same word piece are to each other"
    )
    quantity_weight: float = Field(1.0, ge=0, description="of |Σα − N|, Eq. 5 and 6")
    subword_weight: float = Field(
        1.0, ge=0, description="of L_subword, Eq. 6; the paper's Tables 1 and 2 are without it"
    )
    edges: Literal["emitted", "constant", "learned"] = Field(
        "emitted",
        description="[CLS] and [SEP]: tokens of speech that take up the silence at its edges; the "
        "mean of BERT's states of them; vectors that are trained from there",
    )
    masses: Literal["equal", "characters"] = Field(
        "equal",
        description="what a token takes of Σα where a text is aligned: all the same, or by its "
        "number of characters; grafts cut tokens of equal mass",
    )
    energy_gate: float | None = Field(
        None,
        gt=0,
        description="dB below an utterance's loudest frame at which α is halved, and almost 0 "
        "below; if not set, α does not see the level",
    )
    extra_layers: str = Field(
        "",
        pattern=r"^(\d+( \d+)*)?$",
        description="further layers that speech is aligned to at the same time, such as `0 6`, "
        "each by a projection of its own",
    )
    extra_weight: float = Field(
        1.0, ge=0, description="of the mean of the losses of the further layers"
    )
    frame_weight: float = Field(
        0.0,
        ge=0,
        description="of the loss that moves a boundary to where frames fit the other token better; "
        "with paths it moves none, and only makes frames fit their own token",
    )
    duration_weight: float = Field(
        0.0,
        ge=0,
        description="of the loss that keeps tokens as long as `durations` expects; it moves no "
        "paths, and does not go with them",
    )
    durations: Literal["equal", "characters"] = Field(
        "characters", description="how long tokens are expected to be, in proportion"
    )
    path_weight: float = Field(
        0.0,
        ge=0,
        description="of the loss of all monotonic paths of frames through the text's tokens, by "
        "which frames learn from a flat start where these are; where the text is known, tokens are "
        "then cut along the paths, and no longer by α. 0: there are none",
    )
    path_states: int = Field(
        3, ge=1, description="of a token on a path: its beginning, its middle, its end"
    )
    path_kernel: int = Field(
        5,
        ge=1,
        description="frames of the speech encoder's convolutions that either of the two "
        "convolutions below the paths sees; an odd number",
    )
    path_silence: float = Field(
        0.15,
        gt=0,
        lt=1,
        description="share of the way from the level of an utterance's quietest frames to that of "
        "its loudest, in dB, at which paths pass from silence to tokens",
    )
    path_deviation: float = Field(
        0.35,
        gt=0,
        description="how far a token may be from where `masses` expect it among the sounds, in "
        "tokens: the standard deviation of a Gaussian",
    )
    path_rate: float = Field(
        3.0, gt=0, description="times the learning rate for the paths, which start from nothing"
    )
    alpha_weight: float = Field(
        1.0,
        ge=0,
        description="of the loss by which α learns from the paths, where there are any, for speech "
        "whose text is not known",
    )
    alpha_kernel: int = Field(
        3, ge=1, description="frames that the α network's convolution sees; an odd number"
    )
    frozen: Literal["nothing", "convolutions", "everything"] = Field(
        "convolutions", description="what of the speech encoder is not trained"
    )
    layerdrop: float = Field(0.0, ge=0, lt=1, description="of the speech encoder in training")
    spec_augment: bool = Field(
        False, description="mask the speech encoder's frames in training, as it is configured"
    )
    epochs: int = Field(26, ge=0, description="passes over the training data; 0: an untrained one")
    learning_rate: float = Field(5e-4, gt=0, description="peak, of AdamW")
    warmup_steps: int = Field(4000, ge=0, description="of a linear rise; then a linear fall to 0")
    weight_decay: float = Field(0.01, ge=0, description="of AdamW; the paper is silent")
    clip_norm: float | None = Field(
        None, gt=0, description="largest norm of the gradient; the paper is silent"
    )
    batch_size: int = Field(128, ge=1, description="utterances a step, over all devices")
    micro_batch: int = Field(
        16, ge=1, description="utterances that go through the network at once; gradients add up"
    )
    buckets: int = Field(
        1, ge=1, description="groups by length, of which a batch has utterances of one"
    )
    keep: Literal["last", "best"] = Field(
        "last",
        description="which weights are kept: those of the last epoch, or those with the smallest "
        "loss on the validation part",
    )
    trim: float = Field(
        0.0,
        ge=0,
        lt=0.5,
        description="share of a token's mass that is left out at either of its ends when words get "
        "their times",
    )


class SentimentRecipe(Closed):
    """Everything that the training of one classifier of sentiment depends on.

    The paper says no more than that BERT may stay fixed; the rest is close to SLUE's baselines.
    """

    pooling: Literal["cls", "mean"] = Field(
        "mean",
        description="how BERT's last states become one vector: its pooler over [CLS], or their "
        "mean; frames of speech alone are always averaged",
    )
    lengths: Literal["alpha", "text"] = Field(
        "alpha",
        description="how many tokens a graft cuts: as α sums up to, or as the transcript has, "
        "which is then known in testing too",
    )
    frozen_text: bool = Field(True, description="BERT is not trained, as in the paper")
    frozen_speech: Literal["nothing", "convolutions", "everything"] = Field(
        "convolutions", description="what of the speech encoder is not trained"
    )
    hidden: int = Field(256, ge=1, description="width of the head's hidden layer")
    dropout: float = Field(0.2, ge=0, lt=1, description="of the head, before either layer")
    class_weights: Literal["none", "balanced"] = Field(
        "none", description="what a class weighs in the loss: the same, or the less the more it has"
    )
    epochs: int = Field(20, ge=1, description="passes over the training data")
    learning_rate: float = Field(2e-5, gt=0, description="peak, of AdamW")
    head_rate: float = Field(
        10.0, gt=0, description="times the rate for the head, which starts from nothing"
    )
    warmup_ratio: float = Field(
        0.1, ge=0, lt=1, description="share of steps in which the rate rises; then linearly to 0"
    )
    weight_decay: float = Field(0.01, ge=0, description="of AdamW")
    clip_norm: float | None = Field(1.0, gt=0, description="largest norm of the gradient")
    batch_size: int = Field(32, ge=1, description="utterances a step, over all devices")
    micro_batch: int = Field(
        8, ge=1, description="utterances that go through the network at once; gradients add up"
    )
    buckets: int = Field(
        1, ge=1, description="groups by length, of which a batch has utterances of one"
    )
    keep: Literal["last", "best"] = Field(
        "last",
        description="which weights are kept: those of the last epoch, or those with the largest "
        "macro F1 on the validation part; where that is the test part too, as in the paper, the "
        "scores are optimistic",
    )


class Understanding(Closed):
    """Aligners of speech to BERT, and classifiers of sentiment on top of them."""

    aligners: str | None = Field(
        None,
        description="table of the aligners (TSV: run, preset, corpora, validation, seeds, speech, "
        "text, published, note, and any keys of the aligner's recipe), relative to the working "
        "directory, else to the repository; without one this system is left out",
    )
    sentiment: str | None = Field(
        None,
        description="table of the classifiers of sentiment (TSV: run, kind, aligner, corpora, "
        "validation, tests, seeds, published, note, and any keys of the classifier's recipe); "
        "without one there are none",
    )
    speech_encoder: Name | None = Field(
        None, description="model that speech branches start from: data2vec-audio or its like"
    )
    text_encoder: Name | None = Field(
        None, description="BERT that speech is aligned to and grafted onto"
    )
    ctc_model: Name | None = Field(
        None,
        description="speech encoder with a CTC head over letters, by which transcripts are forced "
        "onto the audio as the upper reference of Tables 1 and 2; without one there is none",
    )
    alignment: Annotated[list[str], EachOnce] = Field(
        [],
        description="parts of corpora with times of words, `corpus/part` (kinds timit and table), "
        "on which aligners are judged; the tables show the first",
    )
    shown: list[str] = Field(
        [],
        description="ids of the utterances of the first of these parts that Table 4 and Figure 2 "
        "show; its first three if empty",
    )
    shown_runs: list[Name] = Field(
        [], description="aligners that Figures 2 and 4 compare; Table 4 shows the last of them"
    )
    threads: int = Field(4, ge=1, description="CPU threads of one training")
    workers: int = Field(4, ge=0, description="processes that load audio; 0: none besides")
    device: Device = Field("auto", description="where trainings run; `auto`: a GPU if there is one")
    devices: int = Field(
        1, ge=1, description="GPUs of one training (data parallel); the paper's had 8"
    )
    precision: Precision = Field("auto", description="of Lightning's Fabric")
    resamples: int = Field(10_000, ge=100, description="draws of the bootstrap over utterances")
    interval_over: Literal["items", "speakers"] = Field(
        "items",
        description="what the bootstrap of Table 3 draws: utterances, or speakers with all theirs",
    )
