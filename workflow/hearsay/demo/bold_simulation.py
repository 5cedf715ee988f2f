"""BOLD responses to a story, simulated from features of its words.

Every word has a feature vector: its scene as an indicator, a semantic vector of its own, and a
constant (the word rate). Vectors stand as impulses at the words' onsets on a grid of 0.1 s, are
convolved with a canonical haemodynamic response and read at the centre of each volume's TR. A
linear map that differs from subject to subject carries them to the voxels of the auditory region;
all other voxels hold noise. Noise is first-order autoregressive, independent between voxels.

Volume v of a run covers story time [2v - 10, 2v - 8) s, since the scanner starts 10 s before the
sound. Ten volumes are trimmed at either end, so that row j of the responses is volume j + 10 and
covers [10 + 2j, 12 + 2j).
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from random import Random

import numpy as np
from scipy.signal import fftconvolve, lfilter
from scipy.special import gammaln

from hearsay.corpora.textgrid import Word
from hearsay.demo.vocabulary import SCENES, word_classes

TR = 2.0  # seconds
LEAD_IN = 10.0  # seconds of scanning before the sound, and after it
TRIM = 10  # volumes cut off at either end
STEP = 0.1  # seconds, the grid on which impulses are convolved
SEMANTIC = 16  # length of a word's own vector
# What a voxel's signal consists of, as shares of variance: scene, word, word rate.
SHARES = (0.5, 0.35, 0.15)
AUTOCORRELATION = 0.4  # of the noise, from one volume to the next


def random_generator(*key: object) -> np.random.Generator:
    """A random generator for a purpose named by `key`: equal keys, equal numbers."""
    return np.random.default_rng(Random(" ".join(map(str, key))).getrandbits(128))


def haemodynamic_response(step: float = STEP, seconds: float = 32.0) -> np.ndarray:
    """Canonical double gamma: a peak at 5 s and an undershoot at 15 s of a sixth of its density.

    The difference of two gamma densities of shape 6 and 16 and scale 1 s (Friston et al. 1998,
    doi:10.1006/nimg.1997.0306; the default of SPM), sampled every `step` seconds, of sum 1.
    """
    t = np.arange(step, seconds, step)

    def density(shape: float) -> np.ndarray:
        return np.exp((shape - 1) * np.log(t) - t - gammaln(shape))

    response = np.concatenate([[0.0], density(6.0) - density(16.0) / 6.0])
    return response / response.sum()


@dataclass(frozen=True)
class WordFeatures:
    """Feature vectors of the vocabulary, the same for all stories and subjects of a seed.

    Attributes
    ----------
    vectors : by word, [scenes + SEMANTIC + 1]: indicator of the scene (zero for a function word),
        semantic vector (half of its variance is shared by the words of its scene and word class),
        and 1 for the word rate.
    """

    vectors: Mapping[str, np.ndarray]

    def volumes(self, words: Sequence[Word], volumes: int) -> np.ndarray:
        """Features [volumes, features] as they reach the scanner, at the centre of each volume."""
        steps = round(volumes * TR / STEP)
        grid = np.zeros((steps, len(next(iter(self.vectors.values())))))
        for word in words:
            at = round((word.onset + LEAD_IN) / STEP)
            if at < steps:
                grid[at] += self.vectors[word.text]
        heard = fftconvolve(grid, haemodynamic_response()[:, None], axes=0)[:steps]
        return heard[round(TR / 2 / STEP) :: round(TR / STEP)]


def word_features(seed: int) -> WordFeatures:
    """Feature vectors of all words that the demo's stories may hold."""
    shared: dict[tuple[int | None, str], np.ndarray] = {}
    vectors = {}
    for word, place in word_classes().items():
        if place not in shared:
            shared[place] = random_generator(seed, "class", *place).standard_normal(SEMANTIC)
        own = random_generator(seed, "word", word).standard_normal(SEMANTIC)
        scene = np.zeros(len(SCENES))
        if place[0] is not None:
            scene[place[0]] = 1.0
        vectors[word] = np.concatenate([scene, (shared[place] + own) / np.sqrt(2), [1.0]])
    return WordFeatures(vectors)


class Listener:
    """One simulated subject.

    Parameters
    ----------
    name : the subject; with `seed` it determines the voxels' weights.
    snr : variance of the signal over variance of the noise, in every voxel of the auditory region
        and over all of `features`; 0 gives noise alone.
    features : of each story, [volumes, features], from `WordFeatures.volumes`.
    voxels, auditory : number of voxels, and indices of those that respond.
    """

    def __init__(
        self,
        name: str,
        snr: float,
        features: Mapping[str, np.ndarray],
        voxels: int,
        auditory: Sequence[int],
        seed: int,
    ) -> None:
        self.name, self.voxels, self.auditory, self.seed = name, voxels, list(auditory), seed
        stories = sorted(features)
        everything = np.concatenate([features[story] for story in stories])
        random = random_generator(seed, "weights", name)
        width, count = everything.shape[1], len(self.auditory)
        weights = random.standard_normal((width, count))
        weights[-1] = 0.5 + random.random(count)  # more words, more BOLD, in all these voxels
        groups = (slice(0, len(SCENES)), slice(len(SCENES), width - 1), slice(width - 1, width))
        centred = everything - everything.mean(axis=0)
        for group, share in zip(groups, SHARES, strict=True):
            weights[group] *= np.sqrt(share) / (centred[:, group] @ weights[group]).std(axis=0)
        self.weights = weights * np.sqrt(snr) / (centred @ weights).std(axis=0)
        self.mean = everything.mean(axis=0)

    def signal(self, features: np.ndarray) -> np.ndarray:
        """Noiseless responses [volumes, voxels] to one story; zero outside the region."""
        signal = np.zeros((len(features), self.voxels))
        signal[:, self.auditory] = (features - self.mean) @ self.weights
        return signal

    def run(self, story: str, features: np.ndarray, repeat: int = 0) -> np.ndarray:
        """Responses [volumes, voxels] of one run; repeats differ in their noise, of variance 1."""
        random = random_generator(self.seed, "noise", self.name, story, repeat)
        white = random.standard_normal((len(features), self.voxels))
        white[1:] *= np.sqrt(1 - AUTOCORRELATION**2)  # the first volume has variance 1 already
        return self.signal(features) + lfilter([1.0], [1.0, -AUTOCORRELATION], white, axis=0)


def trimmed_and_scored(run: np.ndarray) -> np.ndarray:
    """Rows [volumes - 20, voxels] of a run without drift: z-scored per voxel.

    Rounded to a millionth, so that the last bits of another machine's arithmetic change no file.
    """
    rows = run[TRIM:-TRIM]
    return np.round((rows - rows.mean(axis=0)) / rows.std(axis=0), 6)


def raw_scan(
    run: np.ndarray, mean: float = 10_000.0, gain: float = 100.0, seed: object = 0
) -> np.ndarray:
    """Scanner units [volumes, voxels] of a run: a mean, the run, and a slow drift of each voxel.

    One unit of noise is 1 % of the mean. The drift is a quadratic in time and a wave of 400 s, each
    of several per cent: slower than the 120 s that preprocessing keeps.
    """
    random = random_generator(seed, "drift")
    t = np.linspace(-1, 1, len(run))[:, None]
    linear, square, wave = 4 * random.standard_normal((3, run.shape[1]))
    phase = random.uniform(0, 2 * np.pi, run.shape[1])
    angle = 2 * np.pi * TR * np.arange(len(run))[:, None] / 400
    drift = linear * t + square * t**2 + wave * np.sin(angle + phase)
    return mean + gain * (run + drift)
