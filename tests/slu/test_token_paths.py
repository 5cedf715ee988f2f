"""Paths of tokens through frames: what is seen of the audio, and that they are learnt."""

import math

import pytest
import torch
from torch.nn import functional

from hearsay.slu.firing import scale, token_edges
from hearsay.slu.token_paths import TokenPaths

WORDS = torch.eye(6, 8)  # embeddings


def made(**keys):
    torch.manual_seed(0)
    return TokenPaths(8, 16, 8, **keys)


def spoken(seed, count=4, pause=2):
    """Frames [T, 8], levels, word numbers and segments; equal words sound alike."""
    draw = torch.Generator().manual_seed(seed)
    sounds = torch.randn(len(WORDS), 3, 8, generator=torch.Generator().manual_seed(99))
    words = torch.randperm(len(WORDS), generator=draw)[:count]
    frames, level, segments = [0.1 * torch.randn(4, 8, generator=draw)], [-50.0] * 4, []
    for word in words.tolist():
        start = len(level)
        for sound in sounds[word]:
            size = int(torch.randint(2, 5, (1,), generator=draw))
            frames.append(sound + 0.2 * torch.randn(size, 8, generator=draw))
            level += [-5.0] * size
        segments.append((start, len(level)))
        frames.append(0.1 * torch.randn(pause, 8, generator=draw))
        level += [-50.0] * pause
    return torch.cat(frames), torch.tensor(level), words, segments


def batch_of(items):
    frames, level, words, _ = zip(*items, strict=True)
    pad = torch.nn.utils.rnn.pad_sequence
    sizes = torch.tensor([len(each) for each in frames])
    mask = torch.arange(sizes.max()) < sizes[:, None]
    ids = pad(words, batch_first=True)
    lengths = torch.tensor([len(each) for each in words])
    return {
        "frames": pad(frames, batch_first=True),
        "mask": mask,
        "level": pad(level, batch_first=True),
        "pieces": WORDS[ids],
        "lengths": lengths,
    }


def test_log_probabilities_are_those_of_the_utterances_states():
    paths, batch = made(), batch_of([spoken(0), spoken(1, count=2)])
    directions = paths.directions(batch["frames"], batch["mask"])
    torch.testing.assert_close(directions.norm(dim=-1), torch.ones(directions.shape[:3]))
    found = paths.fit(directions, batch["pieces"], batch["lengths"])
    assert found.shape[2] == 4 * 3
    torch.testing.assert_close(found[0].exp().sum(1), torch.ones(found.shape[1]))
    torch.testing.assert_close(found[1, :, :6].exp().sum(1), torch.ones(found.shape[1]))
    among = paths.fit(directions, batch["pieces"], batch["lengths"], WORDS)
    assert (among[0] < found[0]).all()  # two more words could be it
    cosine = functional.cosine_similarity(directions[0, 5, 1], batch["pieces"][0, 2], dim=0)
    difference = found[0, 5, 2 * 3 + 1] - found[0, 5, 0]
    first = functional.cosine_similarity(directions[0, 5, 0], batch["pieces"][0, 0], dim=0)
    torch.testing.assert_close(difference, (cosine - first) / paths.temperature)


def test_frames_see_what_is_near_and_no_padding():
    paths = made(kernel=3)
    frames, mask = torch.randn(1, 20, 8), torch.ones(1, 20, dtype=torch.bool)
    before = paths.directions(frames, mask)
    other = frames.clone()
    other[0, 10] = 5.0
    changed = (paths.directions(other, mask) - before).abs().amax((0, 2, 3)) > 1e-7
    assert changed.nonzero()[:, 0].tolist() == [8, 9, 10, 11, 12]
    mask = torch.arange(20) < torch.tensor([[12]])
    alone = paths.directions(frames[:, :12], mask[:, :12])
    frames[:, 12:] = 1e3
    torch.testing.assert_close(paths.directions(frames, mask)[:, :12], alone)


def test_an_utterance_gives_the_same_in_a_batch_as_alone():
    paths, items = made().eval(), [spoken(0), spoken(1, count=2), spoken(2, count=3)]
    masses = torch.rand(3, 5) + 0.5  # one more column than there are tokens
    with torch.no_grad():
        together = paths(**batch_of(items), masses=masses)
        for row, item in enumerate(items):
            alone = paths(**batch_of([item]), masses=masses[[row]])
            size = len(item[0])
            torch.testing.assert_close(together.loss[[row]], alone.loss)
            torch.testing.assert_close(
                together.alpha[row, :size], alone.alpha[0], atol=1e-5, rtol=0
            )
            assert not together.alpha[row, size:].any()


def test_too_few_frames_have_no_path_and_break_nothing():
    paths, batch = made(), batch_of([spoken(0)])
    short = {**batch, "mask": torch.arange(batch["mask"].shape[1])[None] < 7}  # of 4 · 3 states
    found = paths(**short)
    assert found.there.tolist() == [False]
    assert found.loss.item() == 0
    assert found.alpha.isfinite().all()
    found.loss.sum().backward()
    assert all(w.grad is None or w.grad.isfinite().all() for w in paths.parameters())


def errors(paths, seeds):
    wrong = []
    for seed in seeds:
        item = spoken(seed)
        batch = batch_of([item])
        with torch.inference_mode():
            found = paths(**batch)
        scaled = scale(found.alpha, target_lengths=batch["lengths"], mask=batch["mask"])
        edges = torch.stack(token_edges(scaled, 0.02), 2)[0]
        wrong.append((edges - torch.tensor(item[3])).abs().mean().item())
    return sum(wrong) / len(wrong)


@pytest.mark.parametrize("states", [1, 3])
def test_boundaries_are_learnt_from_the_order_of_words_alone(states):
    """From a flat start, without a pause between words, and found in utterances never seen."""
    paths = made(kernel=3, states=states)
    seen, unseen = range(40), range(100, 110)
    unlearnt = errors(paths, unseen)
    optimizer = torch.optim.Adam(paths.parameters(), lr=3e-3)
    for _ in range(6):
        for start in range(0, 40, 8):
            batch = batch_of([spoken(seed, pause=0) for seed in seen[start : start + 8]])
            optimizer.zero_grad()
            loss = paths(**batch, others=WORDS).loss.mean()
            loss.backward()
            optimizer.step()
    assert math.isfinite(loss.item())
    assert errors(paths, unseen) < 0.5 < unlearnt
