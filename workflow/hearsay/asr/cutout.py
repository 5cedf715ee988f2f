"""Rectangles cut out of training spectrograms, safe for clips of any length."""

import torch
from torch import Tensor, nn


class SafeCutout(nn.Module):
    """Sets random rectangles of each spectrogram to 0 (T. DeVries and G. Taylor, "Cutout", 2017).

    NeMo's SpecCutout draws where a rectangle begins between 0 and T − `rect_time`, which fails on
    batches shorter than that, and from a generator that no seed reaches and no checkpoint keeps.
    Here a rectangle is at most `rect_share` of its clip, begins where it fits, and comes from
    PyTorch's global generator.

    Parameters
    ----------
    rect_masks : rectangles a clip.
    rect_time, rect_freq : their largest size, in frames and in mel bands.
    rect_share : their largest share of the clip's length.
    """

    def __init__(
        self, rect_masks: int, rect_time: int, rect_freq: int, rect_share: float = 0.2
    ) -> None:
        super().__init__()
        self.rect_masks, self.rect_share = rect_masks, rect_share
        self.rect_time, self.rect_freq = rect_time, rect_freq

    @torch.no_grad()
    def forward(self, input_spec: Tensor, length: Tensor) -> Tensor:
        """Spectrograms [B, bands, T] of `length` [B] frames each, with rectangles of zeros."""
        if not self.rect_masks:
            return input_spec
        batch, bands, frames = input_spec.shape
        # Drawn on the CPU, whose generator every checkpoint keeps.
        draws = torch.rand(4, batch, self.rect_masks)
        longest = (length.cpu() * self.rect_share).clamp(max=self.rect_time)[:, None]
        time_start, time_stop = _spans(draws[0], draws[1], longest, length.cpu()[:, None])
        highest = torch.full((batch, 1), float(min(self.rect_freq, bands)))
        band_start, band_stop = _spans(draws[2], draws[3], highest, torch.tensor(bands))
        inside_time = _inside(time_start, time_stop, frames)
        inside_band = _inside(band_start, band_stop, bands)
        cut = torch.einsum("bmf,bmt->bft", inside_band.float(), inside_time.float()) > 0
        return input_spec.masked_fill(cut.to(input_spec.device), 0.0)


def _spans(first: Tensor, second: Tensor, largest: Tensor, room: Tensor) -> tuple[Tensor, Tensor]:
    """Start and stop of spans [B, masks] of 0 to `largest`, anywhere within `room`."""
    size = (first * (largest.floor() + 1)).floor()
    start = (second * (room - size + 1)).floor()
    return start, start + size


def _inside(start: Tensor, stop: Tensor, count: int) -> Tensor:
    """Which of `count` places lie in each span, [B, masks, count]."""
    places = torch.arange(count)
    return (places >= start[..., None]) & (places < stop[..., None])
