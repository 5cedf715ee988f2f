"""Open any source of weights: a module, a state dict, a file, a folder, a model in the hub's cache.

Nothing here loads a weight, writes a file or uses the network.
"""

import re
from collections.abc import Mapping, Sequence
from pathlib import Path

import torch

from hearsay.errors import InputError
from hearsay.spectral.checkpoints import read_checkpoint, read_nemo, tensors_in
from hearsay.spectral.layouts import layouts_by_name
from hearsay.spectral.modules import weights_of_module
from hearsay.spectral.safetensors_files import read_index, read_safetensors
from hearsay.spectral.weights import StoredTensor, Weight, merge_shared, without_common_prefix

Source = torch.nn.Module | Mapping[str, torch.Tensor] | Path | str

SUPPORTED = (
    "supported are safetensors (a file, an index of shards, a Hugging Face folder), PyTorch "
    "checkpoints and .nemo archives"
)
# Files of a folder, the first that is found; a pattern must match a single file.
FOLDER_FILES = (
    "model.safetensors",
    "model.safetensors.index.json",
    "*.safetensors.index.json",
    "*.safetensors",
    "pytorch_model.bin",
    "pytorch_model.bin.index.json",
    "*.bin.index.json",
    "*.nemo",
    "*.bin",
    "*.pt",
    "*.pth",
    "*.pth.tar",
    "*.th",
    "*.ckpt",
)
PICKLE_SUFFIXES = (".bin", ".pt", ".pth", ".th", ".ckpt", ".pkl")
UNSUPPORTED_MAGIC = {b"\x89HDF": "HDF5 (Keras)", b"GGUF": "GGUF"}
UNSUPPORTED_SUFFIX = {
    ".onnx": "ONNX",
    ".h5": "HDF5",
    ".hdf5": "HDF5",
    ".keras": "Keras",
    ".pb": "TensorFlow",
    ".tflite": "TensorFlow Lite",
    ".msgpack": "Flax",
    ".npz": "NumPy",
    ".npy": "NumPy",
}
KNOWN_SUFFIXES = (*UNSUPPORTED_SUFFIX, *PICKLE_SUFFIXES, ".safetensors", ".json", ".nemo", ".tar")
HUB_NAME = re.compile(r"[A-Za-z0-9][\w.-]*(/[A-Za-z0-9][\w.-]*)?")


def open_source(source: Source, placeholders: Sequence[str] = ()) -> list[Weight]:
    """List the tensors of two dimensions or more in `source`, each loading on demand.

    source : a torch module; a state dict; a path to a file or folder; or the name of a Hugging
        Face model, such as "timm/vgg11.tv_in1k", that is in the local cache.
    placeholders : classes in a pickle, as "module.Class", to replace by empty objects.

    Tensors that share storage and shape come once, with their other names as aliases. Where all
    names begin with `module.` (torch.nn.DataParallel) it is left out.

    Raises InputError for anything that cannot be read, in one line.
    """
    if isinstance(source, torch.nn.Module):
        weights = weights_of_module(source)
    elif isinstance(source, Mapping):
        weights = layouts_by_name(without_common_prefix(tensors_in(source, "the state dict")))
    elif isinstance(source, str | Path):
        tensors = _read(locate(source), placeholders)
        weights = layouts_by_name(without_common_prefix(tensors))
    else:
        raise InputError(
            f"{type(source).__name__}: no source of weights; give a module, a state dict or a path"
        )
    if not weights:
        raise InputError(f"{_shown(source)}: no tensor of two dimensions or more in it")
    return merge_shared(weights)


def locate(source: Path | str) -> Path:
    """The file or folder of a model: a path, or a hub model in the local cache."""
    path = Path(source).expanduser()
    if path.exists():
        return path
    name = str(source)
    if isinstance(source, Path) or path.suffix in KNOWN_SUFFIXES or not HUB_NAME.fullmatch(name):
        raise InputError(f"{source}: no such file or folder")
    return _in_hub_cache(name)


def _in_hub_cache(name: str) -> Path:
    # Imported here: it is needed for names of hub models only.
    from huggingface_hub import constants, snapshot_download
    from huggingface_hub.errors import HFValidationError, LocalEntryNotFoundError

    try:
        folder = Path(snapshot_download(name, local_files_only=True))
        _choose(folder)
        return folder
    except (LocalEntryNotFoundError, HFValidationError, InputError):
        raise InputError(
            f"{name}: no such file or folder, and model.safetensors of the hub model {name} is not "
            f"in the local cache ({constants.HF_HUB_CACHE}); nothing is downloaded: give the path "
            "of a local copy of model.safetensors instead"
        ) from None


def _read(path: Path, placeholders: Sequence[str]) -> dict[str, StoredTensor]:
    try:
        if path.is_dir():
            path = _choose(path)
        if not path.is_file():
            raise InputError(f"{path}: neither a file nor a folder")
        if path.name.endswith(".index.json"):
            return _read_shards(path, placeholders)
        return _read_file(path, placeholders)
    except OSError as error:
        raise InputError(f"{path}: cannot be read ({error.strerror or error})") from None


def _choose(folder: Path) -> Path:
    for pattern in FOLDER_FILES:
        found = sorted(path for path in folder.glob(pattern) if path.is_file())
        if len(found) > 1:
            names = ", ".join(path.name for path in found[:4])
            raise InputError(
                f"{folder}: {len(found)} files of weights and no index of them ({names}); name one"
            )
        if found:
            return found[0]
    raise InputError(f"{folder}: a folder with no weights; {SUPPORTED}")


def _read_shards(index: Path, placeholders: Sequence[str]) -> dict[str, StoredTensor]:
    shards = read_index(index)
    contents = {shard: _read_file(shard, placeholders) for shard in dict.fromkeys(shards.values())}
    tensors = {}
    for name, shard in shards.items():
        if name not in contents[shard]:
            raise InputError(f"{index}: {name} is not in {shard.name}, where the index has it")
        tensors[name] = contents[shard][name]
    unlisted = {name: t for content in contents.values() for name, t in content.items()}
    return tensors | {name: t for name, t in unlisted.items() if name not in tensors}


def _read_file(path: Path, placeholders: Sequence[str]) -> dict[str, StoredTensor]:
    """Choose the reader by a file's content; by its name only where the content is a plain tar."""
    with path.open("rb") as stream:
        start = stream.read(32)
    unsupported = UNSUPPORTED_MAGIC.get(start[:4]) or UNSUPPORTED_SUFFIX.get(path.suffix.lower())
    if not start:
        raise InputError(f"{path}: an empty file")
    if start.startswith(b"version https://git-lfs"):
        raise InputError(f"{path}: a pointer of Git LFS, not the weights: fetch it (git lfs pull)")
    if unsupported:
        raise InputError(f"{path}: {unsupported} is not supported; {SUPPORTED}")
    if path.suffix == ".safetensors" or start[8:9] == b"{":
        return read_safetensors(path)
    if path.suffix == ".nemo":
        return read_nemo(path, placeholders)
    # Zip archives and pickles from protocol 2 on; older pickles have no mark of their own.
    if start[:4] == b"PK\x03\x04" or start[:1] == b"\x80" or path.suffix in PICKLE_SUFFIXES:
        return read_checkpoint(path, placeholders)
    raise InputError(f"{path}: not a file of weights; {SUPPORTED}")


def _shown(source: Source) -> str:
    if isinstance(source, torch.nn.Module):
        return f"the module {type(source).__name__}"
    return "the state dict" if isinstance(source, Mapping) else str(source)
