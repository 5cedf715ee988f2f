"""Weights in PyTorch checkpoints and NeMo archives, read so that no code in them can run.

Every pickle goes through `torch.load(weights_only=True)`, which builds tensors, containers and
numbers and refuses anything else. Classes that are metadata in known published checkpoints are
replaced by an inert class of ours; nothing is imported and nothing of theirs is called.
"""

import contextlib
import io
import lzma
import pickletools
import re
import tarfile
import warnings
import zipfile
import zlib
from collections.abc import Callable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import IO, Any

import torch

from hearsay.corpora.tar_members import open_tar
from hearsay.corpora.whole_weights import EXPANSION, weights_members
from hearsay.errors import InputError
from hearsay.spectral.safetensors_files import first_line
from hearsay.spectral.weights import StoredTensor, stored

# Classes of known published checkpoints that hold no weights.
KNOWN_METADATA = ("distiller.thinning.ThinningRecipe",)
# PyTorch blocks these modules before it looks at what is allowed.
NEVER = ("os", "posix", "nt", "sys")
# Where checkpoints keep their state dict, in order of preference.
CONTAINERS = (
    "state_dict",
    "model_state_dict",
    "model_state",
    "model",
    "module",
    "network",
    "net",
    "weights",
    "params",
)
# What lies beside a state dict and has tensors of its own, which are no weights.
NO_CONTAINER = re.compile("optim|sched|^(amp|callbacks|grad_scaler|history|loops|rng|scaler)")
NEMO_WEIGHTS = "model_weights.ckpt"
ZIP = b"PK\x03\x04"


class Placeholder:
    """Stands for an object of a class that is not loaded; takes any arguments, keeps none."""

    def __new__(cls, *args: Any, **kwargs: Any) -> "Placeholder":
        """An empty object, whatever the arguments."""
        return object.__new__(cls)

    def __setstate__(self, state: Any) -> None:
        pass


def read_checkpoint(path: Path, placeholders: Sequence[str] = ()) -> dict[str, StoredTensor]:
    """The tensors of a file written by `torch.save`, by name.

    The file is mapped where its format allows (that of PyTorch 1.6 and later), so that only the
    tensor in use takes memory; the format before that is read whole.

    placeholders : classes, as "module.Class", to replace by empty objects.

    Raises InputError for a file that is refused, broken, or holds no tensors.
    """
    with path.open("rb") as file:
        mapped = _check_zip(file, str(path))
    return tensors_in(_load(path, str(path), placeholders, mmap=mapped), str(path))


def read_nemo(path: Path, placeholders: Sequence[str] = ()) -> dict[str, StoredTensor]:
    """The tensors of a `.nemo` archive (a tar file with `model_weights.ckpt`); nothing is unpacked.

    Raises InputError for an archive without weights, or with members that point outside it.
    """
    where = f"{path} ({NEMO_WEIGHTS})"
    try:
        with open_tar(path) as archive:
            member = _nemo_member(path, archive)
            file = archive.extractfile(member)
            assert file is not None  # a regular file has content
            if not _is_plain_tar(path):  # a compressed stream cannot go back and forth quickly
                _check_expansion(where, member.size, path.stat().st_size)
                file = io.BytesIO(file.read())
            _check_zip(file, where)
            return tensors_in(_load(file, where, placeholders, mmap=False), where)
    except (tarfile.TarError, EOFError, OSError, zlib.error, lzma.LZMAError) as error:
        raise InputError(f"{path}: a broken archive ({first_line(error)})") from None


def tensors_in(content: Any, where: str) -> dict[str, StoredTensor]:
    """The state dict inside a checkpoint's content: `state_dict`, `model`, ..., or all of it.

    Mappings and lists inside the state dict join their names with dots.
    """
    found: dict[str, StoredTensor] = {}
    try:
        values = list(_flat(_state_dict(content)))
    except RecursionError:
        raise InputError(f"{where}: refused: it holds itself, or nests too deeply") from None
    for name, value in values:
        if isinstance(value, torch.Tensor):
            found[name] = stored(name, value)
        elif isinstance(value, Placeholder):
            problem = f"replaced by an empty placeholder for {_full_name(type(value))}"
            found[name] = StoredTensor(name, (), "unknown", lambda: torch.empty(0), problem=problem)
    if not any(len(tensor.shape) for tensor in found.values()):
        names = map(str, content) if isinstance(content, Mapping) else [type(content).__name__]
        raise InputError(f"{where}: no state dict in it; it holds: {', '.join(names) or 'nothing'}")
    return found


def _state_dict(content: Any) -> Any:
    if not isinstance(content, Mapping):
        return {}
    for key in CONTAINERS:
        if isinstance(content.get(key), Mapping) and _holds_weights(content[key]):
            return _state_dict(content[key])
    return {
        key: value
        for key, value in content.items()
        if isinstance(value, torch.Tensor | Placeholder)
        or not NO_CONTAINER.search(str(key).lower())
    }


def _holds_weights(content: Mapping[Any, Any]) -> bool:
    return any(isinstance(value, torch.Tensor) and value.ndim for _, value in _flat(content))


def _flat(content: Any, prefix: str = "") -> Iterator[tuple[str, Any]]:
    for key, value in content.items() if isinstance(content, Mapping) else enumerate(content):
        if isinstance(value, Mapping | list | tuple):
            yield from _flat(value, f"{prefix}{key}.")
        else:
            yield f"{prefix}{key}", value


