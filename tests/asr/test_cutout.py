"""Masks of training spectrograms: inside their clip, small enough, drawn from the global seed."""

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from hearsay.asr.cutout import SafeCutout


@settings(deadline=None, max_examples=40)
@given(
    frames=st.integers(1, 300),
    masks=st.integers(0, 6),
    time=st.integers(0, 150),
    freq=st.integers(0, 80),
    share=st.floats(0.05, 1.0),
)
def test_any_clip_can_be_masked(frames, masks, time, freq, share):
    spectrum = torch.ones(3, 64, frames)
    length = torch.tensor([frames, max(frames // 2, 1), 1])
    masked = SafeCutout(masks, time, freq, share)(spectrum, length)
    cut = masked == 0
    assert ((masked == 0) | (masked == 1)).all()
    for k, n in enumerate(length.tolist()):
        assert not cut[k, :, n:].any()
        assert cut[k].any(0).sum() <= masks * min(time, int(torch.tensor(n) * share))
        assert cut[k].any(1).sum() <= masks * min(freq, 64)


def test_nemos_own_fails_on_short_clips_and_this_does_not():
    from nemo.collections.asr.parts.submodules.spectr_augment import SpecCutout

    spectrum = torch.ones(2, 64, 112)  # 1.1 s
    with pytest.raises(ValueError, match="empty range"):
        SpecCutout(rect_masks=5, rect_time=120, rect_freq=50)(input_spec=spectrum)
    SafeCutout(5, 120, 50)(spectrum, torch.tensor([112, 112]))


def test_the_seed_decides():
    spectrum, length = torch.ones(4, 64, 200), torch.full((4,), 200)

    def draw(seed):
        torch.manual_seed(seed)
        return SafeCutout(5, 120, 50)(spectrum, length)

    assert torch.equal(draw(1), draw(1))
    assert not torch.equal(draw(1), draw(2))
    assert (draw(1) == 0).any()


def test_the_input_stays_as_it_is():
    spectrum = torch.ones(1, 64, 200)
    SafeCutout(5, 120, 50)(spectrum, torch.tensor([200]))
    assert (spectrum == 1).all()
