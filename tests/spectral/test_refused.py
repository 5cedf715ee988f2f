"""Every file that cannot or must not be read ends with one line, and no code in it runs."""

import argparse
import json
import os
import pickle
import struct
import sys
import tarfile
import zipfile
from collections import namedtuple
from pathlib import Path
from types import ModuleType

import numpy as np
import pandas as pd
import pytest
import torch
from safetensors.torch import save_file
from torch import nn

from hearsay.spectral.report import audit


def audit_small(source, **options):
    return audit(source, convention="paper", **options)


# --- pickles -------------------------------------------------------------------------------------


class Payload:
    """Writes a file when it is unpickled the ordinary way."""

    def __init__(self, trace):
        self.trace = trace

    def __reduce__(self):
        return os.system, (f"touch '{self.trace}'",)


def save_zip(content, path):
    torch.save(content, path)


def save_old(content, path):
    torch.save(content, path, _use_new_zipfile_serialization=False)


def save_plain(content, path):
    path.write_bytes(pickle.dumps(content, protocol=2))


def save_text_protocol(content, path):
    path.write_bytes(pickle.dumps(content["payload"], protocol=0))


def save_protocol_4(content, path):
    path.write_bytes(pickle.dumps(content["payload"], protocol=4))


@pytest.mark.parametrize(
    "save", [save_zip, save_old, save_plain, save_text_protocol, save_protocol_4]
)
def test_a_pickle_that_would_run_code_is_refused_and_runs_nothing(tmp_path, weights, save, refused):
    trace = tmp_path / "ran"
    save({"state_dict": weights, "payload": Payload(trace)}, tmp_path / "a.pth")
    message = refused(tmp_path / "a.pth")
    assert "refused" in message
    assert "posix.system" in message
    assert not trace.exists()
    # The payload does work: unpickled without protection, it runs.
    pickle.loads(pickle.dumps(Payload(trace)))
    assert trace.exists()


def test_a_nemo_archive_with_code_is_refused(tmp_path, weights, refused, write_nemo):
    trace = tmp_path / "ran"
    write_nemo(tmp_path / "a.nemo", {"state_dict": weights, "x": Payload(trace)})
    assert "posix.system" in refused(tmp_path / "a.nemo")
    assert not trace.exists()


@pytest.mark.parametrize("save", [save_zip, save_old])
def test_other_classes_are_refused_by_name(tmp_path, weights, save, refused):
    optimizer = torch.optim.SGD([nn.Parameter(torch.zeros(2))], lr=0.1)
    save({"state_dict": weights, "optimizer": optimizer}, tmp_path / "a.pth")
    assert "torch.optim.sgd.SGD" in refused(tmp_path / "a.pth")
    save({"state_dict": weights, "args": argparse.Namespace(lr=0.1)}, tmp_path / "b.pth")
    message = refused(tmp_path / "b.pth")
    assert "argparse.Namespace" in message
    assert "--placeholder" in message


def test_a_pickled_module_is_refused_with_what_to_do(tmp_path, refused):
    torch.save(nn.Linear(4, 4), tmp_path / "a.pt")
    assert "save its state_dict() instead" in refused(tmp_path / "a.pt")


@pytest.mark.parametrize("save", [save_zip, save_old])
def test_metadata_is_replaced_by_name_only(tmp_path, weights, save, refused):
    namespace = argparse.Namespace(lr=0.1, milestones=[1, 2])
    save({"state_dict": weights, "args": namespace, "best": np.float64(0.9)}, tmp_path / "a.pth")
    message = refused(tmp_path / "a.pth", placeholders=["argparse.Namespace"])
    assert "argparse" not in message
    assert "numpy" in message
    names = [np.float64(0).__reduce__()[0], np.dtype]
    placeholders = ["argparse.Namespace", *(f"{f.__module__}.{f.__qualname__}" for f in names)]
    frame = audit_small(tmp_path / "a.pth", placeholders=placeholders)
    pd.testing.assert_frame_equal(frame, audit_small(weights))


