"""Voxels by number, by mask, and by an encoding model that must find what was planted."""

import json

import nibabel
import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from safetensors.numpy import save_file
from safetensors.torch import save_file as save_torch
from tokenizers import Tokenizer, models, pre_tokenizers

from hearsay.brain import voxel_selection
from hearsay.brain.voxel_selection import Sums, fold_of, held_out, select
from hearsay.brain.voxels import file_of, mask_columns, read_indices
from hearsay.brain.word_features import DELAYS, Embeddings, Reduction, features_of_rows
from hearsay.corpora.textgrid import Word
from hearsay.errors import InputError

WORDS = ["<unk>", "the", "sea", "wind", "boat", "rain", "walked", "home"]


def write_encoder(folder, width=6):
    folder.mkdir(parents=True)
    tokenizer = Tokenizer(models.WordLevel({w: k for k, w in enumerate(WORDS)}, unk_token="<unk>"))
    tokenizer.pre_tokenizer = pre_tokenizers.Whitespace()
    tokenizer.save(str(folder / "tokenizer.json"))
    table = np.random.default_rng(3).normal(size=(len(WORDS), width)).astype(np.float32)
    tensors = {"bert.embeddings.word_embeddings.weight": table, "bert.other.weight": table[:1]}
    save_file(tensors, folder / "model.safetensors")
    return table


def refused(match, call, *arguments):
    with pytest.raises(InputError, match=match) as caught:
        call(*arguments)
    assert "\n" not in str(caught.value)


# --- by number ----------------------------------------------------------------------------------


def test_numbers_from_every_kind_of_file(tmp_path):
    expected = np.array([1, 5, 9])
    (tmp_path / "a.json").write_text("[9, 1, 5]")
    (tmp_path / "b.json").write_text('{"AC": [9, 1, 5], "speech": [2]}')
    (tmp_path / "c.txt").write_text("9\n1\n5\n")
    np.save(tmp_path / "d.npy", np.array([9.0, 1.0, 5.0]))
    for name, roi in {"a.json": None, "b.json": "AC", "c.txt": None, "d.npy": None}.items():
        found = read_indices(tmp_path / name, 10, roi)
        assert found.dtype == np.int64
        np.testing.assert_array_equal(found, expected)
    assert file_of("x/{subject}.json", "UTS01", "indices").as_posix() == "x/UTS01.json"
    refused("voxels.file", file_of, None, "UTS01", "indices")


def test_bad_numbers(tmp_path):
    path = tmp_path / "rois.json"
    refused("no such file of voxels", read_indices, path, 10)
    path.write_text('{"speech": [1], "AC": [2]}')
    refused("no ROI 'Broca'; there are AC, speech", read_indices, path, 10, "Broca")
    refused("no ROI None; there are AC, speech", read_indices, path, 10)
    for text, match in {
        "[1, 10]": r"no voxel 10, the responses have 10 \(0 to 9\)",
        "[-1]": "no voxel -1",
        "[1, 1]": "named twice",
        "[]": "empty",
        "[1.5]": "must be whole",
        '["a"]': "must be whole",
        "[[1], [1, 2]]": "not a list",
        "[1": "not readable",
    }.items():
        path.write_text(text)
        refused(match, read_indices, path, 10)
    path.write_text("[1]")
    refused("a plain list has no ROI 'AC'", read_indices, path, 10, "AC")
    (tmp_path / "a.txt").write_text("1\ntwo\n")
    refused("not readable as voxel numbers", read_indices, tmp_path / "a.txt", 10)
    (tmp_path / "a.npy").write_bytes(b"nothing")
    refused("not readable as voxel numbers", read_indices, tmp_path / "a.npy", 10)


# --- by mask ------------------------------------------------------------------------------------


def test_columns_of_a_mask_are_in_pycortex_order(tmp_path):
    rng = np.random.default_rng(0)
    thick = rng.random((4, 3, 5)) < 0.6
    labels = rng.integers(-2, 3, (4, 3, 5)).astype(np.int16)
    affine = np.diag([2.0, 2.0, 2.0, 1.0])
    nibabel.save(nibabel.Nifti1Image(thick.astype(np.uint8), affine), tmp_path / "thick.nii.gz")
    nibabel.save(nibabel.Nifti1Image(labels, affine), tmp_path / "roi.nii.gz")
    every, second = [], []
    column = 0
    for z in range(5):
        for y in range(3):
            for x in range(4):
                if thick[x, y, z]:
                    every += [column] if labels[x, y, z] != 0 else []
                    second += [column] if abs(labels[x, y, z]) == 2 else []
                    column += 1
    files = tmp_path / "roi.nii.gz", tmp_path / "thick.nii.gz"
    np.testing.assert_array_equal(mask_columns(*files), every)
    np.testing.assert_array_equal(mask_columns(*files, "2"), second)
    assert 0 < len(second) < len(every) < column
    refused("no ROI of label '7'; there are 1, 2", mask_columns, *files, "7")
    refused("no ROI of label 'AC'; there are 1, 2", mask_columns, *files, "AC")
    outside = np.where(thick, 0, 1).astype(np.uint8)
    nibabel.save(nibabel.Nifti1Image(outside, affine), tmp_path / "roi.nii.gz")
    refused("none of its voxels lies in", mask_columns, *files)
    nibabel.save(nibabel.Nifti1Image(labels, 2 * affine), tmp_path / "roi.nii.gz")
    refused("not on the grid of", mask_columns, *files)


