"""The prompts' networks: the paper's sizes, shapes, and files that fit no other network."""

import pytest
import torch
from safetensors import safe_open

from hearsay.brain.prompted import (
    check_about,
    load_prompted,
    make_encoder,
    make_mapper,
    read_about,
    save_prompted,
)
from hearsay.brain.prompts import FmriEncoder, PromptMapper
from hearsay.errors import InputError
from hearsay.settings.brain import Recipe


def parameters(network):
    return sum(weight.numel() for weight in network.parameters())


@pytest.fixture
def meta():
    """Networks without storage: only shapes."""
    with torch.device("meta"):
        yield


@pytest.mark.usefixtures("meta")
def test_the_mapping_network_has_the_paper_s_size():
    assert parameters(PromptMapper(768, 768)) == 38_608_640
    assert parameters(PromptMapper(768, 768, 100)) == 38_662_400
    assert parameters(make_mapper(768, 768, Recipe().model_dump())) == 38_608_640


@pytest.mark.usefixtures("meta")
@pytest.mark.parametrize(
    ("voxels", "expected"), [(836, 38_472_104), (2093, 39_450_050), (1303, 38_835_430)]
)
def test_the_fmri_encoder_has_the_paper_s_size(voxels, expected):
    assert parameters(FmriEncoder(voxels, 10, 768)) == expected
    assert parameters(make_encoder(voxels, 768, Recipe().model_dump())) == expected
    layer = FmriEncoder(voxels, 10, 768).transformer.layers[0]
    assert parameters(layer) == 4_724_736


@pytest.mark.usefixtures("meta")
def test_context_adds_rows_to_the_encoder():
    recipe = Recipe(hrf_context=4).model_dump()
    assert parameters(make_encoder(836, 768, recipe)) == 38_472_104 + 4 * 836
    assert make_encoder(836, 768, recipe).position.shape == (14, 836)


@pytest.mark.usefixtures("meta")
def test_shapes_at_the_paper_s_size():
    assert PromptMapper(768, 768)(torch.empty(4, 768)).shape == (4, 30, 768)
    assert FmriEncoder(836, 10, 768)(torch.empty(4, 10, 836)).shape == (4, 30, 768)


def small(kind, **changes):
    options = {"layers": 2, "heads": 2, "dropout": 0.0} | changes
    if kind == "mapper":
        return PromptMapper(6, 8, 3, latent=5, **options), torch.randn(4, 6)
    return FmriEncoder(7, 5, 8, 3, **options), torch.randn(4, 5, 7)


@pytest.mark.parametrize("kind", ["mapper", "encoder"])
def test_a_prompt_depends_on_its_input_alone(kind):
    torch.manual_seed(0)
    network, x = small(kind)
    prompt = network.eval()(x)
    assert prompt.shape == (4, 3, 8)
    assert torch.allclose(network(x[2:3])[0], prompt[2], atol=1e-6)
    assert (network(x.roll(1, 0)).roll(-1, 0) - prompt).abs().max() < 1e-6
    assert (prompt[0] - prompt[1]).abs().max() > 1e-3


def test_the_order_of_rows_matters():
    torch.manual_seed(0)
    network, x = small("encoder")
    assert (network(x) - network(x.flip(1))).abs().max() > 1e-4


@pytest.mark.parametrize("kind", ["mapper", "encoder"])
def test_dropout_is_in_the_mlps_of_both_and_off_in_evaluation(kind):
    # The public code loses the encoder's on the way.
    torch.manual_seed(0)
    network, x = small(kind, dropout=0.5)
    assert not torch.equal(network(x), network(x))
    network.eval()
    assert torch.equal(network(x), network(x))


@pytest.mark.parametrize("kind", ["mapper", "encoder"])
def test_every_weight_is_used(kind):
    torch.manual_seed(0)
    network, x = small(kind)
    network(x).square().sum().backward()
    unused = [n for n, w in network.named_parameters() if w.grad is None or not w.grad.any()]
    assert unused == []


