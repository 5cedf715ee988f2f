"""The modules that the two stages train: a prompt's network in front of a language model."""

import json
from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

import torch
from safetensors import safe_open
from safetensors.torch import save_file
from torch import Tensor, nn

from hearsay.brain.language_model import prompted_logits, with_lora
from hearsay.brain.losses import contrastive_loss, public_code_contrastive_loss, token_loss
from hearsay.brain.prompts import FmriEncoder, PromptMapper
from hearsay.errors import InputError
from hearsay.files import whole_file

if TYPE_CHECKING:
    from hearsay.brain.language_model import LanguageModel

CONTRASTIVE = {"paper": contrastive_loss, "public-code": public_code_contrastive_loss}


class TextPrompted(nn.Module):
    """Stage 1: mapping network and language model.

    ``forward(batch)`` gives Eq. 2's loss for a batch with ``feature`` [B, F], ``ids`` and
    ``labels`` [B, L].
    """

    def __init__(self, mapper: PromptMapper, language_model: "LanguageModel", *, loss: str) -> None:
        super().__init__()
        self.mapper, self.language_model, self.loss = mapper, language_model, loss

    def forward(self, batch: Mapping[str, Tensor]) -> Tensor:
        """Return the scalar loss."""
        logits = prompted_logits(self.language_model, self.mapper(batch["feature"]), batch["ids"])
        return token_loss(logits, batch["labels"], self.loss)

    def train(self, mode: bool = True) -> "TextPrompted":
        """As usual, but a frozen language model stays in evaluation mode, without dropout."""
        super().train(mode)
        return _keep_frozen(self, self.language_model)


class FmriPrompted(nn.Module):
    """Stage 2: fMRI encoder and language model; the mapping network of stage 1 is the target.

    ``forward(batch)`` gives Eq. 6's loss for a batch with ``responses`` [B, rows, V], ``feature``,
    ``ids`` and ``labels``; with ``parts=True`` its two terms. The mapping network is frozen and in
    evaluation mode, so that the target prompts do not change.
    """

    def __init__(
        self,
        encoder: FmriEncoder,
        language_model: "LanguageModel",
        mapper: PromptMapper,
        recipe: Mapping[str, Any],
    ) -> None:
        super().__init__()
        self.encoder, self.language_model = encoder, language_model
        self.mapper = mapper.requires_grad_(False)
        self.recipe = dict(recipe)

    def forward(self, batch: Mapping[str, Tensor], *, parts: bool = False) -> Any:
        """Return the scalar loss, or its two terms."""
        prompt = self.encoder(batch["responses"])
        logits = prompted_logits(self.language_model, prompt, batch["ids"])
        brain = token_loss(logits, batch["labels"], self.recipe["loss"])
        weight = self.recipe["contrastive_weight"]
        aligned = brain.new_zeros(())
        if weight or parts:
            with torch.no_grad():
                target = self.mapper(batch["feature"])
            aligned = CONTRASTIVE[self.recipe["contrastive"]](
                prompt, target, self.recipe["temperature"]
            )
        if parts:
            return brain, aligned
        return brain + weight * aligned if weight else brain  # Eq. 6

    def train(self, mode: bool = True) -> "FmriPrompted":
        """As usual, but what is frozen stays in evaluation mode, without dropout."""
        super().train(mode)
        self.mapper.eval()
        return _keep_frozen(self, self.language_model)


def _keep_frozen(module: Any, language_model: nn.Module) -> Any:
    if not any(weight.requires_grad for weight in language_model.parameters()):
        language_model.eval()
    return module


def set_tuning(language_model: "LanguageModel", *, tuned: bool, lora_rank: int) -> "LanguageModel":
    """Freeze the language model, or let all of it or low-rank adapters be trained."""
    if not tuned:
        return language_model.requires_grad_(False)
    return with_lora(language_model, lora_rank) if lora_rank else language_model


def make_mapper(feature_size: int, width: int, recipe: Mapping[str, Any]) -> PromptMapper:
    """The mapping network of a recipe."""
    return PromptMapper(
        feature_size,
        width,
        recipe["prompt_length"],
        latent=recipe["latent"],
        layers=recipe["layers"],
        heads=recipe["heads"],
        dropout=recipe["mapper_dropout"],
    )


def make_encoder(voxels: int, width: int, recipe: Mapping[str, Any]) -> FmriEncoder:
    """The fMRI encoder of a recipe."""
    return FmriEncoder(
        voxels,
        recipe["window"] + recipe["hrf_context"],
        width,
        recipe["prompt_length"],
        layers=recipe["layers"],
        heads=recipe["heads"],
        dropout=recipe["encoder_dropout"],
    )


def save_prompted(
    path: Path | str, network: nn.Module, language_model: nn.Module, about: Mapping[str, Any]
) -> None:
    """Write a prompt's network and what was trained of the language model as safetensors.

    `about` goes into the file's metadata: whose it is and how it was made.
    """
    tensors = {f"network.{name}": weight for name, weight in network.state_dict().items()}
    tensors |= {
        f"language_model.{name}": weight
        for name, weight in language_model.named_parameters()
        if weight.requires_grad
    }
    with whole_file(path) as temporary:
        save_file(
            {name: tensor.detach().cpu().contiguous() for name, tensor in tensors.items()},
            temporary,
            metadata={"hearsay": json.dumps(dict(about), sort_keys=True)},
        )


def read_about(path: Path | str) -> dict[str, Any]:
    """What `save_prompted` was told about the file.

    Raises
    ------
    InputError
        if it is not such a file.
    """
    try:
        with safe_open(str(path), "pt") as file:
            return json.loads((file.metadata() or {})["hearsay"])
    except Exception as error:  # whatever a broken file brings about
        raise InputError(f"{path}: not weights of a prompt: {error}") from None


def check_about(path: Path | str, **expected: Any) -> dict[str, Any]:
    """`read_about`, refusing a file made for another subject, other voxels or another recipe."""
    about = read_about(path)
    for key, value in expected.items():
        if about.get(key) != value:
            raise InputError(
                f"{path}: made for {key} {about.get(key)!r}, not {value!r}; remove it and run again"
            )
    return about


def check_recipe(path: Path | str, about: Mapping[str, Any], recipe: Mapping[str, Any]) -> None:
    """Refuse a text prompt that was trained with other prompts or texts than `recipe` asks for."""
    for key in ("prompt_length", "window", "stop", "prefix", "lora_rank"):
        if (there := about["recipe"][key]) != recipe[key]:
            raise InputError(
                f"{path}: trained with recipe.{key} = {there!r}, not {recipe[key]!r}; "
                "remove it and run again"
            )


def load_prompted(path: Path | str, network: nn.Module, language_model: nn.Module) -> None:
    """Put the weights of a file of `save_prompted` into the two modules.

    The language model must have its adapters already, if the file has some (`set_tuning`).
    """
    for prefix, module in (("network.", network), ("language_model.", language_model)):
        with safe_open(str(path), "pt") as file:
            names = [name for name in file.keys() if name.startswith(prefix)]  # noqa: SIM118
            state = {name.removeprefix(prefix): file.get_tensor(name) for name in names}
        own = module.state_dict()
        wrong = [n for n, w in state.items() if n not in own or own[n].shape != w.shape]
        if prefix == "network.":
            wrong += sorted(set(own) - set(state))
        if wrong:
            raise InputError(f"{path}: its weights are another network's ({', '.join(wrong[:3])})")
        module.load_state_dict(state, strict=False)
