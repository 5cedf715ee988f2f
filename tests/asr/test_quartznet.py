"""QuartzNet's sizes, what a transfer copies, and what it must not."""

import pytest
import torch
from nemo.collections.asr.models.ctc_models import EncDecCTCModel
from omegaconf import OmegaConf

from hearsay.asr import networks as module
from hearsay.asr.cutout import SafeCutout
from hearsay.asr.networks import BLOCKS, Blocks, labels_of_model, quartznet, transfer_encoder
from hearsay.asr.recogniser_files import load_recogniser, load_source, save_recogniser
from hearsay.corpora.alphabets import labels_of
from hearsay.errors import InputError

EN = labels_of("en")


def count(model):
    return sum(weight.numel() for weight in model.parameters())


def state(module):
    return {name: tensor.clone() for name, tensor in module.state_dict().items()}


def equal(first, second):
    return all(torch.equal(first[name], second[name]) for name in first | second)


@pytest.fixture(scope="module")
def english():
    torch.manual_seed(1)
    model = quartznet("narrow", EN)
    model.train()
    model(input_signal=torch.randn(2, 16_000), input_signal_length=torch.tensor([16_000, 12_000]))
    return model.eval()


@pytest.mark.parametrize(
    ("blocks", "language", "parameters"),
    [
        ("15x5", "en", 18_924_381),
        ("15x5", "de", 18_927_456),
        ("15x5", "es", 18_931_556),
        ("15x5", "ru", 18_930_531),
        ("5x3", "en", 6_407_005),
        ("5x3", "de", 6_410_080),
        ("5x3", "es", 6_414_180),
        ("5x3", "ru", 6_413_155),
        ("5x5", "en", 6_713_181),
    ],
)
def test_parameters_are_counted_as_published(blocks, language, parameters):
    assert count(quartznet(blocks, labels_of(language))) == parameters


def test_the_5x3_is_not_table_1_with_other_repeats(monkeypatch):
    groups = [(c, k) for c, k, _ in BLOCKS["5x5"].residual]
    naive = Blocks((256, 33), tuple((c, k, 3) for c, k in groups), (512, 87), (1024, 1))
    monkeypatch.setitem(BLOCKS, "naive", naive)
    assert count(quartznet("naive", EN)) == 4_639_581
    assert count(quartznet("5x3", EN)) != 4_639_581
    assert all(layer.dropout == 0.2 for layer in quartznet("5x3", EN).cfg.encoder.jasper)


def test_the_public_names_are_functions_in_any_order():
    """A module of one's name would take its place once it is imported."""
    from hearsay.asr import load_recogniser, quartznet, transfer_encoder

    assert all(map(callable, (load_recogniser, quartznet, transfer_encoder)))


def test_a_frame_is_20_ms():
    model = quartznet("narrow", EN).eval()
    log_probs, lengths, _ = model(
        input_signal=torch.randn(1, 32_000), input_signal_length=torch.tensor([32_000])
    )
    assert log_probs.shape[2] == len(EN) + 1
    assert abs(lengths[0] * module.FRAME_SECONDS - 2.0) <= 0.04


def test_the_encoder_is_the_sources_and_the_decoder_is_not(english):
    model = transfer_encoder(english, labels_of("de"))
    assert equal(state(model.encoder), state(english.encoder))
    assert any("running_mean" in name for name in state(model.encoder))
    assert model.decoder.decoder_layers[0].weight.shape == (32, 192, 1)
    assert labels_of_model(model) == labels_of("de")


def test_a_fresh_decoder_has_no_row_of_the_sources_even_at_an_equal_alphabet(english):
    for labels in (EN, list(reversed(EN))):
        fresh = state(transfer_encoder(english, labels).decoder)
        old = state(english.decoder)
        weights = next(name for name in old if name.endswith("weight"))
        assert fresh[weights].shape == old[weights].shape
        rows = (fresh[weights][:, None, :, 0] == old[weights][None, :, :, 0]).all(-1)
        assert not rows.any()


def test_the_same_alphabet_keeps_the_decoder(english):
    model = transfer_encoder(english, EN, same_alphabet=True)
    assert equal(state(model), state(english))


def test_a_permuted_alphabet_is_not_the_same(english):
    with pytest.raises(InputError, match=r"source's alphabet is .* train a fresh decoder"):
        transfer_encoder(english, list(reversed(EN)), same_alphabet=True)


def test_the_source_is_left_alone(english):
    before = state(english)
    model = transfer_encoder(english, EN, same_alphabet=True)
    with torch.no_grad():
        for weight in model.parameters():
            weight.zero_()
    assert equal(before, state(english))


