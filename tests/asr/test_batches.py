"""Which clips go into which step: all of them, the same whenever asked, in shares of processes."""

import multiprocessing
import os
import signal
from collections import Counter

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from tones import words, write_part
from torch.utils.data._utils import signal_handling

from hearsay.asr.batches import EpochBatches, SpeechClips, batches_by_length, padded, share_of
from hearsay.corpora.alphabets import labels_of
from hearsay.corpora.manifest import read_manifest
from hearsay.errors import InputError

EN = labels_of("en")


@pytest.fixture(scope="module")
def clips(tmp_path_factory):
    texts = [text[: 3 + k % 5] for k, text in enumerate(words("abcdef", 23))]
    return read_manifest(write_part(tmp_path_factory.mktemp("speech"), "train", texts))


def make(clips, **options):
    given = {"batch_size": 4, "micro_batch": 3, "seed": 5} | options
    return EpochBatches([(clips, 1.0)], EN, **given)


@settings(deadline=None, max_examples=60)
@given(
    weights=st.tuples(st.floats(0.1, 3), st.floats(0.1, 3)),
    size=st.integers(1, 30),
    buckets=st.integers(1, 6),
    epoch=st.integers(0, 3),
)
def test_every_clip_is_seen_as_often_as_its_weight_says(clips, weights, size, buckets, epoch):
    first, second = clips[:9], clips[9:]
    sets = [(first, weights[0]), (second, weights[1])]
    batches = EpochBatches(sets, EN, batch_size=size, micro_batch=2, buckets=buckets)
    steps = batches.order(epoch)
    seen = Counter(int(n) for step in steps for n in step)
    for numbers, (part, weight) in zip((range(9), range(9, 23)), sets, strict=True):
        counts = [seen[n] for n in numbers]
        assert sum(counts) == round(len(part) * weight)
        assert max(counts) - min(counts) <= 1
    assert len(steps) == batches.steps_per_epoch
    assert all(len(step) == size for step in steps[:-1])


def test_a_part_of_which_no_clip_would_be_seen_is_refused(clips):
    with pytest.raises(InputError, match=r"train-9.*: weight 0\.03 of 14 clips is none an epoch"):
        EpochBatches([(clips[:9], 1.0), (clips[9:], 0.03)], EN, batch_size=4, micro_batch=2)


def test_an_epoch_is_the_same_whenever_asked_and_epochs_differ(clips):
    one, other = make(clips), make(clips)
    assert all(map(np.array_equal, one.order(2), other.order(2)))
    assert not all(map(np.array_equal, one.order(2), one.order(3)))
    assert not all(map(np.array_equal, one.order(2), make(clips, seed=6).order(2)))


def test_it_goes_on_from_any_step(clips):
    whole = list(make(clips)(1))
    for start in (0, 1, len(whole) - 1, len(whole)):
        rest = list(make(clips)(1, start))
        assert len(rest) == len(whole) - start
        for ours, theirs in zip(rest, whole[start:], strict=True):
            assert all(torch.equal(a.audio, b.audio) for a, b in zip(ours, theirs, strict=True))


def test_the_global_generator_is_not_drawn_from(clips):
    torch.manual_seed(3)
    before = torch.get_rng_state()
    list(make(clips)(0))
    list(batches_by_length(clips, EN, batch_size=4))
    assert torch.equal(before, torch.get_rng_state())


def test_large_batches_go_in_pieces_that_count_by_their_clips(clips):
    step = next(make(clips, batch_size=8, micro_batch=3)(0))
    assert [len(piece.audio_lengths) for piece in step] == [3, 3, 2]
    assert step.shares == [3 / 8, 3 / 8, 2 / 8]


def test_processes_share_every_batch(clips):
    whole = make(clips, batch_size=6, micro_batch=6).order(0)
    parts = [make(clips, batch_size=6, rank=r, processes=2) for r in range(2)]
    seen = [[sum(len(p.audio_lengths) for p in step) for step in part(0)] for part in parts]
    assert [sum(sizes) for sizes in zip(*seen, strict=True)] == [len(step) for step in whole]


