"""Speech encoders: their frames, times and padding."""

import pytest
import torch
from tiny import bert_model, speech_model, write_models

from hearsay.errors import InputError
from hearsay.slu.speech_encoder import SpeechEncoder, encoder_of, load_speech_encoder

KINDS = ["data2vec-audio", "wav2vec2", "hubert", "wavlm"]


@pytest.mark.parametrize("kind", KINDS)
def test_an_utterance_gives_the_same_frames_alone_and_in_a_batch(kind):
    encoder = SpeechEncoder(speech_model(kind)).eval()
    lengths = torch.tensor([12_000, 7_777, 4_000])
    audio = torch.randn(3, 12_000)
    with torch.no_grad():
        frames, mask = encoder(audio, lengths)
        assert mask.sum(1).tolist() == encoder.frames_of(lengths).tolist()
        assert frames.shape == (3, encoder.frames_of(12_000), 32)
        for row, length in enumerate(lengths.tolist()):
            alone, _ = encoder(audio[[row], :length], lengths[[row]])
            torch.testing.assert_close(alone[0], frames[row][mask[row]], atol=1e-5, rtol=1e-4)


def test_alone_it_is_the_encoder_as_transformers_has_it():
    model = speech_model()
    encoder = SpeechEncoder(model, normalise=False).eval()
    audio = torch.randn(1, 9_000)
    with torch.no_grad():
        frames, _ = encoder(audio, torch.tensor([9_000]))
        assert torch.equal(frames, model(audio, torch.ones(1, 9_000).long()).last_hidden_state)


@pytest.mark.parametrize("kind", KINDS)
def test_local_frames_are_the_convolutions_and_see_no_more_than_their_field(kind):
    encoder = SpeechEncoder(speech_model(kind), normalise=False).eval()
    audio, lengths = torch.randn(1, 9_000), torch.tensor([9_000])
    with torch.no_grad():
        frames, mask, local = encoder.with_local(audio, lengths)
        assert torch.equal(frames, encoder(audio, lengths)[0])
        expected = encoder.model.feature_extractor(audio).transpose(1, 2)
        torch.testing.assert_close(local, expected)
        assert local.shape == (1, mask.shape[1], encoder.local_width)
        place = 10 * encoder.hop
        audio[0, place] += 5.0
        others = encoder.with_local(audio, lengths)
    changed = (others[2] - local).abs().amax((0, 2)).nonzero()[:, 0] * encoder.hop
    assert ((changed <= place) & (place < changed + encoder.field)).all()
    moved = (others[0] - frames).abs().amax((0, 2)) > 0
    assert moved.sum() > len(changed)  # what the transformer's frames do not keep to


def test_audio_is_normalised_as_by_the_feature_extractor():
    from transformers import Wav2Vec2FeatureExtractor

    extractor = Wav2Vec2FeatureExtractor(return_attention_mask=True, do_normalize=True)
    audio = [0.1 * torch.randn(9_000) + 0.05, 0.3 * torch.randn(5_000)]
    made = extractor(
        [each.numpy() for each in audio], sampling_rate=16_000, padding=True, return_tensors="pt"
    )
    model = speech_model()
    padded = torch.nn.utils.rnn.pad_sequence(audio, batch_first=True)
    with torch.no_grad():
        frames, mask = SpeechEncoder(model).eval()(padded, torch.tensor([9_000, 5_000]))
        expected, _ = SpeechEncoder(model, normalise=False).eval()(
            made["input_values"], torch.tensor([9_000, 5_000])
        )
    torch.testing.assert_close(frames[mask], expected[mask], atol=1e-4, rtol=1e-4)