def test_another_encoder_gives_another_output(english):
    """The control of the transfer: what is copied matters."""
    sound = {"input_signal": torch.randn(1, 16_000), "input_signal_length": torch.tensor([16_000])}
    kept = transfer_encoder(english, EN, same_alphabet=True).eval()
    other = quartznet("narrow", EN).eval()
    other.decoder.load_state_dict(english.decoder.state_dict())
    assert torch.equal(kept(**sound)[0], english(**sound)[0])
    assert not torch.allclose(other(**sound)[0], english(**sound)[0])


def test_dropout_and_masks_may_differ_from_the_sources(english):
    cutout = SafeCutout(2, 10, 10)
    model = transfer_encoder(english, EN, dropout=0.3, cutout=cutout)
    assert model.spec_augmentation is cutout
    rates = {m.p for m in model.encoder.modules() if isinstance(m, torch.nn.Dropout)}
    assert rates == {0.3}


@pytest.mark.parametrize("labels", [[], ["a", "a"], ["a", "bc"]])
def test_an_alphabet_of_no_or_equal_characters_is_refused(labels):
    with pytest.raises(InputError, match="must be single characters, and none of them twice"):
        quartznet("narrow", labels)


def test_unknown_blocks_are_refused():
    with pytest.raises(InputError, match="no QuartzNet '7x7'; there are: 15x5"):
        quartznet("7x7", EN)


def test_a_model_whose_alphabets_differ_is_not_written(english, tmp_path):
    model = transfer_encoder(english, EN)
    model.change_vocabulary(labels_of("de"))  # NeMo leaves cfg.labels as it is
    with pytest.raises(InputError, match=r"decoder has the alphabet .*ß.*, its configuration"):
        save_recogniser(tmp_path / "a.safetensors", model, {})
    assert not list(tmp_path.iterdir())


def test_written_and_read_it_is_the_same(english, tmp_path):
    save_recogniser(tmp_path / "a.safetensors", english, {"language": "en"})
    model, about = load_recogniser(tmp_path / "a.safetensors")
    assert about == {"language": "en"}
    assert equal(state(model), state(english))
    assert equal(state(load_source(tmp_path)), state(english))


def test_nemos_own_file_is_a_source(english, tmp_path):
    english.save_to(str(tmp_path / "public.nemo"))
    for path in (tmp_path / "public.nemo", tmp_path):
        model = transfer_encoder(path, labels_of("ru"))
        assert equal(state(model.encoder), state(english.encoder))
        assert labels_of_model(model) == labels_of("ru")


def published(**keys):
    """A model whose configuration has the keys of NVIDIA's public QuartzNets: no name, and more."""
    config = module.configuration("narrow", EN)
    del config["name"]
    loader = {"manifest_filepath": None, "labels": EN, "batch_size": 32, "shuffle": True}
    masks = {"_target_": "nemo.collections.asr.modules.SpectrogramAugmentation", "rect_masks": 5}
    more = {"repeat": 1, "separable": True, "train_ds": loader, "spec_augment": masks}
    return EncDecCTCModel(cfg=OmegaConf.create(config | more | keys))


@pytest.mark.parametrize("loaded", [True, False])
def test_a_public_checkpoint_is_a_source(tmp_path, loaded):
    public = published()
    public.save_to(str(tmp_path / "stt_en_quartznet.nemo"))
    source = public if loaded else tmp_path / "stt_en_quartznet.nemo"
    model = transfer_encoder(source, labels_of("de"), dropout=0.1)
    assert equal(state(model.encoder), state(public.encoder))
    assert labels_of_model(model) == labels_of("de")
    save_recogniser(tmp_path / "a.safetensors", model, {})
    assert equal(state(load_recogniser(tmp_path / "a.safetensors")[0]), state(model))


def test_a_source_for_the_telephone_is_refused(tmp_path):
    config = module.configuration("narrow", EN)
    public = published(preprocessor=config["preprocessor"] | {"sample_rate": 8_000})
    public.save_to(str(tmp_path / "telephone.nemo"))
    with pytest.raises(InputError, match=r"telephone\.nemo: the model hears audio at 8000 Hz"):
        transfer_encoder(tmp_path / "telephone.nemo", EN)


@pytest.mark.parametrize("content", [b"", b"not a model", b"PK\x03\x04"])
@pytest.mark.parametrize("suffix", [".nemo", ".safetensors"])
def test_other_files_are_no_source(tmp_path, content, suffix):
    path = tmp_path / f"broken{suffix}"
    path.write_bytes(content)
    with pytest.raises(InputError, match=f"broken{suffix}: (NeMo cannot read|not a recogniser)"):
        load_source(path)


def test_a_missing_source_and_a_folder_of_two_are_named(tmp_path):
    with pytest.raises(InputError, match=r"none\.nemo: no such recogniser"):
        load_source(tmp_path / "none.nemo")
    with pytest.raises(InputError, match=r"holds 0 \.nemo or \.safetensors files; one is meant"):
        load_source(tmp_path)


def test_it_is_nemos_model(english):
    assert isinstance(english, EncDecCTCModel)
