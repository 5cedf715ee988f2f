"""Recognisers on disk: safetensors of ours, and NeMo's own files as sources."""

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from nemo.collections.asr.models.ctc_models import EncDecCTCModel
from omegaconf import OmegaConf
from safetensors import safe_open
from safetensors.torch import save_file

from hearsay.asr.networks import from_configuration, labels_of_model, own_configuration
from hearsay.errors import InputError, reason_of
from hearsay.files import whole_file


def save_recogniser(path: Path | str, model: EncDecCTCModel, about: Mapping[str, Any]) -> None:
    """Write weights as safetensors; configuration, alphabet and `about` go into the metadata.

    Raises
    ------
    InputError
        if the alphabets of decoder and configuration differ.
    """
    labels_of_model(model)
    tensors = {name: t.detach().cpu().contiguous() for name, t in model.state_dict().items()}
    config = OmegaConf.to_container(model.cfg, resolve=True)
    content = json.dumps({"config": config, "about": dict(about)}, sort_keys=True)
    with whole_file(path) as temporary:
        save_file(tensors, temporary, metadata={"hearsay": content})


def load_recogniser(path: Path | str) -> tuple[EncDecCTCModel, dict[str, Any]]:
    """Read what `save_recogniser` wrote: the model, in evaluation mode, and `about`.

    Raises
    ------
    InputError
        if it is not such a file.
    """
    try:
        with safe_open(str(path), "pt") as file:
            content = json.loads((file.metadata() or {})["hearsay"])
            tensors = {name: file.get_tensor(name) for name in file.keys()}  # noqa: SIM118
        model = from_configuration(content["config"], None)
        model.load_state_dict(tensors)
    except Exception as error:  # whatever a broken file brings about
        reason = reason_of(error)
        raise InputError(f"{path}: not a recogniser of hearsay: {reason}") from None
    labels_of_model(model)
    return model.eval(), content["about"]


def load_source(path: Path | str) -> EncDecCTCModel:
    """A model to start from: a file of ours, a ``.nemo`` file, or a folder that holds one.

    NeMo reads its files without unpickling anything and refuses archives that lead outside.

    Raises
    ------
    InputError
        for anything else, and for a ``.nemo`` file that is no CTC model of characters.
    """
    path = Path(path)
    if path.is_dir():
        held = sorted(path.glob("*.nemo")) or sorted(path.glob("*.safetensors"))
        if len(held) != 1:
            raise InputError(f"{path}: holds {len(held)} .nemo or .safetensors files; one is meant")
        path = held[0]
    if path.suffix == ".safetensors":
        return load_recogniser(path)[0]
    if not path.is_file():
        raise InputError(f"{path}: no such recogniser")
    try:
        model = EncDecCTCModel.restore_from(str(path), map_location="cpu")
    except Exception as error:  # whatever an archive of unknown content brings NeMo to raise
        reason = reason_of(error)
        raise InputError(f"{path}: NeMo cannot read it as a CTC model: {reason}") from None
    # NeMo keeps the alphabet in up to three places; the decoder's is what its rows mean.
    try:
        model.cfg = OmegaConf.create(own_configuration(model, list(model.decoder.vocabulary)))
    except InputError as error:
        raise InputError(f"{path}: {error}") from None
    return model.eval()
