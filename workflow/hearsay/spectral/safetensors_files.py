"""Weights in safetensors: one file, or shards with an index. One tensor is in memory at a time."""

import json
import re
from functools import partial
from pathlib import Path

import torch
from safetensors import SafetensorError, safe_open

from hearsay.errors import InputError
from hearsay.spectral.weights import StoredTensor

# The format's own limit.
HEADER_BYTES = 100_000_000
INDEX_BYTES = 100_000_000
DTYPES = {
    "F64": torch.float64,
    "F32": torch.float32,
    "F16": torch.float16,
    "BF16": torch.bfloat16,
    "I64": torch.int64,
    "I32": torch.int32,
    "I16": torch.int16,
    "I8": torch.int8,
    "U8": torch.uint8,
    "BOOL": torch.bool,
}


def read_safetensors(path: Path) -> dict[str, StoredTensor]:
    """The tensors of one safetensors file by name, "layer.2" before "layer.10"; none is loaded.

    Raises InputError for a file that is truncated, whose header is oversized or no JSON, or whose
    tensors overlap or lie outside the file.
    """
    _check_header(path)
    try:
        with safe_open(path, framework="pt") as file:
            names = sorted(file.keys(), key=_natural)
            slices = [file.get_slice(name) for name in names]
            facts = [(tuple(part.get_shape()), part.get_dtype()) for part in slices]
    except (SafetensorError, OSError) as error:
        raise InputError(f"{path}: a broken safetensors file ({first_line(error)})") from None
    return {
        name: StoredTensor(name, shape, DTYPES.get(dtype, dtype), partial(_load, path, name))
        for name, (shape, dtype) in zip(names, facts, strict=True)
    }


def read_index(path: Path) -> dict[str, Path]:
    """Map the names of tensors to their shard, from a Hugging Face `*.index.json`.

    Raises InputError for an index that is none, names a shard outside its folder, or a missing one.
    """
    if path.stat().st_size > INDEX_BYTES:
        raise InputError(f"{path}: an index of more than {INDEX_BYTES} bytes")
    try:
        shards = json.loads(path.read_text(encoding="utf-8"))["weight_map"]
        entries = [(str(name), Path(shard)) for name, shard in shards.items()]
    except (ValueError, TypeError, KeyError, AttributeError, RecursionError):
        raise InputError(f"{path}: not an index of shards (no `weight_map` of names)") from None
    checked: dict[Path, Path] = {}
    for _, shard in entries:
        if shard not in checked:
            checked[shard] = _shard(path, shard)
    return {name: checked[shard] for name, shard in entries}


def first_line(error: BaseException) -> str:
    """An exception's message up to its first line break; its type if it has none."""
    lines = str(error).strip().splitlines()
    return lines[0].strip() if lines else type(error).__name__


def _check_header(path: Path) -> None:
    size = path.stat().st_size
    with path.open("rb") as stream:
        start = stream.read(8)
    length = int.from_bytes(start, "little")
    if len(start) < 8 or length < 2:
        raise InputError(f"{path}: not a safetensors file ({size} bytes, no header)")
    if length > HEADER_BYTES:
        raise InputError(
            f"{path}: not a safetensors file, or a hostile one: it announces a header of {length} "
            f"bytes; the format allows {HEADER_BYTES}"
        )
    if length > size - 8:
        raise InputError(
            f"{path}: truncated, or not a safetensors file: it announces a header of {length} "
            f"bytes and has {size} bytes in all"
        )


def _load(path: Path, name: str) -> torch.Tensor:
    # Opened anew for each tensor: an open file keeps every page in memory that was read through it.
    try:
        with safe_open(path, framework="pt") as file:
            return file.get_tensor(name)
    except (SafetensorError, OSError) as error:
        raise InputError(f"{path}: cannot read {name} ({first_line(error)})") from None


def _shard(index: Path, shard: Path) -> Path:
    if shard.is_absolute() or ".." in shard.parts or not str(shard).isprintable():
        raise InputError(f"{index}: refused: it points outside its folder, at {shard}")
    folder = index.parent.resolve()
    found = (index.parent / shard).resolve()
    # In the hub's cache, a snapshot's files are links to the blobs of the same repository.
    allowed = [folder]
    if folder.parent.name == "snapshots":
        allowed.append(folder.parent.parent / "blobs")
    if not any(found.is_relative_to(place) for place in allowed):
        raise InputError(f"{index}: refused: {shard} is a link out of its folder, to {found}")
    if not found.is_file():
        raise InputError(f"{index}: the shard {shard} is missing; fetch it into the same folder")
    return index.parent / shard


def _natural(name: str) -> list[tuple[int, int, str]]:
    """Sorting key that takes runs of digits as numbers."""
    parts = re.split(r"(\d+)", name)
    return [(1, int(part), "") if part.isdecimal() else (0, 0, part) for part in parts]