def test_a_last_batch_with_nothing_for_a_process_is_left_out(clips):
    assert make(clips, batch_size=22).steps_per_epoch == 2
    assert make(clips, batch_size=22, processes=2).steps_per_epoch == 1
    with pytest.raises(InputError, match="23 clips an epoch are too few for 40 processes"):
        make(clips, batch_size=64, processes=40)


def test_groups_by_length_pad_less(clips):
    def padding(buckets):
        lengths = np.array([clip.samples for clip in clips])
        steps = [s for e in range(8) for s in make(clips, buckets=buckets).order(e)]
        return sum(len(step) * lengths[step].max() - lengths[step].sum() for step in steps)

    assert padding(5) < 0.7 * padding(1)


def test_workers_read_the_same(clips):
    here, there = make(clips), make(clips, workers=2)
    for ours, theirs in zip(here(0), there(0), strict=True):
        assert all(torch.equal(a.audio, b.audio) for a, b in zip(ours, theirs, strict=True))


def test_workers_outlast_the_sigterm_that_their_training_saves_after(clips):
    batches = make(clips, workers=2)(0)
    count = len([next(batches)])
    for worker in multiprocessing.active_children():
        os.kill(worker.pid, signal.SIGTERM)
    assert count + len(list(batches)) == make(clips).steps_per_epoch


def test_workers_outlast_a_sigterm_that_comes_while_they_start(clips, monkeypatch):
    begin = signal_handling._set_worker_signal_handlers

    def told_at_once():
        begin()
        os.kill(os.getpid(), signal.SIGTERM)

    monkeypatch.setattr(signal_handling, "_set_worker_signal_handlers", told_at_once)
    before = signal.pthread_sigmask(signal.SIG_BLOCK, [])
    assert len(list(make(clips, workers=2)(0))) == make(clips).steps_per_epoch
    assert signal.pthread_sigmask(signal.SIG_BLOCK, []) == before


@pytest.mark.parametrize("workers", [0, 2])
def test_what_is_wrong_with_a_clip_is_one_line(tmp_path, workers):
    manifest = write_part(tmp_path, "train", words("abc", 6))
    (tmp_path / "train" / "3.wav").unlink()
    with pytest.raises(InputError) as error:
        list(make(read_manifest(manifest), workers=workers)(0))
    assert "the audio of 'train-3' is gone" in str(error.value)
    assert "\n" not in str(error.value)
    assert not multiprocessing.active_children()  # else the process would wait for them at its end


def test_a_batch_has_a_clip_for_every_process(clips):
    with pytest.raises(InputError, match="batch_size 4 is less than one clip for each of 5"):
        make(clips, processes=5)


def test_processes_validate_on_a_share_each_or_not_at_all(clips):
    shares = [share_of(clips, rank, 3) for rank in range(3)]
    assert sorted(c.id for share in shares for c in share) == sorted(c.id for c in clips)
    assert all(shares)
    with pytest.raises(InputError, match="validation: 23 clips for 24 processes; take fewer"):
        share_of(clips, 0, 24)


def test_padding_is_zeros_and_lengths_are_kept(clips):
    held = SpeechClips(clips, EN)
    batch = padded([held[0], held[4]])
    for row, number in enumerate((0, 4)):
        n, k = int(batch.audio_lengths[row]), int(batch.target_lengths[row])
        assert n == clips[number].samples
        assert not batch.audio[row, n:].any()
        assert "".join(EN[i] for i in batch.targets[row, :k]) == clips[number].text


def test_validation_sees_every_clip_once_the_longest_first(clips):
    seen = [clip for held, _ in batches_by_length(clips, EN, batch_size=4) for clip in held]
    assert sorted(c.id for c in seen) == sorted(c.id for c in clips)
    assert [c.samples for c in seen] == sorted((c.samples for c in clips), reverse=True)


def test_a_character_outside_the_alphabet_is_never_dropped(tmp_path):
    clips = read_manifest(write_part(tmp_path, "train", ["größe"]))
    with pytest.raises(InputError, match=r"clip train-0: .*'ö'"):
        SpeechClips(clips, EN)
    assert len(SpeechClips(clips, labels_of("de")).targets[0]) == 5
