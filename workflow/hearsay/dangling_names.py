"""Names in one place of the settings that another place does not define."""

import difflib
from collections.abc import Iterable
from typing import Any

from hearsay.settings import Settings
from hearsay.settings.asr import Recognition
from hearsay.settings.brain import Brain
from hearsay.settings.speech import BUILT_IN

Path = tuple[str | int, ...]
Fault = tuple[Path, Any, str]
Named = tuple[Path, str, str, list[str]]  # path, name, kind of what it names, names of that kind


def dangling_names(settings: Settings) -> list[Fault]:
    """Path, value and message of every name that is not defined."""
    faults = _unknown(_named_models(settings)) + _dangling_audit(settings)
    faults += _unknown(_named_texts(settings)) + _dangling_languages(settings)
    return faults + _dangling_parts(settings) + _dangling_brain(settings)


def _unknown(named: Iterable[Named]) -> list[Fault]:
    """Faults of the names that are not among the valid ones."""
    return [
        (
            path,
            name,
            f"no such {kind}{_closest(name, valid)} (there are: {', '.join(valid) or 'none'})",
        )
        for path, name, kind, valid in named
        if name not in valid
    ]


def _named_models(settings: Settings) -> list[Named]:
    """Models that `spectral` and `slu` name."""
    spectral, slu = settings.spectral, settings.slu
    named: list[tuple[Path, str]] = [
        (("spectral", "models", k), name) for k, name in enumerate(spectral.models or [])
    ]
    named += _drawn(settings)
    for key in ("speech_encoder", "text_encoder", "ctc_model"):
        if (name := getattr(slu, key)) is not None:
            named.append((("slu", key), name))
    return [(path, name, "model", list(settings.models)) for path, name in named]


def _drawn(settings: Settings) -> list[tuple[Path, str]]:
    """Models that a figure of the audit shows."""
    drawn: list[tuple[Path, str]] = [
        (("spectral", "pair", k), name) for k, name in enumerate(settings.spectral.pair or ())
    ]
    if settings.spectral.esd is not None:
        drawn.append((("spectral", "esd"), settings.spectral.esd))
    return drawn


def _dangling_audit(settings: Settings) -> list[Fault]:
    """Models that a figure shows and that are not audited."""
    audited, where = settings.spectral.models, "spectral.models"
    if audited is None:
        audited = [model for model, source in settings.models.items() if source.series]
        where = "those with a series"
    return [
        (
            path,
            name,
            f"not among the audited models ({where}: {', '.join(audited) or 'none'}); add it there,"
            f" or set spectral.{path[1]} to null",
        )
        for path, name in _drawn(settings)
        if name in settings.models and name not in audited
    ]


def _named_texts(settings: Settings) -> list[Named]:
    """Corpora of text that `lm` names."""
    lm, known = settings.lm, list(settings.text_corpora)
    named: list[tuple[Path, str]] = [
        (("lm", "corpora", k), name) for k, name in enumerate(lm.corpora or [])
    ]
    named += [(("lm", "tables", table), name) for table, name in lm.tables.items()]
    return [(path, name, "corpus in text_corpora", known) for path, name in named]


def _table_columns(asr: Recognition) -> list[tuple[Path, str, str]]:
    """Path, language and test of each column of the tables of speech recognition.

    The language is empty where a column has one test for all.
    """
    found: list[tuple[Path, str, str]] = []
    for table, columns in asr.tables.items():
        for column, tests in columns.items():
            path: Path = ("asr", "tables", table, column)
            if isinstance(tests, str):
                found.append((path, "", tests))
            else:
                found += [((*path, language), language, test) for language, test in tests.items()]
    return found


def _dangling_languages(settings: Settings) -> list[Fault]:
    """Languages without an alphabet, or with two; such as nobody here speaks; figures of none."""
    valid = [*BUILT_IN, *settings.languages]
    named: list[tuple[Path, str]] = [
        (("speech_corpora", corpus, "language"), source.language)
        for corpus, source in settings.speech_corpora.items()
    ]
    asr = settings.asr
    named += [(("asr", "languages", k), name) for k, name in enumerate(asr.languages or [])]
    named += [(("asr", "figure_languages", f), name) for f, name in asr.figure_languages.items()]
    named += [(path, language) for path, language, _ in _table_columns(asr) if language]
    faults: list[Fault] = [
        (
            path,
            name,
            f"has no alphabet (there are: {', '.join(valid)}); define it as languages.{name}",
        )
        for path, name in named
        if name not in valid
    ]
    faults += [
        (("languages", name), None, f"is built in; call yours by another name, such as {name}-own")
        for name in settings.languages
        if name in BUILT_IN
    ]
    faults += [
        (
            ("asr", "figures", figure),
            runs,
            f"in which language? name it as asr.figure_languages.{figure}",
        )
        for figure, runs in asr.figures.items()
        if runs and figure not in asr.figure_languages
    ]
    faults += [
        (
            ("asr", "figure_languages", figure),
            language,
            f"asr.figures.{figure} names no runs; name them, or leave this out",
        )
        for figure, language in asr.figure_languages.items()
        if figure not in asr.figures
    ]
    return faults + [
        (
            ("speech_corpora", corpus, "language"),
            source.language,
            f"generated speech is in {', '.join(BUILT_IN)} only; name a path or archives",
        )
        for corpus, source in settings.speech_corpora.items()
        if source.generated is not None and source.language in settings.languages
    ]


