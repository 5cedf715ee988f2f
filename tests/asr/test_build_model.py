"""Models before their first step: the blank's first bias."""

import pytest
import torch

from hearsay.asr.networks import quartznet
from hearsay.asr.recogniser_files import save_recogniser
from hearsay.asr.train_recogniser import build_model
from hearsay.corpora.alphabets import labels_of
from hearsay.errors import InputError
from hearsay.settings.asr import RecogniserRecipe


def built(seed=0, source=None, language="en", **recipe):
    torch.manual_seed(seed)
    options = RecogniserRecipe(blocks="narrow", **recipe).model_dump()
    return build_model(options, labels_of(language), source)


@pytest.fixture
def source(tmp_path):
    torch.manual_seed(5)
    save_recogniser(tmp_path / "weights.safetensors", quartznet("narrow", labels_of("en")), {})
    return tmp_path / "weights.safetensors"


@pytest.mark.parametrize("transfer", [False, True])
def test_only_the_bias_of_the_blank_is_set(source, transfer):
    more = {"source": source, "language": "de"} if transfer else {}
    drawn, told = (built(**more, blank_bias=bias).state_dict() for bias in (None, 5.0))
    name = "decoder.decoder_layers.0.bias"
    assert told[name][-1] == 5.0
    assert torch.equal(drawn[name][:-1], told[name][:-1])
    assert all(torch.equal(drawn[other], told[other]) for other in drawn if other != name)


def test_a_decoder_that_is_kept_keeps_its_blank(source):
    kept = built(source=source, decoder="same-alphabet", blank_bias=5.0).state_dict()
    plain = built(source=source, decoder="same-alphabet").state_dict()
    assert all(torch.equal(kept[name], plain[name]) for name in plain)


def test_a_source_that_does_not_fit_is_named(source):
    with pytest.raises(InputError, match=f"^{source}: same-alphabet transfer: .* fresh decoder"):
        built(source=source, language="de", decoder="same-alphabet")
