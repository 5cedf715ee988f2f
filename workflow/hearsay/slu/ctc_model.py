"""A speech encoder with a CTC head over letters, as the hub has them."""

from collections.abc import Sequence
from pathlib import Path

import numpy as np
import torch
from torch import nn

from hearsay.corpora.audio import RATE
from hearsay.errors import InputError
from hearsay.slu.folders import load_folder, read_json
from hearsay.slu.speech_encoder import SpeechEncoder, normalises


class CtcModel(nn.Module):
    """Log-probabilities of letters, and which of them a transcript is.

    Parameters
    ----------
    encoder : frames.
    head : frames to letters.
    vocabulary : letter to label; ``|`` or a space stands between words.
    blank : CTC's label.

    Attributes
    ----------
    frame, offset : seconds from one frame to the next, and from the audio's start to the first.
    """

    def __init__(
        self, encoder: SpeechEncoder, head: nn.Module, vocabulary: dict[str, int], blank: int
    ) -> None:
        super().__init__()
        self.encoder, self.head = encoder, head
        self.vocabulary, self.blank = vocabulary, blank
        self.frame = encoder.hop / RATE
        self.offset = (encoder.field - encoder.hop) / 2 / RATE

    def log_probabilities(self, audio: np.ndarray) -> np.ndarray:
        """[frames, labels] of one utterance [samples] at 16 kHz.

        Raises
        ------
        InputError
            for audio too short for a frame.
        """
        if self.encoder.frames_of(len(audio)) < 1:
            raise InputError(f"{len(audio)} samples are too few for a frame; leave it out")
        device = next(self.parameters()).device
        waves = torch.from_numpy(audio)[None].to(device)
        frames, _ = self.encoder(waves, torch.tensor([len(audio)], device=device))
        return self.head(frames)[0].float().log_softmax(-1).cpu().numpy()

    def labels(self, words: Sequence[str]) -> list[int]:
        """Labels of words with one delimiter between neighbours.

        Raises
        ------
        InputError
            naming the letter that the model lacks.
        """
        delimiter = "|" if "|" in self.vocabulary else " "
        found = []
        for letter in delimiter.join(words):
            label = self.vocabulary.get(letter, self.vocabulary.get(letter.upper()))
            if label is None:
                raise InputError(
                    f"the CTC model has no label for {letter!r}; take one of this alphabet as "
                    "slu.ctc_model, or none"
                )
            found.append(label)
        return found


def load_ctc_model(folder: Path | str) -> CtcModel:
    """A model from a local folder in the hub's layout, in evaluation mode.

    Raises
    ------
    InputError
        for a folder that holds no such model, or no vocabulary of single letters.
    """
    from transformers import AutoModelForCTC

    model, missing = load_folder(
        folder, AutoModelForCTC, wanted="CTC", layerdrop=0.0, apply_spec_augment=False
    )
    missing = {name for name in missing if "masked_spec_embed" not in name}
    if missing:
        raise InputError(
            f"{folder}: its weights lack {sorted(missing)[0]}; name a model that was trained with "
            "CTC as slu.ctc_model"
        )
    vocabulary = read_json(Path(folder) / "vocab.json")
    blank = model.config.pad_token_id
    if not isinstance(blank, int) or not {"|", " "} & set(vocabulary):
        raise InputError(f"{folder}: vocab.json has no delimiter of words; it is not of letters")
    encoder = SpeechEncoder(model.base_model, normalise=normalises(folder))
    return CtcModel(encoder, model.lm_head, vocabulary, blank).eval()