def test_a_placeholder_among_the_weights_is_reported(tmp_path, weights):
    content = {**weights, "packed": argparse.Namespace(data=1)}
    torch.save(content, tmp_path / "a.pth")
    frame = audit_small(tmp_path / "a.pth", placeholders=["argparse.Namespace"])
    (row,) = frame[frame["name"] == "packed"].to_dict("records")
    assert row["status"] == "skipped"
    assert row["reason"] == "replaced by an empty placeholder for argparse.Namespace"


@pytest.mark.parametrize("name", ["Namespace", "posix.system", "os.system", "a b.C", ""])
def test_a_senseless_placeholder_is_refused(tmp_path, weights, name, refused):
    torch.save(weights, tmp_path / "a.pth")
    assert "placeholder" in refused(tmp_path / "a.pth", placeholders=[name])


def test_the_known_recipe_of_distiller_needs_no_option(tmp_path, weights, monkeypatch):
    package, module = ModuleType("distiller"), ModuleType("distiller.thinning")
    package.thinning = module
    module.ThinningRecipe = namedtuple("ThinningRecipe", ["modules", "parameters"])
    module.ThinningRecipe.__module__ = "distiller.thinning"
    with monkeypatch.context() as patch:
        patch.setitem(sys.modules, "distiller", package)
        patch.setitem(sys.modules, "distiller.thinning", module)
        recipes = [module.ThinningRecipe({"conv": (1, 2)}, {"conv.weight": [[0, 3]]})]
        save_old({"state_dict": weights, "thinning_recipes": recipes}, tmp_path / "a.pth.tar")
    pd.testing.assert_frame_equal(audit_small(tmp_path / "a.pth.tar"), audit_small(weights))


@pytest.mark.parametrize("save", [save_zip, save_old])
@pytest.mark.parametrize("share", [0.02, 0.5, 0.95])
def test_a_truncated_checkpoint(tmp_path, weights, save, share, refused):
    save(weights, tmp_path / "a.pth")
    content = (tmp_path / "a.pth").read_bytes()
    (tmp_path / "a.pth").write_bytes(content[: int(share * len(content))])
    assert str(tmp_path / "a.pth") in refused(tmp_path / "a.pth")


def test_a_checkpoint_that_unpacks_to_much_more_is_refused(tmp_path, refused):
    torch.save({"fc.weight": torch.zeros(600, 600)}, tmp_path / "a.pth")
    with zipfile.ZipFile(tmp_path / "a.pth") as plain:
        members = {info.filename: plain.read(info) for info in plain.infolist()}
    with zipfile.ZipFile(tmp_path / "b.pth", "w", zipfile.ZIP_DEFLATED) as packed:
        for name, data in members.items():
            packed.writestr(name, data)
    assert "unpack" in refused(tmp_path / "b.pth")


@pytest.mark.parametrize(
    ("content", "message"),
    [
        ({"epoch": 1}, "no state dict in it; it holds: epoch"),
        ({}, "holds: nothing"),
        ([torch.zeros(3, 3)], "holds: list"),
        ({"optimizer": {"exp_avg": torch.zeros(3, 3)}}, "holds: optimizer"),
        ({"fc.bias": torch.zeros(3)}, "no tensor of two dimensions or more"),
    ],
)
def test_a_checkpoint_without_weights(tmp_path, content, message, refused):
    torch.save(content, tmp_path / "a.pth")
    assert message in refused(tmp_path / "a.pth")


def test_a_checkpoint_that_holds_itself(tmp_path, refused):
    content = {}
    content["state_dict"] = content
    torch.save(content, tmp_path / "a.pth")
    assert "holds itself" in refused(tmp_path / "a.pth")


# --- safetensors ---------------------------------------------------------------------------------


def write_safetensors(path: Path, header: dict | bytes, data: bytes = b"", length=None) -> Path:
    text = header if isinstance(header, bytes) else json.dumps(header).encode()
    path.write_bytes(struct.pack("<Q", len(text) if length is None else length) + text + data)
    return path


def entry(start, end, shape=(2, 2)):
    return {"dtype": "F32", "shape": list(shape), "data_offsets": [start, end]}


