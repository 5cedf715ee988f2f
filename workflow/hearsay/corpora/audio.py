"""Audio of any format that libsndfile reads, from bytes to mono at 16 kHz, and 16-bit WAV files.

What cannot be used is an `AudioError` with a code, so that a preparer can list it and go on.
"""

import contextlib
import io
import math
import os
import re
import struct
from collections.abc import Iterator

import numpy as np
import soundfile
import soxr

RATE = 16_000  # Hz
FRAME = RATE // 50  # samples of one output of the model: 10-ms hops, stride 2
LONGEST = 2 * 3600  # seconds of one utterance; anything longer is a mistake or an attack
WHOLE = 0.9  # share of the stated length below which audio is truncated
SILENCE = 2.0**-12  # of full scale: 8 steps of 16 bits

_BLOCK = 1 << 20  # frames that are decoded at a time
_COPIED = 1 << 26  # bytes of a file that may be in memory twice
_HEADER = struct.Struct("<4sI4s4sIHHIIHH4sI")


class AudioError(Exception):
    """Audio that cannot be used.

    Attributes
    ----------
    reason : code, such as ``unreadable``.
    detail : what is wrong, in words.
    """

    def __init__(self, reason: str, detail: str) -> None:
        super().__init__(f"{reason}: {detail}")
        self.reason = reason
        self.detail = detail


@contextlib.contextmanager
def opened(data: bytes) -> Iterator[soundfile.SoundFile]:
    """The audio file with these bytes.

    Raises
    ------
    AudioError
        ``empty-file`` or ``unreadable``.
    """
    if not data:
        raise AudioError("empty-file", "the file has no bytes")
    with _as_file(data) as raw:
        try:
            file = soundfile.SoundFile(raw, closefd=False)
        except (soundfile.SoundFileError, OSError, ValueError, TypeError) as error:
            raise AudioError("unreadable", _one_line(error)) from None
        with file:
            yield file


@contextlib.contextmanager
def _as_file(data: bytes) -> Iterator[int | io.BytesIO]:
    """A file in memory that libsndfile reads by itself; of a Python object it would ask for bytes
    call by call, some hundred times a second of MP3.
    """
    if not hasattr(os, "memfd_create") or len(data) > _COPIED:
        yield io.BytesIO(data)
        return
    descriptor = os.memfd_create("audio")
    try:
        os.truncate(descriptor, len(data))
        os.pwrite(descriptor, data, 0)
        yield descriptor
    finally:
        os.close(descriptor)


def decode(
    data: bytes,
    *,
    start: float | None = None,
    end: float | None = None,
    channel: int | None = None,
    stated: float | None = None,
) -> np.ndarray:
    """Decode bytes of an audio file; as `decode_piece`, which see."""
    with opened(data) as file:
        if end is None:
            check_whole(data)
        return decode_piece(file, start=start, end=end, channel=channel, stated=stated)


def decode_piece(
    file: soundfile.SoundFile,
    *,
    start: float | None = None,
    end: float | None = None,
    channel: int | None = None,
    stated: float | None = None,
) -> np.ndarray:
    """One utterance of an audio file.

    Parameters
    ----------
    file : as `opened` gives it, at any position.
    start, end : seconds; the file's own start and end if None.
    channel : from 0; the average of all channels if None.
    stated : seconds that the corpus says it lasts.

    Returns
    -------
    float32 [samples] at 16 kHz, full scale 1.

    Raises
    ------
    AudioError
        ``unreadable``; ``truncated`` for less than 0.9 of the length that the corpus or the file
        states; ``outside-audio`` for a piece or channel that the file has not; ``no-audio`` for
        less than one frame of 20 ms; ``silent`` if no sample exceeds -72 dB of full scale;
        ``too-large`` beyond two hours.
    """
    rate, frames = file.samplerate, file.frames
    if channel is not None and not 0 <= channel < file.channels:
        raise AudioError("outside-audio", f"channel {channel} of {file.channels} (from 0)")
    first = round((start or 0.0) * rate)
    last = frames if end is None else round(end * rate)
    if first >= frames > 0 or (end is not None and last <= first) or first < 0:
        raise AudioError(
            "outside-audio",
            f"from {start} to {end} s, but the audio lasts {frames / rate:.3f} s",
        )
    if last - first > LONGEST * rate:
        raise AudioError("too-large", f"{(last - first) / rate:.0f} s, more than {LONGEST}")
    decoded, samples = _resampled(file, first, last - first, channel)
    expected = max(last - first, (stated or 0.0) * rate)
    if decoded < WHOLE * expected:
        raise AudioError("truncated", f"{decoded / rate:.3f} of {expected / rate:.3f} s are there")
    if len(samples) < FRAME:
        raise AudioError("no-audio", f"{len(samples)} samples are less than one frame of 20 ms")
    # One value that is no number makes both no numbers.
    loudest = max(float(samples.max()), -float(samples.min()))
    if not math.isfinite(loudest):
        raise AudioError("unreadable", "holds values that are no finite numbers")
    if loudest <= SILENCE:
        several = f"the average of {file.channels} channels" if file.channels > 1 else "it"
        what = several if channel is None else f"channel {channel}"
        raise AudioError("silent", f"{what} never exceeds {loudest:.1e} of full scale")
    return samples


