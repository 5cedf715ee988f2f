"""Word-level language models: stacked recurrent layers between tied word vectors."""

import json
from collections.abc import Mapping
from itertools import pairwise
from pathlib import Path
from typing import Any

import numpy as np
import torch
from safetensors import safe_open
from safetensors.torch import save_file
from torch import Tensor, nn

from hearsay.errors import InputError, reason_of
from hearsay.files import whole_file
from hearsay.lm.activity import ActivityCounter
from hearsay.lm.dense import DenseLayer
from hearsay.lm.dropout import embed, locked_dropout
from hearsay.lm.egru import EGRU, EGRUState
from hearsay.lm.keys import EGRU_KEYS
from hearsay.lm.softmax_loss import softmax_loss

# The state of a layer: (c, y) of EGRU, (h,) of a GRU, (h, c) of an LSTM; each [1, B, H].
LayerState = tuple[Tensor, ...]
State = list[LayerState]


class _LayerCounter(ActivityCounter):
    """Counts the only layer of a module as the model's k-th."""

    def __init__(self, counter: ActivityCounter, k: int) -> None:
        super().__init__()
        self._counter, self._k = counter, k

    def add(self, layer: int, *counted: Any) -> None:
        self._counter.add(self._k + layer, *counted)


class LanguageModel(nn.Module):
    """Next-word model: word vectors, recurrent layers, and the word vectors again as decoder.

    The last layer has the width of the word vectors, so that they can be tied (paper, section 4).

    Parameters
    ----------
    vocabulary_size, embedding_size, hidden_size : V, e and h; layers have sizes e → h → … → h → e.
    num_layers : how many layers; with one it has e units.
    cell : ``"egru"``, ``"gru"`` or ``"lstm"``.
    embedding_range : word vectors start uniform in ± this; 0.1 in the public code. A plain stack of
        layers passes so little on at first that a short training needs more.
    decoder_scale, decoder_centre : s and where m starts, of scores s·(y − m)MEᵀ + b. What the last
        layer of EGRU says is never negative, so that without m each unit moves all words alike
        before it tells them apart. It is learned; None leaves it out.
    decoder_map : whether M is learned; otherwise it is left out, as if it were 1. With it a unit of
        EGRU can stay silent while the word vectors use both signs of all their directions.
    dropconnect : of hidden-to-hidden weights, element-wise, one mask a chunk.
    dropout_words : words whose vectors are zero throughout a chunk.
    dropout_embedding, dropout_hidden, dropout_output : locked dropout of word vectors, between
        layers and after the last layer.
    options : further arguments of `EGRU`.

    Attributes
    ----------
    embedding : [V, e], shared with the decoder.
    layers : the recurrent layers, each a module called as torch.nn.GRU.
    decoder_bias : [V].
    decoder_centre, decoder_map : m [e] and M [e, e], or None.
    """

    decoder_centre: nn.Parameter | None
    decoder_map: nn.Parameter | None

    def __init__(
        self,
        vocabulary_size: int,
        embedding_size: int,
        hidden_size: int,
        num_layers: int = 3,
        *,
        cell: str = "egru",
        embedding_range: float = 0.1,
        decoder_scale: float = 1.0,
        decoder_centre: float | None = None,
        decoder_map: bool = False,
        dropconnect: float = 0.0,
        dropout_words: float = 0.0,
        dropout_embedding: float = 0.0,
        dropout_hidden: float = 0.0,
        dropout_output: float = 0.0,
        **options: Any,
    ) -> None:
        super().__init__()
        self.cell = cell
        self.dropout_words, self.dropout_embedding = dropout_words, dropout_embedding
        self.dropout_hidden, self.dropout_output = dropout_hidden, dropout_output
        self.embedding = nn.Embedding(vocabulary_size, embedding_size)
        nn.init.uniform_(self.embedding.weight, -embedding_range, embedding_range)
        self.decoder_bias = nn.Parameter(torch.zeros(vocabulary_size))
        self.decoder_scale = decoder_scale
        self.register_parameter(
            "decoder_centre",
            None
            if decoder_centre is None
            else nn.Parameter(torch.full((embedding_size,), float(decoder_centre))),
        )
        widths = [embedding_size, *[hidden_size] * (num_layers - 1), embedding_size]
        self.layer_sizes = list(pairwise(widths))
        self.layers = nn.ModuleList(
            EGRU(inputs, units, dropconnect=dropconnect, **options)
            if cell == "egru"
            else DenseLayer(cell, inputs, units, dropconnect=dropconnect)
            for inputs, units in self.layer_sizes
        )
        square = nn.Parameter(torch.empty(embedding_size, embedding_size)) if decoder_map else None
        self.register_parameter("decoder_map", square)
        if square is not None:
            nn.init.orthogonal_(square)

    @torch.no_grad()
    def begin_with_frequencies(self, ids: np.ndarray) -> None:
        """Set the decoder's bias to the logarithms of the words' shares of a text.

        Otherwise frequent words are learned first, through the word vectors, by one step after
        another in the same direction of every unit; many units of EGRU fall silent for good by it.
        A word that the text lacks counts as one that stands there once.
        """
        counts = np.maximum(np.bincount(ids, minlength=self.vocabulary_size), 1)
        self.decoder_bias.copy_(torch.from_numpy(np.log(counts / counts.sum())))

    @property
    def vocabulary_size(self) -> int:
        """V."""
        return len(self.decoder_bias)

    def count_into(self, counter: ActivityCounter | None) -> None:
        """Let all EGRU layers count their events into `counter`; None: no longer."""
        for k, layer in enumerate(self.layers):
            if isinstance(layer, EGRU):
                layer.activity = counter and _LayerCounter(counter, k)

    @property
    def egru_layers(self) -> list[EGRU]:
        """The layers of a model of EGRU cells."""
        return [layer for layer in self.layers if isinstance(layer, EGRU)]

    def initial_state(self, batch: int) -> State:
        """Zeros for `batch` sequences."""
        like = self.embedding.weight
        found: State = []
        for layer in self.layers:
            assert isinstance(layer, EGRU | DenseLayer)
            found.append(tuple(layer.initial_state(batch, like=like)))
        return found

    def forward(self, tokens: Tensor, state: State | None = None) -> tuple[Tensor, State]:
        """What the decoder sees, [T, B, e], of tokens [T, B], and the state after them."""
        hidden, _, state = self.run(tokens, state)
        return hidden, state

    def run(self, tokens: Tensor, state: State | None = None) -> tuple[Tensor, Tensor, State]:
        """`forward`, with the last layer's outputs before dropout second."""
        state = self.initial_state(tokens.shape[1]) if state is None else state
        on = {"training": self.training}
        x = embed(tokens, self.embedding.weight, self.dropout_words, **on)
        x = locked_dropout(x, self.dropout_embedding, **on)
        after: State = []
        for k, (layer, before) in enumerate(zip(self.layers, state, strict=True)):
            x = locked_dropout(x, self.dropout_hidden if k else 0.0, **on)
            given = EGRUState(*before) if isinstance(layer, EGRU) else before
            x, last = layer(x, given)
            after.append(tuple(last))
        return locked_dropout(x, self.dropout_output, **on), x, after

    def logits(self, hidden: Tensor) -> Tensor:
        """Scores of all words, [..., V], from hidden [..., e]."""
        return nn.functional.linear(self._placed(hidden), self.embedding.weight, self.decoder_bias)

    def _placed(self, hidden: Tensor) -> Tensor:
        """s·(y − m)M, without a copy where that is y."""
        if self.decoder_centre is not None:
            hidden = hidden - self.decoder_centre
        if self.decoder_map is not None:
            hidden = hidden @ self.decoder_map
        return hidden if self.decoder_scale == 1 else self.decoder_scale * hidden

    def sparse_decoder(self) -> tuple[Tensor, Tensor]:
        """[V, e] and [V]: weights and bias that give `logits` from outputs as they are.

        s·(y − m)MEᵀ + b = y(sEMᵀ)ᵀ + (b − sEMᵀm): a silent unit costs nothing all the same.
        """
        weight: Tensor = self.decoder_scale * self.embedding.weight
        bias: Tensor = self.decoder_bias
        if self.decoder_map is not None:
            weight = weight @ self.decoder_map.t()
        if self.decoder_centre is not None:
            bias = bias - weight @ self.decoder_centre
        return weight, bias

    def loss(self, hidden: Tensor, targets: Tensor) -> tuple[Tensor, Tensor]:
        """Mean negative log likelihood in nats of targets [T, B], and that of each, [T·B]."""
        flat = self._placed(hidden).reshape(-1, hidden.shape[-1])
        return softmax_loss(flat, self.embedding.weight, self.decoder_bias, targets.reshape(-1))


