"""The text branch: a frozen BERT that can be read, and entered, at any of its layers."""

import hashlib
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import torch
from torch import Tensor, nn

from hearsay.errors import InputError, reason_of
from hearsay.slu.folders import load_folder, quiet, read_json

if TYPE_CHECKING:
    from torch.nn.attention.flex_attention import BlockMask
    from transformers import BertModel, PreTrainedModel

    class MaskedModel(PreTrainedModel):
        """A model of one of `TYPES`, which are laid out alike."""

        base_model: BertModel


TYPES = ("bert", "roberta", "xlm-roberta", "camembert")


class BertLayers(nn.Module):
    """A masked language model in layers; frozen, always in evaluation mode.

    Parameters
    ----------
    model : of transformers, such as BertForMaskedLM.
    head : whether its head was trained, so that it can predict word pieces.

    Attributes
    ----------
    width : H of its states.
    depth : number of layers; state 0 is the sum of embeddings, state i the output of layer i.

    No weight has a gradient, but gradients go through to what is fed in at a layer.
    """

    def __init__(self, model: "MaskedModel", *, head: bool = True) -> None:
        super().__init__()
        if model.config.model_type not in TYPES:
            raise InputError(
                f"a text encoder of type {model.config.model_type!r}: speech can be grafted onto "
                f"{', '.join(TYPES)}"
            )
        self.model, self.head = model, head
        self.width: int = model.config.hidden_size
        self.depth: int = model.config.num_hidden_layers
        self.positions: int = model.config.max_position_embeddings
        if model.config.model_type != "bert":
            self.positions -= model.config.pad_token_id + 1  # RoBERTa counts from there
        self.requires_grad_(False)
        self.train(False)

    def train(self, mode: bool = True) -> "BertLayers":
        """It stays in evaluation mode."""
        return super().train(False)

    @property
    def base(self) -> "BertModel":
        """The encoder without the language model's head."""
        return self.model.base_model

    def layer_norm(self, layer: int) -> nn.LayerNorm:
        """The normalisation that the state of a layer comes out of."""
        if layer == 0:
            return self.base.embeddings.LayerNorm
        norm = self.base.encoder.layer[layer - 1].get_submodule("output.LayerNorm")
        assert isinstance(norm, nn.LayerNorm)
        return norm

    @torch.no_grad()
    def states(self, ids: Tensor, mask: Tensor, layers: Sequence[int]) -> list[Tensor]:
        """States [B, N, H] of the layers asked for, in their order.

        Parameters
        ----------
        ids : [B, N] word pieces, [CLS] and [SEP] among them.
        mask : [B, N] bool, True for what is no padding.
        layers : numbers from 0 to `depth`; nothing is computed above the highest.
        """
        state = self.base.embeddings(input_ids=ids)
        found = {0: state}
        attention = self._attention(state, mask)
        for number, layer in enumerate(self.base.encoder.layer[: max(layers)], start=1):
            state = _tensor(layer(state, attention))
            found[number] = state
        return [found[number] for number in layers]

    def pieces(self, ids: Tensor) -> Tensor:
        """Embeddings [..., H] of word pieces [...], without their places."""
        return self.base.embeddings.word_embeddings(ids)

    def upper(self, states: Tensor, mask: Tensor, layer: int) -> Tensor:
        """The last layer's states [B, N, H], going on from those of `layer`.

        With true states this is BERT bit for bit; with the last layer it is what comes in.
        """
        attention = self._attention(states, mask)
        for each in self.base.encoder.layer[layer:]:
            states = _tensor(each(states, attention))
        return states

    def logits(self, last: Tensor) -> Tensor:
        """Scores of word pieces [..., vocabulary] of the last layer's states [..., H]."""
        if not self.head:
            raise InputError(
                "this text encoder has no head that predicts word pieces: set subword_weight to 0, "
                "or name a masked language model"
            )
        head = self.model.get_submodule("cls" if hasattr(self.model, "cls") else "lm_head")
        return head(last)

    def pooled(self, last: Tensor) -> Tensor:
        """[B, H]: BERT's pooler over the first state; that state itself where there is none."""
        pooler = getattr(self.base, "pooler", None)
        return last[:, 0] if pooler is None else pooler(last)

    def digest(self) -> str:
        """SHA-256 of all weights with their names."""
        found = hashlib.sha256()
        for name, weight in sorted(self.state_dict().items()):
            found.update(f"{name} {tuple(weight.shape)} {weight.dtype}\n".encode())
            found.update(weight.detach().cpu().contiguous().numpy().tobytes())
        return found.hexdigest()

    def _attention(self, states: Tensor, mask: Tensor) -> "Tensor | BlockMask | None":
        """The mask in the form that the layers' attention wants; a raw 0/1 mask would mask none."""
        from transformers.masking_utils import create_bidirectional_mask

        return create_bidirectional_mask(
            config=self.base.config, inputs_embeds=states, attention_mask=mask.long()
        )


def load_bert(folder: Path | str) -> BertLayers:
    """A frozen BERT with its pooler and head, as far as the folder has them.

    Raises
    ------
    InputError
        for a folder that holds no such model.
    """
    from transformers import AutoModel, AutoModelForMaskedLM

    config = Path(folder) / "config.json"
    if config.is_file() and read_json(config).get("model_type") not in TYPES:
        raise InputError(
            f"{folder}: a model of type {read_json(config).get('model_type')!r}; speech can be "
            f"grafted onto {', '.join(TYPES)}"
        )
    model, unread = load_folder(folder, AutoModelForMaskedLM, wanted="text")
    body = f"{model.base_model_prefix}."
    if any(name.startswith(body) for name in unread):
        raise InputError(f"{folder}: its weights lack {sorted(unread)[0]}; fetch the model again")
    # A masked language model comes without pooler; pretrained files mostly have one.
    base, missing = load_folder(folder, AutoModel, wanted="text")
    if not any("pooler" in name for name in missing):
        model.base_model.pooler = base.pooler
    return BertLayers(model, head=not unread)


def load_tokeniser(folder: Path | str) -> Any:
    """The folder's tokeniser, a fast one.

    Raises
    ------
    InputError
        where there is none.
    """
    from transformers import AutoTokenizer

    quiet()
    try:
        # RoBERTa's takes words apart only so; others ignore it.
        tokeniser = AutoTokenizer.from_pretrained(
            str(folder), local_files_only=True, add_prefix_space=True, trust_remote_code=False
        )
    except Exception as error:  # bare exceptions for a bad file
        reason = reason_of(error)
        raise InputError(f"{folder}: no tokeniser ({reason}); fetch the model again") from None
    if not tokeniser.is_fast:
        raise InputError(f"{folder}: its tokeniser does not tell words apart; a fast one is needed")
    return tokeniser


def _tensor(output: Any) -> Tensor:
    """What a layer gives: a tensor since transformers 5, a tuple before.

    Taking [0] of the former would be its first utterance.
    """
    return output[0] if isinstance(output, tuple) else output