def _resampled(
    file: soundfile.SoundFile, first: int, count: int, channel: int | None
) -> tuple[int, np.ndarray]:
    """Frames that could be decoded, of those asked for, and float32 [samples] at 16 kHz."""
    rate = file.samplerate
    blocks = []
    decoded = 0
    change = None
    try:
        if file.tell() != first:
            file.seek(first)
        while True:
            asked = min(_BLOCK, count - decoded)
            block = _mono(file.read(asked, dtype="float32", always_2d=True), channel)
            decoded += len(block)
            over = len(block) < asked or decoded == count
            if rate == RATE:
                blocks.append(block)
            elif over and change is None:
                blocks.append(soxr.resample(block, rate, RATE))
            else:
                change = change or soxr.ResampleStream(rate, RATE, 1, dtype="float32")
                blocks.append(change.resample_chunk(block, last=over))
            if over:
                break
    except (soundfile.SoundFileError, OSError, RuntimeError) as error:
        what = f"after {decoded / rate:.3f} s: {_one_line(error)}"
        raise AudioError("unreadable", what) from None
    return decoded, blocks[0] if len(blocks) == 1 else np.concatenate(blocks)


def _mono(block: np.ndarray, channel: int | None) -> np.ndarray:
    """One channel of [frames, channels], or the average of all."""
    if block.shape[1] == 1 or channel is not None:
        return np.ascontiguousarray(block[:, channel or 0])
    return block.mean(axis=1)


def check_whole(data: bytes) -> None:
    """Compare bytes with what the header of a WAV or SPHERE file states.

    For these formats libsndfile believes the file's size, and not the header.

    Raises
    ------
    AudioError
        ``truncated`` if less than 0.9 of it is there.
    """
    stated = 0
    if data[:4] == b"RIFF":
        stated = int.from_bytes(data[4:8], "little") + 8
    elif data[:7] == b"NIST_1A":
        fields = dict(re.findall(rb"(\w+) -i (\d+)", data[:1024]))
        sizes = (fields.get(key, b"0") for key in (b"sample_count", b"sample_n_bytes"))
        stated = 1024 + math.prod(map(int, sizes)) * int(fields.get(b"channel_count", b"1"))
    # What was written into a pipe states the largest size that there is, or none.
    if stated < 0x7FFF0000 and len(data) < WHOLE * stated:
        raise AudioError("truncated", f"{len(data)} of {stated} bytes are there")


def to_int16(samples: np.ndarray) -> np.ndarray:
    """Round to int16, clipped at full scale; what was 16-bit audio comes back bit for bit."""
    scaled = samples * np.float32(32768)
    np.rint(scaled, out=scaled)
    return np.clip(scaled, -32768, 32767, out=scaled).astype("<i2")


def wav_bytes(samples: np.ndarray) -> bytes:
    """A WAV file of int16 [samples], mono, 16 kHz; 44 bytes and two a sample."""
    data = samples.astype("<i2", copy=False).tobytes()
    form = (16, 1, 1, RATE, 2 * RATE, 2, 16)
    header = _HEADER.pack(b"RIFF", 36 + len(data), b"WAVE", b"fmt ", *form, b"data", len(data))
    return header + data


def wav_size(samples: int) -> int:
    """Bytes of `wav_bytes`."""
    return _HEADER.size + 2 * samples


def frames_of(samples: int) -> int:
    """Outputs of the model for so many samples: 10-ms hops, of which the stride leaves every other.

    A transcript with more labels (and repeats of neighbours) than these cannot be learnt by CTC.
    """
    return (samples // (RATE // 100) + 1) // 2


def _one_line(error: Exception) -> str:
    text = getattr(error, "error_string", None) or str(error)  # libsndfile's own words
    return " ".join(text.split()) or type(error).__name__
