"""Names in one place of the settings that another place does not define."""

import difflib
from collections.abc import Iterable
from typing import Any

from hearsay.settings import Settings
from hearsay.settings.brain import Brain
from hearsay.settings.speech import BUILT_IN

Path = tuple[str | int, ...]
Fault = tuple[Path, Any, str]


def dangling_names(settings: Settings) -> list[Fault]:
    """Path, value and message of every name that is not defined."""
    known = list(settings.models)
    audited = settings.spectral.models
    if audited is None:
        audited = [model for model, source in settings.models.items() if source.series]
    drawn: list[tuple[Path, str]] = [
        (("spectral", "pair", k), name) for k, name in enumerate(settings.spectral.pair or ())
    ]
    if settings.spectral.esd is not None:
        drawn.append((("spectral", "esd"), settings.spectral.esd))
    named = [*((("spectral", "models", k), name) for k, name in enumerate(audited)), *drawn]
    faults: list[Fault] = [
        (
            path,
            name,
            f"no such model{nearest(name, known)} (there are: {', '.join(known) or 'none'})",
        )
        for path, name in named
        if name not in known
    ]
    where = "those with a series" if settings.spectral.models is None else "spectral.models"
    faults += [
        (
            path,
            name,
            f"not among the audited models ({where}: {', '.join(audited) or 'none'}); add it there,"
            f" or set spectral.{path[1]} to null",
        )
        for path, name in drawn
        if name in known and name not in audited
    ]
    faults += [
        (
            ("lm", "tables", table),
            name,
            f"no such corpus in text_corpora{nearest(name, settings.text_corpora)} (there are: "
            f"{', '.join(settings.text_corpora) or 'none'})",
        )
        for table, name in settings.lm.tables.items()
        if name not in settings.text_corpora
    ]
    faults += _dangling_languages(settings) + _dangling_tests(settings)
    return faults + _dangling_brain(settings.brain, known, list(settings.fmri_datasets))


def _dangling_languages(settings: Settings) -> list[Fault]:
    """Languages without an alphabet, or with two; and such as nobody here speaks."""
    valid = [*BUILT_IN, *settings.languages]
    named: list[tuple[Path, str]] = [
        (("speech_corpora", corpus, "language"), source.language)
        for corpus, source in settings.speech_corpora.items()
    ]
    asr = settings.asr
    named += [(("asr", "languages", k), name) for k, name in enumerate(asr.languages or [])]
    named += [(("asr", "figure_languages", f), name) for f, name in asr.figure_languages.items()]
    named += [
        (("asr", "tables", table, column, name), name)
        for table, columns in asr.tables.items()
        for column, tests in columns.items()
        if not isinstance(tests, str)
        for name in tests
    ]
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
    return faults + [
        (
            ("speech_corpora", corpus, "language"),
            source.language,
            f"generated speech is in {', '.join(BUILT_IN)} only; name a path or archives",
        )
        for corpus, source in settings.speech_corpora.items()
        if source.generated is not None and source.language in settings.languages
    ]


def _dangling_tests(settings: Settings) -> list[Fault]:
    """Columns of the tables of speech recognition whose part of a corpus there is not."""
    valid = [
        f"{c}/{part}" for c, source in settings.speech_corpora.items() for part in source.parts
    ]
    named: list[tuple[Path, str]] = []
    for table, columns in settings.asr.tables.items():
        for column, tests in columns.items():
            path: Path = ("asr", "tables", table, column)
            if isinstance(tests, str):
                named.append((path, tests))
            else:
                named += [((*path, language), test) for language, test in tests.items()]
    return [
        (path, name, f"no such part of a corpus in speech_corpora{nearest(name, valid)}")
        for path, name in named
        if name not in valid
    ]


def _dangling_brain(brain: Brain, models: list[str], datasets: list[str]) -> list[Fault]:
    """The same for the settings of `brain`, if it is to decode anyone."""
    if not brain.subjects:
        return []
    named: list[tuple[Path, str, str, list[str]]] = [
        (("dataset",), brain.dataset, "fMRI dataset", datasets),
        (("encoder",), brain.encoder, "model", models),
        (("language_model",), brain.language_model, "model", models),
        (("scores", "bertscore"), brain.scores.bertscore, "model", models),
    ]
    named += [
        (("controls", k), name, "setting", list(brain.settings))
        for k, name in enumerate(brain.controls or [])
    ]
    for subject, settings in brain.settings_of.items():
        named.append((("settings_of", subject), subject, "subject", brain.subjects))
        named += [
            (("settings_of", subject, k), name, "setting", list(brain.settings))
            for k, name in enumerate(settings)
        ]
    named += [
        (("settings", name, "recipe", "control_of"), of, "setting", list(brain.settings))
        for name, setting in brain.settings.items()
        if (of := setting.recipe.control_of) is not None
    ]
    faults: list[Fault] = [
        (
            ("brain", *path),
            name,
            f"no such {kind}{nearest(name, valid)} (there are: {', '.join(valid) or 'none'})",
        )
        for path, name, kind, valid in named
        if name not in valid
    ]
    if not brain.settings:
        faults.append((("brain", "settings"), {}, "name at least one setting to train"))
    return faults


def nearest(name: str, valid: Iterable[str]) -> str:
    """Advice on a name that is not among `valid`: the nearest one, or all where they are few."""
    valid = list(valid)
    close = difflib.get_close_matches(name, valid, n=1, cutoff=0.5)
    if close:
        return f"; did you mean {close[0]!r}?"
    return f"; valid here: {', '.join(valid)}" if 0 < len(valid) <= 12 else ""
