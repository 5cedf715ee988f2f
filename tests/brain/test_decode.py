"""Decoding a story: what comes out, from which inputs, and what is refused."""

import dataclasses
import json

import numpy as np
import pandas as pd
import pytest
import torch

from hearsay.brain import decode_story
from hearsay.brain.aligned_text import AlignedText
from hearsay.brain.decode_story import (
    COLUMNS,
    Decoder,
    autocast_type,
    expected_words,
    inputs_of,
    null_rows,
    row_of,
)
from hearsay.brain.generate import Generated
from hearsay.brain.stories import write_stories
from hearsay.brain.windows import cut, words_in_rows
from hearsay.errors import InputError

SHORT = {"epochs_text": 2, "epochs_fmri": 2}
WINDOWS = 4  # of 3 TRs, in 13 rows


@pytest.fixture(scope="module")
def table(train, decode, tmp_path_factory):
    """Decoded with everything there is."""
    return decode(tmp_path_factory.mktemp("decoded"), train(**SHORT), text=True)


def test_columns_and_inputs(table):
    assert list(table.columns) == COLUMNS
    counts = table.groupby("input")["draw"].agg(["nunique", "size"])
    assert {name: tuple(row) for name, row in counts.iterrows()} == {
        "fmri": (1, WINDOWS),
        "single": (2, 2 * WINDOWS),
        "text": (1, WINDOWS),
        "shuffled": (2, 2 * WINDOWS),
        "zero": (1, WINDOWS),
        "noise": (2, 2 * WINDOWS),
        "null": (2, 2 * WINDOWS),
    }
    assert not table.duplicated(["input", "draw", "window"]).any()
    assert set(table["ended"]) <= {"tokens", "words", "cap"}


def test_references_are_the_words_heard_in_each_row(table, make_stories):
    story = make_stories().stories["harbour"]
    heard = words_in_rows(story.words, 13)
    for _, row in table.iterrows():
        rows = heard[3 * row["window"] : 3 * row["window"] + 3]
        assert row["story"] == "harbour"
        assert row["start"] == 10 + 6 * row["window"]
        assert row["reference"] == " ".join(word for words in rows for word in words)
        assert row["reference_aligned"] == " ".join(" ".join([*words, "$"]) for words in rows)


def test_decoded_text_is_plain_and_its_alignment_agrees(table):
    assert not table["decoded"].str.contains(r"[$=A-Z]|  |^ | $").any()
    for _, row in table.iterrows():
        plain = " ".join(row["decoded_aligned"].replace("$", " ").split())
        assert plain == row["decoded"]
        if row["input"] == "null":
            assert "$" not in row["decoded_aligned"]
        elif row["ended"] == "tokens":
            assert row["decoded_aligned"].count("$") == 3
            assert row["decoded_aligned"].endswith("$")
        else:  # a row that the cap has cut is no whole TR
            assert row["decoded_aligned"].count("$") < 3


@pytest.mark.parametrize(
    ("ids", "ended", "aligned"),
    [
        (" the $ boat $ sea $", "tokens", "the $ boat $ sea $"),
        (" the $ $ $", "tokens", "the $ $ $"),
        (" the $ $ sea", "cap", "the $ $ sea"),
        (" the $ boat $", "cap", "the $ boat $"),
        (" the boat", "cap", "the boat"),
        ("", "cap", ""),
    ],
)
def test_a_tr_that_the_cap_has_cut_has_no_mark(gpt2_tokenizer, make_stories, ids, ended, aligned):
    text = AlignedText(gpt2_tokenizer)
    parts = ids.split("$")
    tokens = [token for part in parts for token in [*gpt2_tokenizer.encode(part.rstrip()), None]]
    tokens = [text.mark if token is None else token for token in tokens[:-1]]
    decoder = Decoder(torch.nn.Identity(), text, {}, torch.device("cpu"))
    window = cut(make_stories().stories["harbour"], window=3, hop=3)[0]
    row = row_of(window, 0, "fmri", 0, Generated(tokens, ended), 3, decoder)
    assert row["decoded_aligned"] == aligned
    assert row["decoded"] == " ".join(aligned.replace("$", "").split())


def test_the_null_is_not_cut_by_the_cap_of_the_fmri_s_text(
    gpt2_tokenizer, small_gpt2, make_stories
):
    with torch.random.fork_rng():
        torch.manual_seed(0)
        model = small_gpt2(gpt2_tokenizer)
    text = AlignedText(gpt2_tokenizer, max_tokens=12)
    options = {"draws": 3, "beams": 1, "top_p": 0.9, "words_per_tr": 12, "method": "greedy"}
    decoder = Decoder(model, text, options, torch.device("cpu"))
    windows = cut(make_stories().stories["harbour"], window=3, hop=3)
    # Sampled words have more tokens than the likeliest ones, and alignment tokens between them.
    rows = null_rows(windows, [{"input": "fmri", "decoded": "the the the"}] * WINDOWS, decoder)
    assert {row["ended"] for row in rows} == {"words"}
    assert {len(row["decoded"].split()) for row in rows} == {3}