def test_frames_and_times_of_the_usual_convolutions():
    """20 ms a frame of 25 ms; 49 frames a second; a frame's own 20 ms begin 2.5 ms late."""
    model = speech_model(
        conv_dim=(8,) * 7,
        conv_kernel=(10, 3, 3, 3, 3, 2, 2),
        conv_stride=(5, 2, 2, 2, 2, 2, 2),
        num_feat_extract_layers=7,
    )
    encoder = SpeechEncoder(model)
    assert (encoder.hop, encoder.field) == (320, 400)
    for samples in (400, 719, 720, 16_000, 16_079):
        frames, mask = encoder(torch.randn(1, samples), torch.tensor([samples]))
        assert frames.shape[1] == mask.sum() == encoder.frames_of(samples)
        assert encoder.seconds(torch.tensor(float(frames.shape[1]))) <= samples / 16_000
    assert encoder.frames_of(16_000) == 49
    times = encoder.seconds(torch.tensor([0.0, 1.0, 2.5], dtype=torch.float64))
    assert times.tolist() == [0.0025, 0.0225, 0.0525]


def test_levels_are_of_the_frames_and_below_the_loudest():
    encoder = SpeechEncoder(speech_model())
    audio = torch.zeros(2, 16_000)
    audio[:, 8_000:] = torch.sin(torch.arange(8_000) / 3)
    audio[0, 8_000:] *= 0.01
    audio[0, 4_000:8_000] = audio[0, 8_000:12_000] * 0.1
    lengths = torch.tensor([16_000, 12_000])
    _, mask = encoder(audio, lengths)
    level = encoder.decibels(audio, mask)
    assert level.shape == mask.shape
    assert level[mask].max() == 0
    assert level[0, 20].item() == pytest.approx(-20, abs=0.5)
    assert level[0, 5] < -40
    assert torch.isneginf(level[1, 38:]).all()


@pytest.mark.parametrize("frozen", ["nothing", "convolutions", "everything"])
def test_what_is_frozen_gets_no_gradient(frozen):
    encoder = SpeechEncoder(speech_model(), frozen=frozen).train()
    trained = {n.split(".")[1] for n, w in encoder.named_parameters() if w.requires_grad}
    assert ("feature_extractor" in trained) == (frozen == "nothing")
    assert ("encoder" in trained) == (frozen != "everything")
    assert encoder.model.training == (frozen != "everything")
    frames, _ = encoder(torch.randn(1, 9_000), torch.tensor([9_000]))
    assert frames.requires_grad == (frozen != "everything")


def test_training_is_without_layers_left_out_and_masks_unless_asked(tmp_path):
    folder, text = write_models(tmp_path)
    encoder = load_speech_encoder(folder)
    assert (encoder.model.config.layerdrop, encoder.model.config.apply_spec_augment) == (0, False)
    assert not encoder.model.masked_spec_embed.requires_grad
    asked = load_speech_encoder(folder, layerdrop=0.1, spec_augment=True)
    assert (asked.model.config.layerdrop, asked.model.config.apply_spec_augment) == (0.1, True)
    again = encoder_of(encoder.model.config.to_dict(), normalise=True)
    again.load_state_dict(encoder.state_dict())
    audio, lengths = torch.randn(1, 9_000), torch.tensor([9_000])
    with torch.no_grad():
        assert torch.equal(again.eval()(audio, lengths)[0], encoder.eval()(audio, lengths)[0])
    with pytest.raises(InputError, match="a model of type 'bert' takes no waveforms"):
        load_speech_encoder(text)
    with pytest.raises(InputError, match=r"no speech encoder here \(config.json is missing\)"):
        load_speech_encoder(tmp_path)


def test_weights_that_are_missing_are_named(tmp_path):
    from safetensors.torch import load_file, save_file

    folder, _ = write_models(tmp_path)
    path = folder / "model.safetensors"
    tensors = load_file(path)
    save_file({n: t for n, t in tensors.items() if "layers.1" not in n}, path, {"format": "pt"})
    with pytest.raises(InputError, match=r"its weights lack encoder\.layers\.1"):
        load_speech_encoder(folder)


def test_audio_too_short_for_a_frame_is_refused():
    encoder = SpeechEncoder(speech_model())
    with pytest.raises(ValueError, match="fewer than"):
        encoder(torch.zeros(1, 300), torch.tensor([encoder.field - 1]))


def test_bert_is_no_speech_encoder():
    with pytest.raises(InputError, match=r"name data2vec-audio, wav2vec 2\.0, HuBERT or WavLM"):
        SpeechEncoder(bert_model())