BROKEN_SAFETENSORS = {
    "oversized header": ({}, b"", 2**40, "announces a header of 1099511627776 bytes"),
    "largest header": ({}, b"", 2**64 - 1, "announces a header"),
    "header of 101 MB": ({}, b"", 101_000_000, "the format allows 100000000"),
    "header beyond the file": ({}, b"", 10_000, "truncated"),
    "no header": (b"", b"", 0, "no header"),
    "header is no JSON": (b"{not json}", b"", None, "broken safetensors file"),
    "header is a list": (b"[1, 2]", b"", None, "broken safetensors file"),
    "truncated data": ({"a.weight": entry(0, 16)}, b"1234", None, "broken safetensors file"),
    "offset beyond the file": ({"a.weight": entry(64, 80)}, b"0" * 16, None, "broken"),
    "offsets that overlap": (
        {"a.weight": entry(0, 16), "b.weight": entry(8, 24)},
        b"0" * 24,
        None,
        "broken",
    ),
    "offsets in reverse": ({"a.weight": entry(16, 0)}, b"0" * 16, None, "broken"),
    "shape of another size": ({"a.weight": entry(0, 16, (9, 9))}, b"0" * 16, None, "broken"),
}


@pytest.mark.parametrize("case", BROKEN_SAFETENSORS)
def test_a_broken_safetensors_file(tmp_path, case, refused):
    header, data, length, message = BROKEN_SAFETENSORS[case]
    path = write_safetensors(tmp_path / "a.safetensors", header, data, length)
    assert message in refused(path)


@pytest.mark.parametrize(
    "shard", ["../outside.safetensors", "{absolute}", "a/../../outside.safetensors"]
)
def test_an_index_that_points_outside_its_folder(tmp_path, weights, shard, refused):
    folder = tmp_path / "model"
    folder.mkdir()
    save_file(weights, tmp_path / "outside.safetensors")
    shard = shard.format(absolute=tmp_path / "outside.safetensors")
    index = folder / "model.safetensors.index.json"
    index.write_text(json.dumps({"weight_map": dict.fromkeys(weights, shard)}))
    assert "points outside its folder" in refused(index)
    assert "points outside its folder" in refused(folder)


def test_an_index_whose_shard_is_a_link_out_of_its_folder(tmp_path, weights, refused):
    folder = tmp_path / "model"
    folder.mkdir()
    save_file(weights, tmp_path / "outside.safetensors")
    (folder / "model-1.safetensors").symlink_to(tmp_path / "outside.safetensors")
    index = folder / "model.safetensors.index.json"
    index.write_text(json.dumps({"weight_map": dict.fromkeys(weights, "model-1.safetensors")}))
    assert "link out of its folder" in refused(index)


def test_an_index_with_a_missing_shard_or_tensor(tmp_path, weights, refused):
    save_file(weights, tmp_path / "model-1.safetensors")
    index = tmp_path / "model.safetensors.index.json"
    mapping = dict.fromkeys([*weights, "gone.weight"], "model-1.safetensors")
    index.write_text(json.dumps({"weight_map": mapping}))
    assert "gone.weight is not in model-1.safetensors" in refused(index)
    (tmp_path / "model-1.safetensors").unlink()
    assert "the shard model-1.safetensors is missing" in refused(index)


@pytest.mark.parametrize("text", ["", "[]", "{}", '{"weight_map": 3}', '{"weight_map": {"a": 3}}'])
def test_an_index_that_is_none(tmp_path, text, refused):
    (tmp_path / "model.safetensors.index.json").write_text(text)
    assert "not an index of shards" in refused(tmp_path)


# --- archives, folders, other formats ------------------------------------------------------------


@pytest.mark.parametrize("name", ["../model_weights.ckpt", "/model_weights.ckpt", "a/../../x"])
def test_a_nemo_archive_whose_members_point_outside(tmp_path, weights, name, refused, write_nemo):
    path = write_nemo(tmp_path / "a.nemo", weights, name=name)
    assert "points outside" in refused(path)


@pytest.mark.parametrize("kind", [tarfile.SYMTYPE, tarfile.LNKTYPE, tarfile.FIFOTYPE])
def test_a_nemo_archive_whose_weights_are_a_link(tmp_path, kind, refused):
    with tarfile.open(tmp_path / "a.nemo", "w") as archive:
        info = tarfile.TarInfo("model_weights.ckpt")
        info.type, info.linkname = kind, "/etc/passwd"
        archive.addfile(info)
    assert "is a link" in refused(tmp_path / "a.nemo")