def _load(source: Path | IO[bytes], where: str, placeholders: Sequence[str], mmap: bool) -> Any:
    inert: list[Callable[..., Any] | tuple[Callable[..., Any], str]]
    inert = [_inert(name) for name in (*KNOWN_METADATA, *placeholders)]
    with torch.serialization.safe_globals(inert), warnings.catch_warnings():
        warnings.simplefilter("ignore")  # about old pickle protocols
        try:
            return torch.load(source, map_location="cpu", weights_only=True, mmap=mmap)
        except Exception as error:  # a broken file can fail in any way
            refused = _refused(source)
            if not refused:
                raise InputError(f"{where}: PyTorch cannot read it ({_essence(error)})") from None
    advice = "a class that is only metadata can be replaced: --placeholder NAME"
    if any(name.startswith("torch.nn.") for name in refused):
        advice = "a pickled module is code: save its state_dict() instead"
    raise InputError(
        f"{where}: refused, since loading it could run code: it names {', '.join(refused)}; "
        f"{advice}"
    )


def _inert(full_name: str) -> type[Placeholder]:
    module, _, name = full_name.rpartition(".")
    if not all(part.isidentifier() for part in full_name.split(".")) or not module:
        raise InputError(f"placeholder {full_name!r}: give a class as module.Class")
    if module in NEVER:
        raise InputError(f"placeholder {full_name!r}: PyTorch loads no name of {module} whatsoever")
    return type(name, (Placeholder,), {"__module__": module, "__qualname__": name})


def _full_name(kind: type) -> str:
    return f"{kind.__module__}.{kind.__qualname__}"


def _refused(source: Path | IO[bytes]) -> list[str]:
    """Names in a checkpoint's pickles that `weights_only` does not allow; nothing is executed."""
    with source.open("rb") if isinstance(source, Path) else contextlib.nullcontext(source) as file:
        file.seek(0)
        is_zip = file.read(4) == ZIP
        file.seek(0)
        if is_zip:
            return _unsafe_globals(file)
        names: set[str] = set()
        for pickle, named in _pickles(file):
            archive = io.BytesIO()
            with zipfile.ZipFile(archive, "w") as zipped:
                zipped.writestr("archive/data.pkl", pickle)
                zipped.writestr("archive/version", "3\n")
            # PyTorch's own listing takes archives only, and only pickles of its own protocol.
            names.update(_unsafe_globals(archive) if pickle[:2] == b"\x80\x02" else named)
        return sorted(names)


def _unsafe_globals(archive: IO[bytes]) -> list[str]:
    archive.seek(0)
    try:
        return sorted(torch.serialization.get_unsafe_globals_in_checkpoint(archive))
    except Exception:  # a broken file has no names to report
        return []


def _pickles(file: IO[bytes]) -> Iterator[tuple[bytes, list[str]]]:
    """The pickles at the start of a file of the old format, each with the names in it.

    There are five, and then the storages.
    """
    for _ in range(5):
        start = file.tell()
        names: list[str] = []
        strings: list[str] = []
        try:
            for opcode, argument, _ in pickletools.genops(file):
                if opcode.name in ("GLOBAL", "INST"):
                    names.append(str(argument).replace(" ", "."))
                elif opcode.name == "STACK_GLOBAL":
                    names.append(".".join(strings[-2:]))
                elif isinstance(argument, str):
                    strings.append(argument)
        except Exception:  # no pickle, or a broken one
            return
        end = file.tell()
        file.seek(start)
        yield file.read(end - start), names


def _essence(error: BaseException) -> str:
    """The cause in PyTorch's message, without its advice to trust the file."""
    cause = str(error).partition("WeightsUnpickler error: ")[2]
    if not cause and ("weights_only" in str(error) or isinstance(error, KeyError)):
        return "it is none of its checkpoints, or a broken one"
    text = first_line(Exception(cause)) if cause else first_line(error)
    return text.removesuffix(" ").rstrip(".")


def _check_zip(file: IO[bytes], where: str) -> bool:
    """Whether a file is PyTorch's zip archive; InputError for other archives and for traps."""
    file.seek(0)
    is_zip = file.read(4) == ZIP
    size = file.seek(0, io.SEEK_END)
    file.seek(0)
    if not is_zip:
        return False
    try:
        with zipfile.ZipFile(file) as archive:
            members = archive.infolist()
    except (zipfile.BadZipFile, ValueError, NotImplementedError) as error:
        raise InputError(f"{where}: a broken or truncated file ({first_line(error)})") from None
    file.seek(0)
    names = {member.filename.rpartition("/")[2] for member in members}
    if "data.pkl" not in names:
        raise InputError(f"{where}: a zip archive, but not one of PyTorch's (no data.pkl in it)")
    if "constants.pkl" in names:
        raise InputError(f"{where}: a TorchScript program; save the module's state_dict() instead")
    _check_expansion(where, sum(member.file_size for member in members), size)
    return True


def _check_expansion(where: str, unpacked: int, size: int) -> None:
    if unpacked > EXPANSION * size:
        raise InputError(f"{where}: refused: {size} bytes that unpack to {unpacked}")


def _is_plain_tar(path: Path) -> bool:
    with path.open("rb") as file:
        file.seek(257)
        return file.read(5) == b"ustar"


def _nemo_member(path: Path, archive: tarfile.TarFile) -> tarfile.TarInfo:
    found = None
    for member in weights_members(archive, path):
        parts = Path(member.name).parts
        if member.name.startswith("/") or ".." in parts:
            raise InputError(f"{path}: refused: its member {member.name} points outside it")
        if [part for part in parts if part != "."] == [NEMO_WEIGHTS]:
            if found or not member.isreg():
                raise InputError(f"{path}: refused: {NEMO_WEIGHTS} is a link or there are two")
            found = member
    if found is None:
        raise InputError(f"{path}: no {NEMO_WEIGHTS} in this archive")
    return found
