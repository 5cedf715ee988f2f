"""Row j is paired with the words heard in [10 + 2j, 12 + 2j) s, and no window leaves its story."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from hearsay.brain.stories import Story
from hearsay.brain.windows import cut, cut_all, words_in_rows
from hearsay.corpora.textgrid import Word


def clock(rows, name="clock", voxels=2):
    """A word every 2 s, named by its time; row j of the responses holds j."""
    words = [Word(f"{t}", float(t), t + 0.5) for t in range(0, 10 + 2 * rows + 10, 2)]
    responses = np.repeat(np.arange(rows, dtype=np.float32)[:, None], voxels, axis=1)
    return Story(name, "train", responses, words)


def test_row_j_is_heard_from_10_plus_2j():
    story = clock(291)
    rows = words_in_rows(story.words, 291)
    assert rows == [(f"{10 + 2 * j}",) for j in range(291)]
    for window in cut(story):
        first = window.responses[:, 0].astype(int)
        assert window.words == tuple((f"{10 + 2 * j}",) for j in first)
        assert window.start == 10 + 2 * window.row == float(window.words[0][0])


@given(st.lists(st.floats(0, 60, allow_nan=False), max_size=40), st.integers(1, 20))
def test_a_word_belongs_to_the_row_that_holds_its_onset(onsets, rows):
    words = [Word(f"{k}", onset, onset) for k, onset in enumerate(onsets)]
    for j, heard in enumerate(words_in_rows(words, rows)):
        expected = [k for k, onset in enumerate(onsets) if 10 + 2 * j <= onset < 12 + 2 * j]
        assert heard == tuple(str(k) for k in sorted(expected, key=onsets.__getitem__))


def test_edges_belong_to_the_later_row():
    words = [Word("before", np.nextafter(12.0, 0), 12), Word("at", 12.0, 12.1)]
    assert words_in_rows(words, 2) == [("before",), ("at",)]


def test_291_rows_give_29_windows_and_the_tail_is_dropped():
    windows = cut(clock(291))
    assert [w.row for w in windows] == list(range(0, 290, 10))
    assert [len(w.responses) for w in windows] == [10] * 29
    assert len(cut(clock(291), hop=1)) == 282
    assert len(cut(clock(9))) == 0


@given(
    st.lists(st.integers(1, 40), min_size=1, max_size=4),
    st.integers(1, 12),
    st.integers(1, 12),
    st.integers(0, 5),
)
def test_no_window_crosses_a_story(lengths, window, hop, context):
    # Responses of story s are s*1000 + row, so that a row of another story shows.
    stories = []
    for s, rows in enumerate(lengths, start=1):
        story = clock(rows, name=f"s{s}", voxels=1)
        stories.append(Story(story.name, "train", story.responses + 1000 * s, story.words))
    windows = cut_all(stories, window=window, hop=hop, context=context)
    assert len(windows) == sum(max(0, (n - window) // hop + 1) for n in lengths)
    for w in windows:
        s = int(w.story[1:])
        rows = lengths[s - 1]
        assert w.row + window <= rows
        assert len(w.words) == window
        inside = min(window + context, rows - w.row)
        assert w.responses.shape == (window + context, 1)
        assert (w.responses[:inside, 0] == 1000 * s + w.row + np.arange(inside)).all()
        assert (w.responses[inside:] == 0).all()


def test_context_is_the_rows_after_the_window_and_zero_beyond_the_end():
    first, last = cut(clock(20), context=4)
    assert list(first.responses[:, 0]) == list(range(14))
    assert list(last.responses[:, 0]) == [*range(10, 20), 0, 0, 0, 0]
    without = cut(clock(20))
    assert [w.words for w in without] == [first.words, last.words]
    assert [w.start for w in without] == [first.start, last.start]


def test_shift_minus_1_is_the_public_code_s_misalignment_and_nothing_else():
    story = clock(291)
    right, shifted = cut(story), cut(story, shift=-1)
    assert len(right) == len(shifted)
    heard = [word for w in right for word in w.words]
    early = [word for w in shifted for word in w.words]
    assert early[1:] == heard[:-1]  # row j with the words of row j - 1
    assert early[0] == ("8",)
    for a, b in zip(right, shifted, strict=True):
        assert (a.story, a.row, a.start) == (b.story, b.row, b.start)
        assert np.array_equal(a.responses, b.responses)


def test_other_responses_stand_in_for_the_story_s_own():
    story = clock(20)
    windows = cut(story, responses=-story.responses)
    assert [w.words for w in windows] == [w.words for w in cut(story)]
    assert windows[1].responses[0, 0] == -10


@pytest.mark.parametrize("hop", [1, 2, 5])
def test_overlapping_windows_agree_on_what_they_share(hop):
    windows = cut(clock(40), hop=hop)
    by_row = {}
    for w in windows:
        for k, words in enumerate(w.words):
            assert by_row.setdefault(w.row + k, words) == words