def test_a_nemo_archive_without_weights_or_broken(tmp_path, weights, refused, write_nemo):
    write_nemo(tmp_path / "a.nemo", weights, name="./other.ckpt")
    assert "no model_weights.ckpt" in refused(tmp_path / "a.nemo")
    content = write_nemo(tmp_path / "b.nemo", weights, mode="w:gz").read_bytes()
    (tmp_path / "b.nemo").write_bytes(content[: len(content) // 2])
    assert "b.nemo" in refused(tmp_path / "b.nemo")
    (tmp_path / "c.nemo").write_text("no archive")
    assert "a broken archive" in refused(tmp_path / "c.nemo")


def test_a_compressed_nemo_archive_that_unpacks_to_much_more(tmp_path, refused, write_nemo):
    content = {"fc.weight": torch.zeros(600, 600)}
    assert "unpack" in refused(write_nemo(tmp_path / "a.nemo", content, mode="w:gz"))


def test_a_folder_with_no_weights(tmp_path, refused):
    (tmp_path / "config.json").write_text("{}")
    assert "a folder with no weights; supported are safetensors" in refused(tmp_path)


def test_a_folder_prefers_safetensors_and_asks_where_it_cannot_choose(tmp_path, weights, refused):
    (tmp_path / "pytorch_model.bin").write_text("never read")
    save_file(weights, tmp_path / "b.safetensors")
    pd.testing.assert_frame_equal(audit_small(tmp_path), audit_small(weights))
    save_file(weights, tmp_path / "a.safetensors")
    assert "2 files of weights and no index of them (a.safetensors, b" in refused(tmp_path)


OTHER_FILES = {
    "a.h5": (b"\x89HDF\r\n\x1a\n", "HDF5 (Keras) is not supported"),
    "weights": (b"\x89HDF\r\n\x1a\n", "HDF5 (Keras) is not supported"),
    "a.onnx": (b"\x08\x07\x12\x07pytorch", "ONNX is not supported; supported are safetensors"),
    "a.gguf": (b"GGUF\x03\x00\x00\x00", "GGUF is not supported"),
    "empty.pth": (b"", "an empty file"),
    "empty.safetensors": (b"", "an empty file"),
    "a.txt": (b"just words\n", "not a file of weights; supported are"),
    "text.pth": (b"just words\n", "PyTorch cannot read it"),
    "text.safetensors": (b"just words\n", "not a safetensors file"),
    "lfs.safetensors": (b"version https://git-lfs.github.com/spec/v1\n", "pointer of Git LFS"),
    "a.zip": (b"PK\x03\x04", "broken or truncated"),
}


@pytest.mark.parametrize("name", OTHER_FILES)
def test_files_of_other_kinds(tmp_path, name, refused):
    content, message = OTHER_FILES[name]
    (tmp_path / name).write_bytes(content)
    assert message in refused(tmp_path / name)


def test_other_archives_and_programs(tmp_path, refused):
    with zipfile.ZipFile(tmp_path / "a.pt", "w") as archive:
        archive.writestr("weights.txt", "1")
    assert "not one of PyTorch's" in refused(tmp_path / "a.pt")
    with zipfile.ZipFile(tmp_path / "b.pt", "w") as archive:
        for member in ("data.pkl", "constants.pkl", "code/__torch__.py"):
            archive.writestr(f"program/{member}", "")
    assert "TorchScript" in refused(tmp_path / "b.pt")


def test_something_that_is_no_source(tmp_path, refused):
    os.mkfifo(tmp_path / "pipe")
    assert "neither a file nor a folder" in refused(tmp_path / "pipe")
    assert "int: no source of weights" in refused(3)
    assert "no tensor of two dimensions" in refused(nn.ReLU())


@pytest.mark.skipif(os.geteuid() == 0, reason="root may read everything")
def test_a_file_that_may_not_be_read(tmp_path, weights, refused):
    path = tmp_path / "model.safetensors"
    save_file(weights, path)
    path.chmod(0)
    assert "cannot be read" in refused(path)
