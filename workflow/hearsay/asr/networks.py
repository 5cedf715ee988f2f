"""QuartzNet B×R as a NeMo model, from our own configuration (NeMo 3 ships none).

Architecture: S. Kriman et al., "QuartzNet", ICASSP 2020; Table 1 of the transfer paper. The 5x3 of
the paper (6.4 M parameters) is not its Table 1 with S = 1 and R = 3, which would have 4.6 M: its
kernels and widths are those of the configuration that was published with QuartzNet.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from nemo.collections.asr.models.ctc_models import EncDecCTCModel
from omegaconf import OmegaConf

from hearsay.asr.cutout import SafeCutout
from hearsay.errors import InputError

SAMPLE_RATE = 16_000
FRAME_SECONDS = 0.02  # of the encoder's output: windows every 10 ms, one stride of 2
_MEL_BANDS = 64


@dataclass(frozen=True)
class Blocks:
    """Layers of one QuartzNet.

    Attributes
    ----------
    first, before_last, last : (channels, kernel) of C1 (stride 2), C2 (dilation 2) and C3.
    residual : (channels, kernel, repeats R) of every residual block B.
    dropout : after every layer.
    """

    first: tuple[int, int]
    residual: tuple[tuple[int, int, int], ...]
    before_last: tuple[int, int]
    last: tuple[int, int]
    dropout: float = 0.0


def _wide(groups: Sequence[tuple[int, int]], repeats: int, times: int, dropout: float) -> Blocks:
    residual = tuple((c, k, repeats) for c, k in groups for _ in range(times))
    return Blocks((256, 33), residual, (512, 87), (1024, 1), dropout)


_FIVE = ((256, 33), (256, 39), (512, 51), (512, 63), (512, 75))
BLOCKS = {
    "15x5": _wide(_FIVE, 5, 3, 0.0),
    "5x5": _wide(_FIVE, 5, 1, 0.0),
    "5x3": _wide(((512, 63), (512, 63), (512, 75), (512, 75), (512, 75)), 3, 1, 0.2),
    # For a CPU: the same design, trained in less than a minute on a few hundred short clips.
    "narrow": Blocks((64, 11), ((96, 13, 2), (128, 17, 2)), (128, 21), (192, 1)),
}


def configuration(
    blocks: str, labels: Sequence[str], *, dropout: float | None = None
) -> dict[str, Any]:
    """NeMo's configuration of a QuartzNet, as plain dictionaries and lists.

    Parameters
    ----------
    blocks : a key of `BLOCKS`.
    labels : the alphabet in order; the blank comes after it.
    dropout : in place of the architecture's own.

    Raises
    ------
    InputError
        for unknown blocks, and for an alphabet that is empty or has a character twice.
    """
    if blocks not in BLOCKS:
        raise InputError(f"no QuartzNet {blocks!r}; there are: {', '.join(BLOCKS)}")
    labels = list(labels)
    if not labels or len(set(labels)) < len(labels) or any(len(label) != 1 for label in labels):
        raise InputError(
            f"alphabet {''.join(labels)!r}: must be single characters, and none of them twice"
        )
    shape = BLOCKS[blocks]
    rate = shape.dropout if dropout is None else dropout

    def layer(filters: int, kernel: int, repeat: int = 1, **more: Any) -> dict[str, Any]:
        plain = {"stride": [1], "dilation": [1], "residual": False, "separable": True}
        return plain | {
            "filters": filters,
            "kernel": [kernel],
            "repeat": repeat,
            "dropout": rate,
            **more,
        }

    layers = [
        layer(*shape.first, stride=[2]),
        *(layer(c, k, repeats, residual=True) for c, k, repeats in shape.residual),
        layer(*shape.before_last, dilation=[2]),
        layer(*shape.last, separable=False),
    ]
    modules = "nemo.collections.asr.modules"
    return {
        "name": f"QuartzNet{blocks}",
        "sample_rate": SAMPLE_RATE,
        "labels": labels,
        "preprocessor": {
            "_target_": f"{modules}.AudioToMelSpectrogramPreprocessor",
            "normalize": "per_feature",
            "sample_rate": SAMPLE_RATE,
            "window_size": 0.02,
            "window_stride": 0.01,
            "window": "hann",
            "features": _MEL_BANDS,
            "n_fft": 512,
            "frame_splicing": 1,
            "dither": 1e-5,
            "pad_to": 16,
        },
        "encoder": {
            "_target_": f"{modules}.ConvASREncoder",
            "feat_in": _MEL_BANDS,
            "activation": "relu",
            "conv_mask": True,
            "jasper": layers,
        },
        "decoder": {
            "_target_": f"{modules}.ConvASRDecoder",
            "feat_in": shape.last[0],
            "num_classes": len(labels),
            "vocabulary": labels,
        },
    }


def quartznet(
    blocks: str,
    labels: Sequence[str],
    *,
    dropout: float | None = None,
    cutout: SafeCutout | None = None,
) -> EncDecCTCModel:
    """A QuartzNet with random weights, drawn from PyTorch's global generator.

    Parameters
    ----------
    blocks : "15x5" (18.9 M parameters with 28 labels), "5x3" (6.4 M), "5x5" (6.7 M) or "narrow".
    labels : the alphabet, in the order of the decoder's rows; the CTC blank is row V.
    dropout : of the encoder; by default the architecture's own (0.2 in 5x3, else 0).
    cutout : masks training spectrograms.

    Returns
    -------
    NeMo's EncDecCTCModel: waveforms [B, samples] at 16 kHz and their lengths to log-probabilities
    [B, frames of 20 ms, V + 1].

    Raises
    ------
    InputError
        as `configuration`.
    """
    return from_configuration(configuration(blocks, labels, dropout=dropout), cutout)


def transfer_encoder(
    source: EncDecCTCModel | Path | str,
    labels: Sequence[str],
    *,
    same_alphabet: bool = False,
    dropout: float | None = None,
    cutout: SafeCutout | None = None,
) -> EncDecCTCModel:
    """A model that starts from another's encoder (section 1 of the paper).

    Parameters
    ----------
    source : a model, a file of `save_recogniser`, or a `.nemo` file.
    labels : alphabet of the new model.
    same_alphabet : keep the source's decoder as well, instead of drawing a new one. The decoder's
        rows mean characters by their order, so that the alphabet must be the source's in order
        too. (NeMo copies a decoder of equal size whatever its rows mean.)
    dropout, cutout : as in `quartznet`; by default the source's.

    Returns
    -------
    A new model; the source is left alone. Encoder weights and the statistics of its batch
    normalisation are equal to the source's bit for bit.

    Raises
    ------
    InputError
        for another alphabet with `same_alphabet`, and for a source that is no such model.
    """
    if not isinstance(source, EncDecCTCModel):
        from hearsay.asr.recogniser_files import load_source

        source = load_source(source)
    known = list(source.decoder.vocabulary)
    if same_alphabet and known != list(labels):
        raise InputError(
            f"same-alphabet transfer: the source's alphabet is {''.join(known)!r} and the target's "
            f"{''.join(labels)!r}; train a fresh decoder instead"
        )
    config = own_configuration(source, labels)
    if dropout is not None:
        for layer in config["encoder"].get("jasper", []):
            layer["dropout"] = dropout
    model = from_configuration(config, cutout)
    model.encoder.load_state_dict(source.encoder.state_dict())
    if same_alphabet:
        model.decoder.load_state_dict(source.decoder.state_dict())
    return model


def labels_of_model(model: EncDecCTCModel) -> list[str]:
    """A model's alphabet.

    Raises
    ------
    InputError
        if its decoder and its configuration disagree, so that texts would be read with one and
        written with the other.
    """
    decoder, configured = list(model.decoder.vocabulary), list(model.cfg.labels)
    if decoder != configured:
        raise InputError(
            f"the model's decoder has the alphabet {''.join(decoder)!r}, its configuration "
            f"{''.join(configured)!r}"
        )
    return decoder


def own_configuration(model: EncDecCTCModel, labels: Sequence[str]) -> dict[str, Any]:
    """A model's configuration for an alphabet, in the form of `configuration`.

    That of a foreign file may name loaders, masks and an optimiser, which are left out, and have no
    name or sampling rate of its own (NVIDIA's public QuartzNets have no name).

    Raises
    ------
    InputError
        for audio at another sampling rate than ours.
    """
    given = OmegaConf.to_container(model.cfg, resolve=True)
    assert isinstance(given, dict), "a model's configuration"
    parts: dict[str, Any] = {key: given[key] for key in ("preprocessor", "encoder", "decoder")}
    rate = parts["preprocessor"].get("sample_rate", SAMPLE_RATE)
    if rate != SAMPLE_RATE:
        raise InputError(f"the model hears audio at {rate} Hz; one for {SAMPLE_RATE} Hz is needed")
    parts["decoder"] |= {"num_classes": len(labels), "vocabulary": list(labels)}
    name = given.get("name") or type(model).__name__
    return {"name": name, "sample_rate": rate, "labels": list(labels), **parts}


def from_configuration(config: dict[str, Any], cutout: SafeCutout | None) -> EncDecCTCModel:
    """A model with random weights, of a configuration as `configuration` gives it."""
    model = EncDecCTCModel(cfg=OmegaConf.create(config))
    model.spec_augmentation = cutout
    return model