def detached(state: State) -> State:
    """The same state, out of the graph: gradients end at the chunk's border."""
    return [tuple(tensor.detach() for tensor in layer) for layer in state]


MODEL_KEYS = {
    "embedding_size": "embedding_size",
    "hidden_size": "hidden_size",
    "layers": "num_layers",
    "cell": "cell",
    "embedding_range": "embedding_range",
    "decoder_scale": "decoder_scale",
    "decoder_centre": "decoder_centre",
    "decoder_map": "decoder_map",
    "dropconnect": "dropconnect",
    "dropout_words": "dropout_words",
    "dropout_embedding": "dropout_embedding",
    "dropout_hidden": "dropout_hidden",
    "dropout_output": "dropout_output",
}


def model_of(
    vocabulary_size: int, recipe: Mapping[str, Any], *, backend: str = "auto"
) -> LanguageModel:
    """The model of a recipe (`hearsay.settings.lm.LanguageModelRecipe` as a mapping)."""
    options = {name: recipe[key] for key, name in MODEL_KEYS.items()}
    if recipe["cell"] == "egru":
        options |= {key: recipe[key] for key in EGRU_KEYS} | {"backend": backend}
    return LanguageModel(vocabulary_size, **options)


def save_language_model(path: Path | str, model: LanguageModel, about: Mapping[str, Any]) -> None:
    """Write a model as safetensors; `about` (recipe, vocabulary) goes into its metadata."""
    tensors = {n: w.detach().cpu().contiguous() for n, w in model.state_dict().items()}
    with whole_file(path) as temporary:
        metadata = {"hearsay": json.dumps(dict(about), sort_keys=True)}
        save_file(tensors, temporary, metadata=metadata)


def load_language_model(
    path: Path | str, *, backend: str = "auto"
) -> tuple[LanguageModel, dict[str, Any]]:
    """Read what `save_language_model` wrote: the model, in evaluation mode, and `about`.

    Raises
    ------
    InputError
        if it is not such a file.
    """
    try:
        with safe_open(str(path), "pt") as file:
            about = json.loads((file.metadata() or {})["hearsay"])
            tensors = {name: file.get_tensor(name) for name in file.keys()}  # noqa: SIM118
        model = model_of(len(tensors["decoder_bias"]), about["recipe"], backend=backend)
        model.load_state_dict(tensors)
    except Exception as error:  # whatever a broken file brings about
        reason = reason_of(error)
        raise InputError(f"{path}: not a language model of hearsay: {reason}") from None
    return model.eval(), about
