"""Pickles that run something when they are loaded, in every format that could hold one."""

import io
import os
import pickle
import tarfile
import zipfile

import numpy as np
import pytest
import torch
from guard import guarded
from readers import READERS

from hearsay.brain.language_model import load_causal
from hearsay.errors import InputError
from hearsay.slu.bert_layers import load_bert
from hearsay.slu.speech_encoder import load_speech_encoder


class Payload:
    """Makes a file when it is unpickled the ordinary way."""

    def __init__(self, trace):
        self.trace = trace

    def __reduce__(self):
        return os.system, (f"touch '{self.trace}'",)


def as_npz(payload, *names):
    stream = io.BytesIO()
    array = np.empty(1, dtype=object)
    array[0] = payload
    np.savez(stream, **dict.fromkeys(names, array))
    return stream.getvalue()


def as_npy(payload):
    stream = io.BytesIO()
    array = np.empty(1, dtype=object)
    array[0] = payload
    np.save(stream, array)
    return stream.getvalue()


def as_checkpoint(payload, new=True):
    stream = io.BytesIO()
    content = {"state_dict": {"a": torch.zeros(60, 60)}, "x": payload}
    torch.save(content, stream, _use_new_zipfile_serialization=new)
    return stream.getvalue()


def as_nemo(payload):
    stream = io.BytesIO()
    data = as_checkpoint(payload)
    with tarfile.open(fileobj=stream, mode="w") as archive:
        header = tarfile.TarInfo("model_weights.ckpt")
        header.size = len(data)
        archive.addfile(header, io.BytesIO(data))
    return stream.getvalue()


def renamed_zip(payload):
    """A pickle under the name of an array, without the header of one."""
    stream = io.BytesIO()
    with zipfile.ZipFile(stream, "w") as archive:
        for name in ("words", "train", "valid", "test", "ids", "texts"):
            archive.writestr(f"{name}.npy", pickle.dumps(payload))
    return stream.getvalue()


FORMS = {
    "tokens": [lambda p: as_npz(p, "words", "train", "valid", "test"), renamed_zip, pickle.dumps],
    "states": [lambda p: as_npz(p, "ids", "texts", "top_0"), renamed_zip, pickle.dumps],
    "voxels (npy)": [as_npy, pickle.dumps],
    "PyTorch checkpoint": [
        as_checkpoint,
        lambda p: as_checkpoint(p, new=False),
        *(lambda p, k=k: pickle.dumps(p, protocol=k) for k in range(5)),
    ],
    "NeMo archive": [as_nemo, lambda p: as_checkpoint(p), pickle.dumps],
    "safetensors": [as_checkpoint, pickle.dumps],
    "language model": [as_checkpoint, pickle.dumps],
    "scores": [pickle.dumps],
}
CASES = [(name, k) for name, forms in FORMS.items() for k in range(len(forms))]


@pytest.mark.parametrize(("name", "form"), CASES)
def test_a_pickle_is_refused_and_runs_nothing(tmp_path, name, form):
    trace = tmp_path / "ran"
    reader = READERS[name]
    path = tmp_path / reader.name
    path.write_bytes(FORMS[name][form](Payload(trace)))
    with guarded(tmp_path), pytest.raises(InputError):
        reader.read(path)
    assert not trace.exists()


def test_the_payload_works(tmp_path):
    pickle.loads(pickle.dumps(Payload(tmp_path / "ran")))
    assert (tmp_path / "ran").exists()


@pytest.mark.parametrize(
    ("load", "kind"),
    [(load_bert, "bert"), (load_speech_encoder, "wav2vec2"), (load_causal, "gpt2")],
)
@pytest.mark.parametrize("code", [False, True])
def test_a_folder_with_pickled_weights_or_code_is_refused(tmp_path, load, kind, code):
    """Also one that brings code of its own, about which its library would ask."""
    trace = tmp_path / "ran"
    folder = tmp_path / "model"
    folder.mkdir()
    content = '{"model_type": "%s"}' % kind  # noqa: UP031
    if code:
        content = (
            '{"model_type": "mine", "auto_map": {"AutoConfig": "code.C", "AutoModel": "code.C"}}'
        )
        (folder / "code.py").write_text(f"import os\nos.system(\"touch '{trace}'\")\n")
    (folder / "config.json").write_text(content)
    (folder / "pytorch_model.bin").write_bytes(as_checkpoint(Payload(trace)))
    with pytest.raises(InputError) as caught:
        load(folder)
    assert "\n" not in str(caught.value)
    assert not trace.exists()
