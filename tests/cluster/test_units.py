"""Slurm's times, sizes and generic resources."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from hearsay.cluster.units import gpus_of, megabytes_of, minutes_of, seconds_of


@pytest.mark.parametrize(
    ("text", "seconds"),
    [
        ("90", 5400),
        ("1:30", 90),
        ("01:00:00", 3600),
        ("7-00:00:00", 604800),
        ("2-12", 216000),
        ("1-02:30", 95400),
        ("00:01.443", 1.443),
        ("UNLIMITED", None),
        ("Partition_Limit", None),
        ("INVALID", None),
        ("", None),
    ],
)
def test_times(text, seconds):
    assert seconds_of(text) == seconds


@given(st.integers(0, 400), st.integers(0, 23), st.integers(0, 59), st.integers(0, 59))
def test_whole_times(days, hours, minutes, seconds):
    text = f"{days}-{hours:02}:{minutes:02}:{seconds:02}"
    total = ((days * 24 + hours) * 60 + minutes) * 60 + seconds
    assert seconds_of(text) == total
    assert minutes_of(text) == -(-total // 60)


@pytest.mark.parametrize(
    ("text", "megabytes"),
    [("4000M", 4000), ("3.5Gn", 3584), ("347140K", 347140 / 1024), ("2Gc", 2048), ("", None)],
)
def test_sizes(text, megabytes):
    assert megabytes_of(text) == megabytes


@pytest.mark.parametrize(
    ("text", "gpus"),
    [
        ("gpu:1", {"": 1}),
        ("gpu:a100:4(S:0-1)", {"a100": 4}),
        ("gpu:a100:4(S:0-1),gpu:v100:2,tmpdisk:100", {"a100": 4, "v100": 2}),
        ("gpu", {"": 1}),
        ("gpu:3090:8(S:0-1)", {"3090": 8}),
        (
            "gpu:2080ti:2,gpu:1g.10gb:7,gpu:a100_1g.5gb+me:1",
            {"2080ti": 2, "1g.10gb": 7, "a100_1g.5gb+me": 1},
        ),
        ("cpu=2,gres/gpu:3090=2,gres/gpu=2", {"3090": 2}),
        ("(null)", {}),
        ("", {}),
        ("billing=1,cpu=1,mem=101M,node=1", {}),
        ("cpu=2,gres/gpu=2", {"": 2}),
        ("cpu=2,gres/gpu:a100=2,gres/gpu=2", {"a100": 2}),
    ],
)
def test_gpus(text, gpus):
    assert gpus_of(text) == gpus
