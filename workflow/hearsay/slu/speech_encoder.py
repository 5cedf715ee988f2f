"""The speech branch's encoder: any of transformers' that takes 16-kHz waveforms.

data2vec-audio, wav2vec 2.0, HuBERT and WavLM give a frame every 20 ms, from 25 ms of audio.
"""

import math
from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal

import torch
from torch import Tensor, nn
from torch.nn import functional

from hearsay.corpora.audio import RATE
from hearsay.errors import InputError
from hearsay.slu.folders import load_folder, read_json

if TYPE_CHECKING:
    from transformers import PreTrainedModel
    from transformers.models.wav2vec2.modeling_wav2vec2 import Wav2Vec2FeatureEncoder

    class SpeechModel(PreTrainedModel):
        """What the models that take waveforms have in common."""

        feature_extractor: Wav2Vec2FeatureEncoder


Frozen = Literal["nothing", "convolutions", "everything"]


class SpeechEncoder(nn.Module):
    """An encoder with what it needs around it: normalised audio, a mask of frames, times.

    Parameters
    ----------
    model : of transformers, such as Data2VecAudioModel.
    normalise : whether each utterance is brought to mean 0 and variance 1 first.
    frozen : what is not trained: nothing; the convolutions below the transformer; everything, which
        then stays in evaluation mode too.

    Attributes
    ----------
    width : D of the frames.
    local_width : C of the convolutions' frames, below the transformer.
    hop, field : samples from a frame to the next, and that a frame sees.

    data2vec-audio's five position convolutions let an utterance's end see how far it is padded
    (transformers issue 25621); here padding is zeroed again after each, so that an utterance gives
    the same frames in a batch as alone. Encoders with a group normalisation over time (wav2vec 2.0
    base) see padding all the same; give them batches of one length, or one utterance at a time.
    """

    def __init__(
        self, model: "SpeechModel", *, normalise: bool = True, frozen: Frozen = "nothing"
    ) -> None:
        super().__init__()
        config = model.config
        if not all(hasattr(config, key) for key in ("conv_stride", "conv_kernel", "hidden_size")):
            raise InputError(
                f"a model of type {getattr(config, 'model_type', '?')!r} takes no waveforms: name "
                "data2vec-audio, wav2vec 2.0, HuBERT or WavLM"
            )
        self.model, self.normalise = model, normalise
        self.width: int = getattr(config, "output_hidden_size", None) or config.hidden_size
        self.local_width: int = config.conv_dim[-1]
        self.hop: int = math.prod(config.conv_stride)
        self.field = 1
        for kernel, stride in zip(
            reversed(config.conv_kernel), reversed(config.conv_stride), strict=True
        ):
            self.field = (self.field - 1) * stride + kernel
        self.freeze(frozen)
        self._mask: Tensor | None = None
        self._local: Tensor | None = None
        model.feature_extractor.register_forward_hook(self._keep_local)
        positions = getattr(getattr(model, "encoder", None), "pos_conv_embed", None)
        for layer in getattr(positions, "layers", []):
            layer.register_forward_hook(self._without_padding)

    def freeze(self, frozen: Frozen) -> None:
        """Say anew what is not trained."""
        self.frozen = frozen
        self.model.requires_grad_(frozen != "everything")
        self.model.feature_extractor._requires_grad = True
        if frozen == "convolutions":
            self.model.feature_extractor._freeze_parameters()  # it also tells it to keep no graph
        masked = getattr(self.model, "masked_spec_embed", None)
        if masked is not None and not getattr(self.model.config, "apply_spec_augment", True):
            masked.requires_grad_(False)  # never used then

    def _without_padding(self, layer: nn.Module, inputs: Any, output: Tensor) -> Tensor:
        """After a position convolution, [B, D, T]."""
        return output if self._mask is None else output * self._mask[:, None].to(output.dtype)

    def _keep_local(self, layer: nn.Module, inputs: Any, output: Tensor) -> None:
        """After the convolutions, [B, C, T]."""
        self._local = output.transpose(1, 2)

    def train(self, mode: bool = True) -> "SpeechEncoder":
        """As of every module; frozen as a whole it stays in evaluation mode."""
        return super().train(mode and self.frozen != "everything")

    def frames_of(self, samples: Any) -> Any:
        """How many frames so many samples give; a number or a tensor."""
        return (samples - self.field) // self.hop + 1

    def seconds(self, position: Tensor) -> Tensor:
        """Time of a position in frames, where whole numbers lie between frames.

        Frame t sees the samples from hop·t on; the hop that is its own is the middle of these, 2.5
        ms later in the usual encoders.
        """
        return (position * self.hop + (self.field - self.hop) / 2) / RATE

    def forward(self, audio: Tensor, lengths: Tensor) -> tuple[Tensor, Tensor]:
        """Frames of utterances.

        Parameters
        ----------
        audio : [B, samples] at 16 kHz, padded on the right with anything.
        lengths : [B] samples of each.

        Returns
        -------
        (frames [B, T, D], mask [B, T] that is True for those of the utterance).

        Raises
        ------
        ValueError
            for an utterance too short for a frame.
        """
        hidden, mask, _ = self.with_local(audio, lengths)
        return hidden, mask

    def with_local(self, audio: Tensor, lengths: Tensor) -> tuple[Tensor, Tensor, Tensor]:
        """As `forward`, and the convolutions' frames [B, T, C], which see `field` samples each."""
        frames = self.frames_of(lengths)
        if not (frames > 0).all():
            raise ValueError(f"utterances of fewer than {self.field} samples: {lengths.tolist()}")
        there = torch.arange(audio.shape[1], device=audio.device) < lengths[:, None]
        audio = audio.float().masked_fill(~there, 0.0)
        if self.normalise:
            mean = audio.sum(1, keepdim=True) / lengths[:, None]
            audio = (audio - mean).masked_fill(~there, 0.0)
            variance = audio.square().sum(1, keepdim=True) / lengths[:, None]
            audio = audio / (variance + 1e-7).sqrt()
        total = self.frames_of(audio.shape[1])
        mask = torch.arange(total, device=audio.device) < frames[:, None]
        self._mask = mask
        try:
            with torch.set_grad_enabled(torch.is_grad_enabled() and self.frozen != "everything"):
                hidden = self.model(audio, attention_mask=there.long()).last_hidden_state
            local = self._local
            assert local is not None, "kept by the hook"
        finally:
            self._mask = self._local = None
        return hidden, mask, local

    def decibels(self, audio: Tensor, mask: Tensor) -> Tensor:
        """Level of each frame below the loudest of its utterance, [B, T] in dB, at most 0."""
        power = functional.avg_pool1d(audio.float().square()[:, None], self.field, self.hop)[:, 0]
        level = 10.0 * (power + 1e-10).log10()
        level = level.masked_fill(~mask, -math.inf)
        return level - level.amax(1, keepdim=True)