@pytest.mark.parametrize("roi", [None, "1"])
def test_what_is_not_a_number_is_outside_an_roi(tmp_path, roi):
    affine = np.eye(4)
    thick, labels = np.ones((3, 3, 3), np.uint8), np.zeros((3, 3, 3), np.float32)
    labels[0], labels[2, 2, 2], labels[1, 1, 1] = (
        np.nan,
        np.inf,
        1.0,
    )  # as resampling leaves what it has not seen
    nibabel.save(nibabel.Nifti1Image(thick, affine), tmp_path / "thick.nii.gz")
    nibabel.save(nibabel.Nifti1Image(labels, affine), tmp_path / "roi.nii.gz")
    found = mask_columns(tmp_path / "roi.nii.gz", tmp_path / "thick.nii.gz", roi)
    np.testing.assert_array_equal(found, [13])


@pytest.mark.parametrize("name", ["roi", "thick"])
@pytest.mark.parametrize("ending", [".nii", ".nii.gz"])
def test_half_a_volume_is_refused_by_name(tmp_path, name, ending):
    volume = np.random.default_rng(0).random((20, 20, 20)).astype(np.float32)
    files = [tmp_path / f"roi{ending}", tmp_path / f"thick{ending}"]
    for file in files:
        nibabel.save(nibabel.Nifti1Image(volume, np.eye(4)), file)
    half = tmp_path / f"{name}{ending}"
    half.write_bytes(half.read_bytes()[: half.stat().st_size // 2])
    refused(f"{name}.nii.* fetch it again", mask_columns, *files)


# --- features of words --------------------------------------------------------------------------


def test_a_row_sees_the_words_of_the_four_before_it(tmp_path):
    table = write_encoder(tmp_path / "encoder")
    embeddings = Embeddings(tmp_path / "encoder")
    np.testing.assert_array_equal(embeddings("sea"), table[2])
    np.testing.assert_allclose(embeddings("sea wind"), table[2:4].mean(axis=0))
    # Row 2 covers 14 to 16 s; one word at its very beginning, one in the TR before row 0.
    words = [Word("sea", 14.0, 14.5), Word("boat", 9.9, 10.3), Word("rain", 1.9, 2.5)]
    found = features_of_rows(words, 8, embeddings)
    assert found.shape == (4 + 8, 7)
    assert found[:, -1].tolist() == [0, 0, 0, 1, 0, 0, 1, 0, 0, 0, 0, 0]
    np.testing.assert_allclose(found[6, :-1], table[2], rtol=1e-6)
    np.testing.assert_allclose(found[3, :-1], table[4], rtol=1e-6)

    reduction = Reduction.fit([found], dimensions=1)
    delayed = reduction(found)
    assert delayed.shape == (8, 2 * len(DELAYS))
    heard = np.abs(delayed[:, ::2]) > 1e-9  # each delay's one component
    expected = np.zeros((8, 4), bool)
    for delay in DELAYS:
        for row in (2, -1):
            expected[row + delay, delay - 1] = True
    np.testing.assert_array_equal(heard, expected)


def test_reduction_is_whitened_and_ignores_silence():
    rng = np.random.default_rng(1)
    features = np.concatenate([rng.normal(size=(300, 5)) * [9, 3, 1, 1, 1], np.ones((300, 1))], 1)
    features[::3, :-1], features[::3, -1] = np.nan, 0
    reduction = Reduction.fit([features[:100], features[100:]], dimensions=3)
    assert reduction.components.shape == (5, 3)
    scores = (features[:, :-1] - reduction.mean) @ reduction.components
    scores = scores[~np.isnan(scores[:, 0])]
    np.testing.assert_allclose(scores.T @ scores / len(scores), np.eye(3), atol=1e-8)
    assert np.isfinite(reduction(features)).all()
    refused("no words", Reduction.fit, [features[::3]])


def test_a_tokeniser_that_pads_adds_nothing_to_a_word(tmp_path):
    table = write_encoder(tmp_path / "encoder")
    file = tmp_path / "encoder" / "tokenizer.json"
    tokenizer = Tokenizer.from_file(str(file))
    tokenizer.enable_padding(length=9)
    tokenizer.enable_truncation(9)
    tokenizer.save(str(file))
    np.testing.assert_allclose(Embeddings(tmp_path / "encoder")("boat"), table[4], rtol=1e-6)


def test_encoders_without_what_is_needed(tmp_path):
    write_encoder(tmp_path / "a")
    (tmp_path / "a/tokenizer.json").write_text("{}")
    refused("no tokeniser", Embeddings, tmp_path / "a")
    (tmp_path / "a/model.safetensors").write_bytes(b"short")
    refused("not readable", Embeddings, tmp_path / "a")
    (tmp_path / "a/model.safetensors").unlink()
    refused("no weights of the encoder", Embeddings, tmp_path / "a")
    save_file({"x": np.zeros(2, np.float32)}, tmp_path / "a/model.safetensors")
    refused("no table of input embeddings", Embeddings, tmp_path / "a")


def test_sharded_bfloat16_weights(tmp_path):
    table = write_encoder(tmp_path / "a")
    (tmp_path / "a/model.safetensors").unlink()
    key = "embeddings.word_embeddings.weight"
    save_torch({key: torch.tensor(table).bfloat16()}, tmp_path / "a/two.safetensors")
    index = {"weight_map": {key: "two.safetensors", "x": "one.safetensors"}}
    (tmp_path / "a/model.safetensors.index.json").write_text(json.dumps(index))
    found = Embeddings(tmp_path / "a").table
    assert found.dtype == np.float32
    np.testing.assert_allclose(found, table, rtol=1e-2)


# --- selection ----------------------------------------------------------------------------------


def simulated(stories=6, rows=120, features=7, voxels=90, planted=(3, 41, 77, 88), noise=1.0):
    rng = np.random.default_rng(0)
    weights = np.zeros((features, voxels))
    weights[:, list(planted)] = rng.normal(size=(features, len(planted)))
    x = [rng.normal(size=(rows, features)) + 0.3 for _ in range(stories)]
    y = [(one @ weights + noise * rng.normal(size=(rows, voxels))).astype("f4") for one in x]
    return x, y


def sums_of(x, y, folds=3):
    out = [Sums(x[0].shape[1], y[0].shape[1]) for _ in range(folds)]
    for k, (one, other) in enumerate(zip(x, y, strict=True)):
        out[k % folds].add(one, other)
    return out


def test_planted_voxels_are_found(monkeypatch):
    monkeypatch.setattr(voxel_selection, "BLOCK_VOXELS", 16)
    x, y = simulated()
    y[0][:, 5] = y[1][:, 5] = y[2][:, 5] = 0.0
    for one in y:
        one[:, 6] = 2.5  # constant
    chosen = select(sums_of(x, y), 4)
    assert chosen.voxels.tolist() == [3, 41, 77, 88]
    assert chosen.voxels.dtype == np.int64
    assert chosen.correlations[chosen.voxels].min() > 0.6
    others = np.delete(chosen.correlations, chosen.voxels)
    assert np.abs(others).max() < 0.3
    assert chosen.correlations[6] == 0


def test_held_out_correlations_equal_those_of_plain_ridge():
    x, y = simulated(noise=3.0)
    folds = sums_of(x, y)
    found = held_out(folds, 1, (0.1, 10.0))
    train = [k for k in range(6) if k % 3 != 1]
    a, b = np.concatenate([x[k] for k in train]), np.concatenate([y[k] for k in train])
    new, truth = (np.concatenate([z[k] for k in (1, 4)]) for z in (x, y))
    centred = a - a.mean(axis=0)
    for k, alpha in enumerate((0.1, 10.0)):
        penalty = alpha * np.linalg.eigvalsh(centred.T @ centred).mean()
        weights = np.linalg.solve(
            centred.T @ centred + penalty * np.eye(7), centred.T @ (b - b.mean(axis=0))
        )
        predicted = (new - a.mean(axis=0)) @ weights
        plain = [np.corrcoef(predicted[:, v], truth[:, v])[0, 1] for v in range(90)]
        np.testing.assert_allclose(found[k], plain, atol=1e-6)


def test_equal_voxels_go_by_column_and_counts_are_checked():
    x, y = simulated()
    for one in y:
        one[:, np.setdiff1d(np.arange(90), [3, 41, 77, 88])] = 1.0
    assert select(sums_of(x, y), 7).voxels.tolist() == [0, 1, 2, 3, 41, 77, 88]
    refused("91 voxels asked for, there are 90", select, sums_of(x, y), 91)
    refused("0 voxels asked for", select, sums_of(x, y), 0)
    refused("two training stories", select, sums_of(x, y)[:1], 4)


@given(st.lists(st.text("abc", min_size=1, max_size=4), unique=True, min_size=2), st.randoms())
def test_folds_hold_whole_stories_in_any_order(names, random):
    folds = fold_of(names)
    random.shuffle(names)
    assert fold_of(names) == folds
    assert set(folds.values()) == set(range(min(5, len(names))))