def test_the_null_has_as_many_words_as_the_fmri_s_text(table):
    fmri = table[table["input"] == "fmri"].set_index("window")["decoded"].str.split().str.len()
    assert fmri.max() > 0
    null = table[table["input"] == "null"]
    for _, row in null.iterrows():
        words = len(row["decoded"].split())
        if row["ended"] == "words":
            assert words == fmri[row["window"]]
        else:
            assert row["ended"] == "cap"
            assert words <= fmri[row["window"]]
    assert (null["ended"] == "words").any()
    assert null.groupby("window")["decoded"].nunique().max() > 1


def test_text_and_controls_only_if_asked_for(train, decode, tmp_path):
    plain = decode(tmp_path, train(**SHORT), controls=False)
    assert set(plain["input"]) == {"fmri", "single"}


def test_what_is_decoded_from_fmri_does_not_depend_on_the_rest(table, train, decode, tmp_path):
    plain = decode(tmp_path, train(**SHORT), controls=False)
    for source in ("fmri", "single"):
        both = [t[t["input"] == source].reset_index(drop=True) for t in (table, plain)]
        pd.testing.assert_frame_equal(*both)


def test_decoding_twice_is_the_same_and_leaves_a_record(table, train, decode, tmp_path):
    again = decode(tmp_path, train(**SHORT), text=True)
    pd.testing.assert_frame_equal(table, again)
    record = json.loads((tmp_path / "decoded.run.json").read_text())
    assert record["ended"] == table["ended"].value_counts().to_dict()
    assert record["device"] == "cpu"


@pytest.mark.parametrize(
    "decoding", [{"method": "beam"}, {"method": "nucleus"}, {"words_per_tr": 1, "draws": 1}]
)
def test_other_ways_of_generation(train, decode, tmp_path, decoding):
    found = decode(tmp_path, train(**SHORT), decoding=decoding)
    assert {"fmri", "null", "zero"} <= set(found["input"])
    if "words_per_tr" in decoding:
        aligned = found[found["input"] == "fmri"]["decoded_aligned"]
        assert all(len(tr.split()) <= 1 for text in aligned for tr in text.split("$"))
        assert found["draw"].max() == 1  # of the repeats


def test_words_are_as_many_as_the_word_rate_says(train, decode, tmp_path):
    found = decode(tmp_path, train(**SHORT, stop="words"), stop="words", text=True)
    assert set(found[found["input"] != "null"]["words_expected"].astype(int)) == {4}  # 3 x 1.4
    for _, row in found.iterrows():
        words = len(row["decoded"].split())
        assert words == int(row["words_expected"]) or (row["ended"] == "cap" and words < 4)
        assert row["decoded_aligned"] == row["decoded"]
        assert row["reference_aligned"].count("$") == 3
    assert (found["ended"] == "words").any()


def test_low_rank_adapters_are_decoded_with(train, decode, tmp_path):
    trained = train(**SHORT, lora_rank=2)
    found = decode(tmp_path, trained, lora_rank=2, text=True)
    assert (found["input"] == "fmri").sum() == WINDOWS


def test_a_noise_trained_setting_decodes_noise(train, decode, tmp_path):
    found = decode(tmp_path, train(**SHORT, input="noise"), input="noise")
    assert "single" not in set(found["input"])
    assert (found["input"] == "fmri").sum() == WINDOWS


def test_inputs_without_a_brain(make_stories):
    story = make_stories().stories["harbour"]
    found = {(name, draw): x for name, draw, x in inputs_of(story, 3, controls=True)}
    assert [name for name, _ in found].count("shuffled") == 3
    assert found["fmri", 0] is story.responses
    assert np.array_equal(found["single", 1], story.repeats[1])
    assert (found["zero", 0] == 0).all()
    for draw in range(3):
        rows = sorted(map(tuple, found["shuffled", draw]))
        assert rows == sorted(map(tuple, story.responses))
        assert found["noise", draw].shape == story.responses.shape
    assert not np.array_equal(found["noise", 0], found["noise", 1])
    assert all(x.dtype == np.float32 for x in found.values())


def test_word_rates_are_summed_over_a_window_s_rows(make_stories, tmp_path):
    windows = cut(make_stories().stories["harbour"], window=3, hop=3)
    path = tmp_path / "rate.csv"
    table = pd.DataFrame({"story": "harbour", "row": range(13), "predicted": np.arange(13) / 10})
    table.sample(frac=1, random_state=0).to_csv(path, index=False)
    assert expected_words(path, "harbour", windows) == [0, 1, 2, 3]  # .3, 1.2, 2.1, 3.0
    with pytest.raises(InputError, match=r"rate\.csv: has 0 rows of elm"):
        expected_words(path, "elm", windows)


# --- refusals -------------------------------------------------------------------------------------