def _dangling_parts(settings: Settings) -> list[Fault]:
    """Parts of corpora of speech that there are not, wherever settings name one."""
    valid = [
        f"{c}/{part}" for c, source in settings.speech_corpora.items() for part in source.parts
    ]
    named: list[tuple[Path, str]] = [(path, test) for path, _, test in _table_columns(settings.asr)]
    named += [(("slu", "alignment", k), name) for k, name in enumerate(settings.slu.alignment)]
    for model, source in settings.models.items():
        speech = source.tiny_speech.speech if source.tiny_speech else []
        named += [
            (("models", model, "tiny_speech", "speech", k), name) for k, name in enumerate(speech)
        ]
    return [
        (path, name, f"no such part of a corpus in speech_corpora{nearest(name, valid)}")
        for path, name in named
        if name not in valid
    ]


def _dangling_brain(settings: Settings) -> list[Fault]:
    """Names in the settings of `brain`, if it is to decode anyone."""
    brain = settings.brain
    if not brain.subjects:
        return []
    models, datasets = list(settings.models), list(settings.fmri_datasets)
    named: list[Named] = [
        (("dataset",), brain.dataset, "fMRI dataset", datasets),
        (("encoder",), brain.encoder, "model", models),
        (("language_model",), brain.language_model, "model", models),
        (("scores", "bertscore"), brain.scores.bertscore, "model", models),
        *_named_settings(brain),
        *_named_stories(brain),
    ]
    dataset = settings.fmri_datasets.get(brain.dataset)
    if dataset is not None and dataset.simulated is not None:
        kind = f"subject in fmri_datasets.{brain.dataset}.simulated.subjects"
        known = list(dataset.simulated.subjects)
        named += [(("subjects", k), name, kind, known) for k, name in enumerate(brain.subjects)]
    for key, by_subject in (("settings_of", brain.settings_of), ("raw", brain.raw)):
        kind = "subject in brain.subjects"
        named += [((key, name), name, kind, brain.subjects) for name in by_subject]
    faults = _unknown((("brain", *path), name, kind, valid) for path, name, kind, valid in named)
    if not brain.settings:
        faults.append((("brain", "settings"), {}, "name at least one setting to train"))
    return faults


def _named_settings(brain: Brain) -> list[Named]:
    """Settings that `brain` names, by the path below it."""
    named: list[tuple[Path, str]] = [
        (("controls", k), name) for k, name in enumerate(brain.controls or [])
    ]
    for subject, settings in brain.settings_of.items():
        named += [(("settings_of", subject, k), name) for k, name in enumerate(settings)]
    for name, setting in brain.settings.items():
        if (of := setting.recipe.control_of) is not None:
            named.append((("settings", name, "recipe", "control_of"), of))
    return [(path, name, "setting", list(brain.settings)) for path, name in named]


def _named_stories(brain: Brain) -> list[Named]:
    """Stories that `brain` names besides those it uses, by the path below it; if it lists these."""
    if brain.stories is None:
        return []
    named: list[tuple[Path, str]] = [(("test_story",), brain.test_story)]
    if not isinstance(brain.validation, int):
        named += [(("validation", k), name) for k, name in enumerate(brain.validation)]
    for subject, stories in brain.raw.items():
        named += [(("raw", subject, k), name) for k, name in enumerate(stories)]
    return [(path, name, "story in brain.stories", brain.stories) for path, name in named]


def nearest(name: str, valid: Iterable[str]) -> str:
    """Advice on a name that is not among `valid`: the nearest one, or all where they are few."""
    valid = list(valid)
    every = f"; valid here: {', '.join(valid)}" if 0 < len(valid) <= 12 else ""
    return _closest(name, valid) or every


def _closest(name: str, valid: list[str]) -> str:
    """The nearest of `valid` as advice; nothing where none is near."""
    close = difflib.get_close_matches(name, valid, n=1, cutoff=0.5)
    return f"; did you mean {close[0]!r}?" if close else ""