def load_speech_encoder(
    folder: Path | str,
    *,
    frozen: Frozen = "nothing",
    layerdrop: float = 0.0,
    spec_augment: bool = False,
) -> SpeechEncoder:
    """An encoder from a local folder in the hub's layout.

    Parameters
    ----------
    frozen : as of `SpeechEncoder`.
    layerdrop : share of layers left out at random in training.
    spec_augment : whether frames are masked in training, as the folder's configuration has it.

    Raises
    ------
    InputError
        for a folder that holds no such model.
    """
    from transformers import AutoModel

    model, missing = load_folder(
        folder, AutoModel, wanted="speech", layerdrop=layerdrop, apply_spec_augment=spec_augment
    )
    missing -= {"masked_spec_embed"}
    if missing:
        raise InputError(f"{folder}: its weights lack {sorted(missing)[0]}; fetch the model again")
    return SpeechEncoder(model, normalise=normalises(folder), frozen=frozen)


def encoder_of(
    config: Mapping[str, Any], *, normalise: bool, frozen: Frozen = "nothing"
) -> SpeechEncoder:
    """An encoder with random weights of a configuration, as ``model.config.to_dict()`` gave it."""
    from transformers import AutoConfig, AutoModel

    made = AutoConfig.for_model(**config)
    return SpeechEncoder(AutoModel.from_config(made), normalise=normalise, frozen=frozen)


def normalises(folder: Path | str) -> bool:
    """Whether a model's folder says that its audio is brought to mean 0 and variance 1 first."""
    path = Path(folder) / "preprocessor_config.json"
    return bool(read_json(path).get("do_normalize", True)) if path.is_file() else True
