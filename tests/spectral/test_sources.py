"""The same weights give the same report from every kind of container, and nothing is written."""

import json
import os
from pathlib import Path

import pandas as pd
import pytest
import torch
from safetensors.torch import save_file
from torch import nn

from hearsay.errors import InputError
from hearsay.spectral.report import audit
from hearsay.spectral.sources import locate, open_source


def audit_small(source, **options):
    return audit(source, convention="paper", **options)


# --- the same weights from everywhere ------------------------------------------------------------


def write_shards(folder: Path, weights: dict, save, pattern: str, index: str) -> Path:
    shards = [pattern.format(k) for k in (1, 2)]
    names = sorted(weights)
    parts = [names[:1], names[1:]]
    for shard, part in zip(shards, parts, strict=True):
        save({name: weights[name] for name in part}, folder / shard)
    mapping = {name: shard for shard, part in zip(shards, parts, strict=True) for name in part}
    (folder / index).write_text(json.dumps({"metadata": {}, "weight_map": mapping}))
    return folder / index


def as_safetensors(folder, weights):
    save_file(weights, folder / "model.safetensors")
    return folder / "model.safetensors"


def as_folder(folder, weights):
    (folder / "config.json").write_text("{}")
    return as_safetensors(folder, weights).parent


def as_sharded(folder, weights):
    name = "model-0000{}-of-00002.safetensors"
    return write_shards(folder, weights, save_file, name, "model.safetensors.index.json")


def as_sharded_folder(folder, weights):
    return as_sharded(folder, weights).parent


def as_sharded_pickles(folder, weights):
    name = "pytorch_model-0000{}-of-00002.bin"
    return write_shards(folder, weights, torch.save, name, "pytorch_model.bin.index.json").parent


def as_folder_of_a_pickle(folder, weights):
    (folder / "config.json").write_text("{}")
    torch.save(weights, folder / "pytorch_model.bin")
    return folder


def as_checkpoint(folder, weights):
    torch.save({"epoch": 3, "optimizer": {"state": {}}, "state_dict": weights}, folder / "a.pth")
    return folder / "a.pth"


def as_old_checkpoint(folder, weights):
    path = folder / "a.pth.tar"
    torch.save({"state_dict": weights}, path, _use_new_zipfile_serialization=False)
    return path


def as_data_parallel(folder, weights):
    torch.save({"model": {f"module.{k}": v for k, v in weights.items()}}, folder / "a.pt")
    return folder / "a.pt"


WRITERS = [
    as_safetensors,
    as_folder,
    as_sharded,
    as_sharded_folder,
    as_sharded_pickles,
    as_folder_of_a_pickle,
    as_checkpoint,
    as_old_checkpoint,
    as_data_parallel,
]


@pytest.mark.parametrize("write", WRITERS)
def test_every_container_gives_the_same_report(tmp_path, weights, write):
    path = write(tmp_path, weights)
    before = sorted(tmp_path.iterdir())
    expected = audit_small(weights)
    assert list(expected["name"]) == ["embed.weight", "fc.weight"]
    pd.testing.assert_frame_equal(audit_small(path), expected)
    pd.testing.assert_frame_equal(audit_small(str(path)), expected)
    assert sorted(tmp_path.iterdir()) == before  # nothing is written


@pytest.mark.parametrize("mode", ["w", "w:gz", "w:xz"])
@pytest.mark.parametrize("name", ["model_weights.ckpt", "./model_weights.ckpt"])
def test_nemo_archives_give_the_same_report(tmp_path, weights, write_nemo, name, mode):
    path = write_nemo(tmp_path / "a.nemo", weights, name=name, mode=mode)
    pd.testing.assert_frame_equal(audit_small(path), audit_small(weights))
    assert list(tmp_path.iterdir()) == [path]


def test_a_module_gives_the_same_report(weights):
    class Net(nn.Module):
        def __init__(self):
            super().__init__()
            self.embed = nn.Embedding(80, 12)
            self.fc = nn.Linear(12, 20)

    net = Net()
    net.load_state_dict(weights)
    expected = audit_small(weights)
    pd.testing.assert_frame_equal(audit_small(net), expected)
    pd.testing.assert_frame_equal(audit_small(nn.DataParallel(net)), expected)


def test_layers_of_a_safetensors_file_come_in_counting_order(tmp_path, heavy):
    save_file({f"layer.{k}.weight": heavy(12, 12) for k in (10, 9, 2)}, tmp_path / "a.safetensors")
    names = [weight.name for weight in open_source(tmp_path / "a.safetensors")]
    assert names == ["layer.2.weight", "layer.9.weight", "layer.10.weight"]


def test_a_tensor_that_the_index_forgot_is_listed(tmp_path, heavy):
    save_file({"a.weight": heavy(12, 12), "b.weight": heavy(12, 12)}, tmp_path / "1.safetensors")
    index = tmp_path / "model.safetensors.index.json"
    index.write_text(json.dumps({"weight_map": {"b.weight": "1.safetensors"}}))
    assert list(audit_small(index)["name"]) == ["b.weight", "a.weight"]


def test_state_dicts_inside_one_another(tmp_path, heavy):
    content = {
        "encoder": {"fc.weight": heavy(12, 12)},
        "decoder": {"fc.weight": heavy(12, 12)},
        "optimizer": {"exp_avg": heavy(12, 12)},
        "epoch": 1,
    }
    torch.save(content, tmp_path / "a.pt")
    frame = audit_small(tmp_path / "a.pt")
    assert list(frame["name"]) == ["encoder.fc.weight", "decoder.fc.weight"]


def test_the_hub_cache_is_looked_up_and_nothing_else(tmp_path, weights, refused, monkeypatch):
    monkeypatch.setattr("huggingface_hub.constants.HF_HUB_CACHE", str(tmp_path))
    message = refused("timm/vgg11.tv_in1k")
    assert "model.safetensors of the hub model timm/vgg11.tv_in1k is not in the local" in message
    assert "give the path of a local copy" in message
    # The layout of the hub's cache: snapshots hold links to blobs.
    repository = tmp_path / "models--timm--vgg11.tv_in1k"
    snapshot = repository / "snapshots" / ("a" * 40)
    for folder in (repository / "refs", repository / "blobs", snapshot):
        folder.mkdir(parents=True)
    (repository / "refs" / "main").write_text("a" * 40)
    assert "is not in the local cache" in refused("timm/vgg11.tv_in1k")  # a snapshot of no weights
    index = as_sharded(repository / "blobs", weights)
    for blob in index.parent.iterdir():
        (snapshot / blob.name).symlink_to(os.path.relpath(blob, snapshot))
    pd.testing.assert_frame_equal(audit_small("timm/vgg11.tv_in1k"), audit_small(weights))


@pytest.mark.parametrize("name", ["nowhere.safetensors", "/no/such/file", "a/b/c", "../x/y"])
def test_a_missing_file_is_no_hub_model(name):
    with pytest.raises(InputError, match=r"no such file or folder$"):
        locate(name)
