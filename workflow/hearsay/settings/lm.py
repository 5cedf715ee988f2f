"""Settings of the recurrent language models."""

from typing import Annotated, Literal

from pydantic import Field

from hearsay.settings.closed import Closed, Device, EachOnce, Name, Precision, Snapshots


class LanguageModelRecipe(Closed):
    """Everything that the training of a language model depends on; the defaults are `small`.

    `hearsay.lm.recipes` has the presets; a row of the experiments' table names one, and its other
    columns are keys of this group.
    """

    cell: Literal["egru", "gru", "lstm"] = Field("egru", description="the recurrent unit")
    variant: Literal["paper", "evnn"] = Field(
        "paper", description="of EGRU: Eq. 3–5, or the public code's soft reset and late reset gate"
    )
    hidden_size: int = Field(512, ge=1, description="units of all layers but the last")
    embedding_size: int = Field(
        256, ge=1, description="of word vectors, which is the last layer's width (tied decoder)"
    )
    embedding_range: float = Field(
        0.1, gt=0, description="word vectors start uniform within plus and minus this"
    )
    decoder_scale: float = Field(
        1.0, gt=0, description="factor of the last layer's outputs on their way to the decoder"
    )
    decoder_centre: float | None = Field(
        None,
        description="with it a learned vector, which starts at this everywhere, is subtracted from "
        "the last layer's outputs before the decoder; EGRU's are never negative",
    )
    decoder_map: bool = Field(
        False,
        description="a learned square matrix stands between the last layer and the decoder; one "
        "with it when the model is used",
    )
    decoder_bias_from_words: bool = Field(
        False,
        description="the decoder's bias starts at the logarithm of how often each word stands in "
        "the training text, instead of at 0",
    )
    layers: int = Field(3, ge=1, description="stacked recurrent layers")
    pseudo_derivative_width: float = Field(0.46, gt=0, description="ε of the surrogate gradient")
    pseudo_derivative_height: float = Field(0.7, gt=0, description="λ of the surrogate gradient")
    threshold_mean: float = Field(
        -3.5, description="μ: thresholds start as the sigmoid of N(μ, √2)"
    )
    trained_thresholds: bool = Field(True, description="whether thresholds are trained")
    dropconnect: float = Field(
        0.2, ge=0, lt=1, description="of hidden-to-hidden weights, one mask a chunk"
    )
    dropout_words: float = Field(
        0.0, ge=0, lt=1, description="words whose vectors are zero throughout a chunk"
    )
    dropout_embedding: float = Field(
        0.1, ge=0, lt=1, description="of word vectors; one mask a chunk and sequence (locked)"
    )
    dropout_hidden: float = Field(0.1, ge=0, lt=1, description="between layers; locked")
    dropout_output: float = Field(0.1, ge=0, lt=1, description="after the last layer; locked")
    activation_penalty: float = Field(
        0.0, ge=0, description="α of AWD-LSTM's activation regularisation (AR)"
    )
    temporal_penalty: float = Field(
        0.0, ge=0, description="β of AWD-LSTM's temporal activation regularisation (TAR)"
    )
    optimizer: Literal["adam", "adamw", "sgd", "nt-asgd"] = Field(
        "adamw", description="`adam` has a coupled weight decay, `nt-asgd` averages once stuck"
    )
    learning_rate: float = Field(3e-3, gt=0, description="its peak")
    beta1: float = Field(0.9, ge=0, lt=1, description="of Adam; the public code has 0")
    beta2: float = Field(0.999, ge=0, lt=1, description="of Adam")
    weight_decay: float = Field(1e-4, ge=0, description="on weights and word vectors")
    clip_norm: float = Field(1.0, gt=0, description="largest norm of the gradient")
    schedule: Literal["constant", "cosine"] = Field(
        "cosine", description="`cosine`: constant for `constant_share` of the epochs, then a cosine"
    )
    constant_share: float = Field(0.0, ge=0, le=1, description="epochs at the full rate")
    final_share: float = Field(
        0.1, ge=0, le=1, description="last learning rate, as a share of the first"
    )
    warmup_steps: int = Field(0, ge=0, description="steps with a rising rate")
    training_share: float = Field(
        1.0, gt=0, le=1, description="share of the training tokens, from the first on, that is used"
    )
    epochs: int = Field(1, ge=1, description="passes over the training tokens")
    patience: int | None = Field(
        None, ge=1, description="epochs without a better validation perplexity before the end"
    )
    batch_size: int = Field(20, ge=1, description="parallel streams of the training text")
    bptt: int = Field(70, ge=1, description="mean length of a chunk (back-propagation in time)")
    bptt_variable: bool = Field(
        True, description="chunk lengths from N(bptt, 5), now and then of half that"
    )
    learning_rate_by_length: bool = Field(
        True, description="scale the rate by a chunk's length over `bptt`, as AWD-LSTM does"
    )
    carry_state: Literal["all", "output"] = Field(
        "all",
        description="state from chunk to chunk of the training: cell and output, or the output "
        "alone with cells at zero, as in the public code; which also judges so, while here every "
        "model is judged with both, lest its perplexity depend on the length of the chunks",
    )


class EventSpeed(Closed):
    """Time a token of event-driven inference against activity."""

    hidden_size: int = Field(1350, ge=1, description="units of all layers but the last")
    embedding_size: int = Field(750, ge=1, description="width of the last layer")
    vocabulary: int = Field(10_000, ge=2, description="words")
    active: list[Annotated[float, Field(ge=0, le=1)]] = Field(
        [0.0, 0.02, 0.05, 0.1, 0.17, 0.3, 0.5, 0.7, 1.0],
        min_length=1,
        description="shares of active units at which the time is taken",
    )
    tokens: int = Field(200, ge=10, description="tokens timed at each")
    threads: int = Field(1, ge=1, description="CPU threads of all that is compared")
    seed: int = Field(0, ge=0, description="of the random model")


class LanguageModels(Closed):
    """Recurrent language models that speak in events (paper: EGRU)."""

    experiments: str | None = Field(
        None,
        description="table of what is trained (TSV: corpus, run, preset, seeds, published, and any "
        "keys of the recipe), relative to the working directory, else to the repository; without "
        "one EGRU is left out",
    )
    corpora: Annotated[list[Name], EachOnce] | None = Field(
        None, description="corpora of that table that are used; all of it if not set"
    )
    tables: dict[Literal["1", "2"], Name] = Field(
        {}, description="the corpus of the paper's Table 1 and of its Table 2"
    )
    event_speed: EventSpeed = Field(EventSpeed(), description="the measurement of Figure 3")
    threads: int = Field(2, ge=1, description="CPU threads of one training")
    backend: Literal["auto", "reference", "torch", "numba", "triton"] = Field(
        "auto", description="how EGRU's recurrence is computed; all give the same numbers"
    )
    device: Device = Field("auto", description="where trainings run; `auto`: a GPU if there is one")
    precision: Precision = Field(
        "32-true", description="of Lightning's Fabric; thresholds are sensitive to less"
    )
    trajectory: Snapshots = 3
