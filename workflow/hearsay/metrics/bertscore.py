"""BERTScore's recall from a model folder, computed on transformers directly.

The package bert-score (0.3.13) does the same, but fails with transformers 5 on empty texts and on
tokenisers that state no greatest length, and there no longer adds the space before RoBERTa's first
word. Here every distinct text is encoded once.

Source: T. Zhang et al., "BERTScore", ICLR 2020, section 3.
"""

import math
from collections import Counter
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
from tqdm import tqdm

from hearsay.errors import InputError, reason_of

if TYPE_CHECKING:
    import torch
    from transformers import PretrainedConfig

_SPACE_FIRST = {"RobertaTokenizer", "RobertaTokenizerFast", "GPT2Tokenizer", "GPT2TokenizerFast"}
_TEXTS_AT_ONCE = 512  # texts whose embeddings are held besides those of the references


class BertScore:
    """A frozen encoder and its tokeniser.

    Parameters
    ----------
    folder : model folder as transformers saves it, with its tokeniser.
    layer : hidden layer whose states are compared; 0 is the embedding.
    batch : texts run at once.
    device : of torch; by default the GPU where there is one.

    Raises
    ------
    InputError
        if the folder holds no model and tokeniser, or the model has fewer layers.
    """

    def __init__(
        self, folder: Path | str, layer: int, *, batch: int = 64, device: str | None = None
    ) -> None:
        import torch
        from transformers import AutoModel, AutoTokenizer
        from transformers.utils import logging

        folder = Path(folder)
        if not (folder / "config.json").is_file():
            raise InputError(
                f"{folder}: no model for BERTScore, config.json is missing; give the folder of an "
                "encoder with its tokeniser"
            )
        verbosity, bar = logging.get_verbosity(), logging.is_progress_bar_enabled()
        logging.set_verbosity_error()
        logging.disable_progress_bar()
        try:
            self._tokeniser = AutoTokenizer.from_pretrained(
                folder, local_files_only=True, trust_remote_code=False
            )
            model, loaded = AutoModel.from_pretrained(
                folder,
                local_files_only=True,
                dtype=torch.float32,
                output_loading_info=True,
                use_safetensors=True,
                trust_remote_code=False,
            )
        except Exception as error:  # bare exceptions for a bad file
            reason = reason_of(error)
            raise InputError(f"{folder}: no model for BERTScore: {reason}") from None
        finally:
            logging.set_verbosity(verbosity)
            if bar:
                logging.enable_progress_bar()
        missing = [name for name in loaded["missing_keys"] if not name.startswith("pooler.")]
        if missing:
            raise InputError(
                f"{folder}: no model for BERTScore: {len(missing)} weights are missing, such as "
                f"{sorted(missing)[0]}; fetch the model again"
            )
        layers = model.config.num_hidden_layers
        if not 0 <= layer <= layers:
            raise InputError(
                f"bertscore_layer {layer}: {folder} has layers 0 to {layers}; choose one of these"
            )
        stack = getattr(getattr(model, "encoder", None), "layer", None)
        if stack is not None:  # what comes after is not needed
            model.encoder.layer = stack[:layer]
        self.layer, self.batch = layer, batch
        self.device = device or ("cuda" if torch.cuda.is_available() else "cpu")
        self._model = model.eval().requires_grad_(False).to(self.device)
        self._special = {self._tokeniser.cls_token_id, self._tokeniser.sep_token_id}
        self._space = (
            " " if _SPACE_FIRST & {c.__name__ for c in type(self._tokeniser).__mro__} else ""
        )
        self.longest = min(self._tokeniser.model_max_length, _positions(model.config))

    def tokens(self, texts: Iterable[str]) -> list[list[int]]:
        """Token ids of each text with the model's marks around them, cut to `longest`."""
        stripped = [text.strip() for text in texts]
        if not stripped:
            return []
        return self._tokeniser(
            [self._space + text if text else "" for text in stripped],
            truncation=True,
            max_length=self.longest,
        )["input_ids"]

    def inverse_document_frequencies(self, documents: Sequence[str]) -> dict[int, float]:
        """Weight of each token that occurs, log((N+1)/(c+1)) if c of the N documents hold it.

        The weight of all other tokens, log(N+1), is under the key -1. Marks are in every document
        and weigh 0.
        """
        n = len(documents)
        counts = Counter(token for ids in self.tokens(documents) for token in set(ids))
        return {-1: math.log(n + 1)} | {t: math.log((n + 1) / (c + 1)) for t, c in counts.items()}

    def recall(
        self,
        references: Sequence[str],
        hypotheses: Sequence[str],
        weights: dict[int, float] | None = None,
    ) -> np.ndarray:
        """Recall of each pair of texts, not rescaled; shape ``(n,)``.

        Every token of the reference takes its best cosine among the hypothesis's tokens, marks
        included; the mean is weighted by `weights` (`inverse_document_frequencies`), by default 1
        and 0 for marks. 0 where either text is empty, or where no token of the reference has any
        weight. (The package bert-score also lets a token match padding with cosine 0, which
        matters only where all its cosines are negative.)
        """
        found = np.zeros(len(references))
        partners: dict[str, dict[str, list[int]]] = {}
        for k, (reference, hypothesis) in enumerate(zip(references, hypotheses, strict=True)):
            if reference.strip() and hypothesis.strip():
                partners.setdefault(hypothesis, {}).setdefault(reference, []).append(k)
        wanted = sorted({text for group in partners.values() for text in group})
        left = dict(zip(wanted, self._encode(wanted, weights), strict=True))
        texts = sorted(partners, key=lambda text: (len(text), text))
        bar = tqdm(total=len(texts), desc="BERTScore", unit="text", mininterval=5, leave=False)
        with bar:
            for start in range(0, len(texts), _TEXTS_AT_ONCE):
                some = texts[start : start + _TEXTS_AT_ONCE]
                for text, (right, _) in zip(some, self._encode(some, None), strict=True):
                    for reference, places in partners[text].items():
                        states, share = left[reference]
                        found[places] = float((states @ right.T).amax(1) @ share)
                bar.update(len(some))
        return found

    def _encode(
        self, texts: Sequence[str], weights: dict[int, float] | None
    ) -> "list[tuple[torch.Tensor, torch.Tensor]]":
        """Unit states [tokens, width] and shares [tokens] (sum 1, or all 0) of each text."""
        import torch

        ids = self.tokens(texts)
        order = sorted(range(len(ids)), key=lambda k: len(ids[k]))
        pad = self._tokeniser.pad_token_id or 0
        encoded: list = [None] * len(ids)
        for start in range(0, len(order), self.batch):
            chosen = order[start : start + self.batch]
            length = max(len(ids[k]) for k in chosen)
            rows = torch.tensor([ids[k] + [pad] * (length - len(ids[k])) for k in chosen])
            mask = torch.tensor([[1] * len(ids[k]) + [0] * (length - len(ids[k])) for k in chosen])
            with torch.inference_mode():
                states = self._model(
                    input_ids=rows.to(self.device),
                    attention_mask=mask.to(self.device),
                    output_hidden_states=True,
                ).hidden_states[self.layer]
                states = states / states.norm(dim=-1, keepdim=True)
            for row, k in enumerate(chosen):
                if weights is None:
                    share = [float(token not in self._special) for token in ids[k]]
                else:
                    share = [weights.get(token, weights[-1]) for token in ids[k]]
                total = sum(share) or 1.0
                encoded[k] = (
                    states[row, : len(ids[k])].clone(),
                    torch.tensor([s / total for s in share], device=self.device),
                )
        return encoded


def _positions(config: "PretrainedConfig") -> int:
    """Tokens that the model's position embeddings allow; RoBERTa loses the first ones."""
    positions = getattr(config, "max_position_embeddings", None) or 512
    offset = config.pad_token_id + 1 if "roberta" in config.model_type else 0
    return positions - offset
