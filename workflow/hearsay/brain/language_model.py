"""The frozen text encoder and the causal language model that is prompted."""

import sys
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any, cast

import torch
from torch import Tensor, nn

from hearsay.errors import InputError, reason_of

if TYPE_CHECKING:
    from transformers import PretrainedConfig, PreTrainedModel

    class LanguageModel(nn.Module):
        """What causal models of transformers have in common with peft's around them."""

        config: PretrainedConfig
        generation_config: Any

        def get_input_embeddings(self) -> nn.Embedding:
            """The embeddings of tokens."""

        def generate(self, **options: Any) -> Tensor:
            """Ids of what is decoded."""


def load_causal(folder: Path | str) -> "tuple[LanguageModel, Any]":
    """A causal language model (float32, evaluation mode) and its tokeniser, from a local folder.

    Raises
    ------
    InputError
        for what is no whole model, and for one that attends in both directions, as BERT does: it
        would see the tokens that it is trained to say.
    """
    from transformers import AutoModelForCausalLM, GenerationConfig

    model, tokenizer = _load(folder, AutoModelForCausalLM)
    if _sees_ahead(model):
        raise InputError(
            f"{folder}: {type(model).__name__} sees later tokens, so it can be no language model "
            "that is prompted; name a causal one, such as gpt2, as brain.language_model"
        )
    # Many models come with sampling, penalties and ends of their own, which would enter decoding.
    model.generation_config = GenerationConfig()
    return model, tokenizer


def load_encoder(folder: Path | str) -> "tuple[PreTrainedModel, Any]":
    """A text encoder without its heads, frozen, and its tokeniser, from a local folder."""
    from transformers import AutoModel

    encoder, tokenizer = _load(folder, AutoModel)
    return encoder.requires_grad_(False), tokenizer


def _load(folder: Path | str, kind: Any) -> tuple[Any, Any]:
    from transformers import AutoTokenizer
    from transformers.utils import logging

    logging.set_verbosity_error()
    logging.disable_progress_bar()
    if not (Path(folder) / "config.json").is_file():
        raise InputError(f"{folder}: no pretrained model here (config.json is missing)")
    try:
        tokenizer = AutoTokenizer.from_pretrained(
            str(folder), local_files_only=True, trust_remote_code=False
        )
        model, loaded = kind.from_pretrained(
            str(folder),
            local_files_only=True,
            dtype=torch.float32,
            output_loading_info=True,
            use_safetensors=True,
            trust_remote_code=False,
        )
    except Exception as error:  # bare exceptions for a bad file
        reason = reason_of(error)
        raise InputError(f"{folder}: cannot be loaded: {reason}") from None
    # transformers draws what is missing at random; a pooler is not read here.
    if missing := sorted(name for name in loaded["missing_keys"] if "pooler." not in name):
        raise InputError(
            f"{folder}: {len(missing)} weights are missing, such as {missing[0]}; fetch the model "
            "again, or name one of the right kind"
        )
    return model.eval(), tokenizer


def _sees_ahead(model: "LanguageModel") -> bool:
    """Whether the logits at a first token depend on the token after it."""
    weights = model.get_input_embeddings().weight.detach()
    with torch.enable_grad():
        embedded = weights[:2].clone().unsqueeze(0).requires_grad_()
        first = model(inputs_embeds=embedded, use_cache=False).logits[0, 0]
        (slope,) = torch.autograd.grad(first.square().sum(), embedded)
    return bool(slope[0, 1].any())


def with_lora(model: "LanguageModel", rank: int) -> "LanguageModel":
    """Freeze `model` and add low-rank adapters of `rank` to all its linear layers (peft)."""
    import warnings

    from peft import LoraConfig, get_peft_model

    with warnings.catch_warnings():  # peft adapts to GPT-2's transposed layers, and says so
        warnings.simplefilter("ignore")
        adapted = get_peft_model(
            model, LoraConfig(r=rank, lora_alpha=2 * rank, target_modules="all-linear")
        )
    return cast("LanguageModel", adapted)  # it hands on what it does not have itself


def context_of(model: "LanguageModel") -> int:
    """Positions of a prompt and its text together; 0 where the model names no limit."""
    config = model.config
    named = getattr(config, "max_position_embeddings", None) or getattr(config, "n_positions", 0)
    return int(named or 0)


def check_context(model: "LanguageModel", prompt_length: int, max_tokens: int) -> None:
    """Refuse a prompt and target that are longer than the model's context."""
    context = context_of(model)
    if context and prompt_length + max_tokens > context:
        raise InputError(
            f"a prompt of {prompt_length} and up to {max_tokens} tokens do not fit the language "
            f"model's context of {context}: lower recipe.prompt_length, max_tokens or window"
        )


def prompted_logits(model: "LanguageModel", prompt: Tensor, ids: Tensor) -> Tensor:
    """Logits [B, L, vocabulary] that predict `ids` [B, L] after `prompt` [B, k, width].

    Position l is predicted from the prompt and the tokens before l. Targets are padded on the
    right, so that causal attention needs no mask: nothing sees the padding but the padding.
    """
    embedded = model.get_input_embeddings()(ids)
    inputs = torch.cat([prompt.to(embedded.dtype), embedded[:, :-1]], dim=1)
    return model(inputs_embeds=inputs, logits_to_keep=ids.shape[1], use_cache=False).logits


@torch.no_grad()
def text_features(
    encoder: "PreTrainedModel",
    tokenizer: Any,
    texts: Sequence[str],
    *,
    pooling: str = "mean",
    batch_size: int = 64,
) -> Tensor:
    """Features [N, size] of texts: the mean of the encoder's last layer over their tokens.

    [CLS] and [SEP] count, as in the public code. With ``pooling="mean"`` padding does not, and a
    text's feature does not depend on its batch; ``"mean-with-padding"`` averages over padding too,
    in batches of `batch_size`, as the public code does. Texts beyond the encoder's length are cut,
    and a line on standard error counts them.
    """
    device = next(encoder.parameters()).device
    longest = min(tokenizer.model_max_length, encoder.config.max_position_embeddings)
    features, cut = [], 0
    for first in range(0, len(texts), batch_size):
        chunk = list(texts[first : first + batch_size])
        cut += sum(len(ids) > longest for ids in tokenizer(chunk)["input_ids"])
        batch = tokenizer(
            chunk, padding=True, truncation=True, max_length=longest, return_tensors="pt"
        ).to(device)
        hidden = encoder(**batch).last_hidden_state.float()
        mask = batch["attention_mask"].unsqueeze(-1).float()
        if pooling == "mean-with-padding":
            mask = torch.ones_like(mask)
        features.append((hidden * mask).sum(1) / mask.sum(1))
    if cut:
        print(f"{cut} of {len(texts)} texts cut to {longest} tokens", file=sys.stderr)
    return torch.cat(features).cpu()