def test_attention_has_no_bias_on_query_key_and_value_and_no_last_norm():
    names = {name for name, _ in small("mapper")[0].named_parameters()}
    assert not any("query_key_value.bias" in name for name in names)
    assert any("projection.bias" in name for name in names)
    assert {n.split(".")[0] for n in names} == {"to_latent", "to_token", "transformer"}
    outside = {n for n in names if n.startswith("transformer.") and ".layers." not in n}
    assert outside == {"transformer.constants"}


def test_responses_of_another_shape_are_refused():
    network, x = small("encoder")
    with pytest.raises(ValueError, match=r"\(5, 6\) \(rows, voxels\).*made for \(5, 7\)"):
        network(x[:, :, :-1])


def test_heads_that_do_not_divide_the_width_are_refused():
    with pytest.raises(InputError, match=r"width 8 cannot have 3 .*recipe\.heads"):
        small("mapper", heads=3)


# --- files ----------------------------------------------------------------------------------------


@pytest.fixture
def language_model():
    torch.manual_seed(0)
    return torch.nn.Sequential(torch.nn.Linear(3, 4), torch.nn.Linear(4, 3))


ABOUT = {"kind": "fMRI prompt", "subject": "SIM01", "voxels": "abc"}


def test_a_file_has_what_was_trained_and_no_more(tmp_path, language_model):
    network, _ = small("encoder")
    language_model[0].requires_grad_(False)
    save_prompted(tmp_path / "a.safetensors", network, language_model, ABOUT)
    with safe_open(tmp_path / "a.safetensors", "pt") as file:
        names = {*file.keys()}
    assert {n for n in names if n.startswith("language_model.")} == {
        "language_model.1.weight",
        "language_model.1.bias",
    }
    other, x = small("encoder")
    before = {name: w.clone() for name, w in language_model.state_dict().items()}
    language_model[1].weight.data.zero_()
    load_prompted(tmp_path / "a.safetensors", other, language_model)
    assert torch.equal(other(x), network(x))
    assert all(torch.equal(before[n], w) for n, w in language_model.state_dict().items())
    assert read_about(tmp_path / "a.safetensors") == ABOUT


@pytest.mark.parametrize(
    ("key", "value"), [("kind", "text prompt"), ("subject", "SIM02"), ("voxels", "xyz")]
)
def test_a_file_of_something_else_is_refused_by_name(tmp_path, language_model, key, value):
    path = tmp_path / "a.safetensors"
    save_prompted(path, small("encoder")[0], language_model, ABOUT)
    assert check_about(path, **ABOUT) == ABOUT
    with pytest.raises(InputError, match=f"made for {key} '{ABOUT[key]}', not '{value}'; remove"):
        check_about(path, **(ABOUT | {key: value}))


@pytest.mark.parametrize("change", ["length", "layers", "kind", "language model"])
def test_weights_of_another_network_are_refused(tmp_path, language_model, change):
    path = tmp_path / "a.safetensors"
    save_prompted(path, small("encoder")[0], language_model, ABOUT)
    other = small("encoder")[0]
    if change == "length":  # another k
        other = FmriEncoder(7, 5, 8, 4, layers=2, heads=2)
    elif change == "layers":
        other = small("encoder", layers=3)[0]
    elif change == "kind":
        other = small("mapper")[0]
    else:
        language_model = torch.nn.Sequential(torch.nn.Linear(3, 5))
    with pytest.raises(InputError, match=r"a\.safetensors: its weights are another network's"):
        load_prompted(path, other, language_model)


@pytest.mark.parametrize("content", [b"", b"nonsense", None])
def test_what_is_no_such_file_is_refused(tmp_path, content):
    path = tmp_path / "a.safetensors"
    if content is not None:
        path.write_bytes(content)
    with pytest.raises(InputError, match="not weights of a prompt"):
        read_about(path)