def other_windows(steps, tmp_path, stories):
    write_stories(tmp_path / "windows.h5", stories)
    return dataclasses.replace(steps, windows=tmp_path / "windows.h5")


def test_prompts_of_another_subject_are_refused_by_name(steps, train, make_stories, tmp_path):
    trained = train(**SHORT)
    theirs = other_windows(steps, tmp_path, make_stories(subject="SIM02"))
    options = theirs.decoded(tmp_path, trained.text_prompt, trained.fmri_prompt, subject="SIM02")
    with pytest.raises(InputError, match=r"text_prompt.*for subject 'SIM01', not 'SIM02'"):
        decode_story.main(**options)


def test_an_fmri_prompt_of_another_subject_is_refused_by_name(
    steps, train, make_stories, tmp_path, monkeypatch
):
    trained = train(**SHORT)
    theirs = other_windows(steps, tmp_path, make_stories(subject="SIM02"))
    check = decode_story.check_about

    def text_is_theirs(path, **expected):
        if expected["kind"] == "text prompt":
            expected["subject"] = "SIM01"
        return check(path, **expected)

    monkeypatch.setattr(decode_story, "check_about", text_is_theirs)
    options = theirs.decoded(tmp_path, trained.text_prompt, trained.fmri_prompt, subject="SIM02")
    with pytest.raises(InputError, match=r"fmri_prompt.*for subject 'SIM01', not 'SIM02'"):
        decode_story.main(**options)


def test_other_voxels_are_refused_by_name(steps, train, make_stories, tmp_path):
    trained = train(**SHORT)
    changed = other_windows(steps, tmp_path, make_stories(voxels=(4, 9)))
    options = changed.decoded(tmp_path, trained.text_prompt, trained.fmri_prompt)
    with pytest.raises(InputError, match=r"fmri_prompt.*made for voxels '\w{64}', not '\w{64}'"):
        decode_story.main(**options)
    assert not options["out"].exists()


def test_prompts_in_each_other_s_place_are_refused(steps, train, tmp_path):
    trained = train(**SHORT)
    options = steps.decoded(tmp_path, trained.fmri_prompt, trained.text_prompt)
    with pytest.raises(InputError, match="made for kind 'fMRI prompt', not 'text prompt'"):
        decode_story.main(**options)


@pytest.mark.parametrize("change", [{"hrf_context": 3}, {"prompt_length": 4}, {"layers": 2}])
def test_a_recipe_that_the_weights_were_not_trained_with_is_refused(steps, train, tmp_path, change):
    trained = train(**SHORT)
    options = steps.decoded(tmp_path, trained.text_prompt, trained.fmri_prompt, **change)
    with pytest.raises(InputError, match="its weights are another network's"):
        decode_story.main(**options)


@pytest.mark.skipif(torch.cuda.is_available(), reason="there is a GPU")
def test_a_gpu_that_is_asked_for_and_not_there_is_told(steps, train, tmp_path):
    trained = train(**SHORT)
    command = steps.decoded(tmp_path, trained.text_prompt, trained.fmri_prompt)
    options = json.loads(command["settings"]) | {"device": "cuda"}
    with pytest.raises(InputError, match="device: cuda asked for, but there is no GPU"):
        decode_story.main(**command | {"settings": json.dumps(options)})
    assert not command["out"].exists()


@pytest.mark.parametrize(
    ("device", "precision", "expected"),
    [
        ("cuda", "auto", torch.bfloat16),
        ("cuda", "bf16-mixed", torch.bfloat16),
        ("cuda", "16-mixed", torch.float16),
        ("cuda", "32-true", None),
        ("cpu", "auto", None),
        ("cpu", "bf16-mixed", torch.bfloat16),
    ],
)
def test_decoding_is_as_precise_as_training(monkeypatch, device, precision, expected):
    monkeypatch.setattr(torch.cuda, "is_bf16_supported", lambda: True)
    assert autocast_type(torch.device(device), precision) == expected


def test_a_gpu_without_bfloat16_decodes_as_it_trains(monkeypatch):
    monkeypatch.setattr(torch.cuda, "is_bf16_supported", lambda: False)
    assert autocast_type(torch.device("cuda"), "auto") is None


def test_a_story_shorter_than_a_window_is_refused(steps, train, tmp_path):
    trained = train(**SHORT)
    # The context makes up for it, so that the weights fit.
    options = steps.decoded(
        tmp_path, trained.text_prompt, trained.fmri_prompt, window=14, hrf_context=0
    )
    with pytest.raises(InputError, match="harbour: shorter than one window of 14 TRs"):
        decode_story.main(**options)


def test_there_is_one_test_story(steps, train, make_stories, tmp_path):
    trained = train(**SHORT)
    stories = make_stories()
    stories.stories.pop("harbour")
    changed = other_windows(steps, tmp_path, stories)
    options = changed.decoded(tmp_path, trained.text_prompt, trained.fmri_prompt)
    with pytest.raises(InputError, match="0 test stories, not one"):
        decode_story.main(**options)
