"""What the rules of speech use: corpora, their parts, what each preparation reads."""

from hearsay.corpora.speech_readers import module_of
from hearsay.experiments import check_sets, parse_sets

PARTS_OF = {name: list(corpus.parts) for name, corpus in settings.speech_corpora.items()}


def speech_settings(corpus):
    """The settings of a corpus of speech."""
    if corpus not in settings.speech_corpora:
        known = ", ".join(settings.speech_corpora) or "none"
        raise ValueError(f"no corpus of speech {corpus!r}; there are: {known}")
    return settings.speech_corpora[corpus]


def own_alphabet(language):
    """The alphabet that a step is handed: none for a language whose alphabet the library has."""
    own = settings.languages.get(language)
    return {} if own is None else dict(alphabet=own.model_dump(exclude={"name"}))


def language_name(language):
    """What the settings call a language; empty where they leave it to the library."""
    return settings.languages[language].name if language in settings.languages else ""


def tiny_speech_parts(model):
    """Parts of corpora that a tiny speech encoder learns from."""
    named = model_settings(model, "tiny_speech").tiny_speech.speech
    return parse_sets(f"models.{model}.tiny_speech.speech", "part", " ".join(named))


def tiny_speech_settings(model):
    """What its training reads."""
    language = speech_settings(tiny_speech_parts(model)[0].corpus).language
    own = model_settings(model, "tiny_speech").tiny_speech.model_dump(exclude={"speech"})
    return dict(**own, **own_alphabet(language))


def speech_available(corpus):
    """Whether a corpus can be had: it has a source, and not a licence alone."""
    source = settings.speech_corpora[corpus]
    return bool(source.path or source.archives or source.listed or source.generated)


def copy_wanted(corpus):
    """What to say of a corpus that has no source: why, and what to set."""
    key = f"speech_corpora.{corpus}"
    return (
        f"{key} is not downloaded ({settings.speech_corpora[corpus].licence}); with a copy at hand "
        f"set {key}.path to its folder or archive"
    )


def speech_source(wildcards):
    """What `prepare_speech` reads: a path, archives, or a folder that was made here."""
    source = speech_settings(wildcards.corpus)
    if source.path is not None:
        return [source.path]
    if source.generated is not None:
        return [f"<results>/speech/{wildcards.corpus}/release"]
    if source.listed is not None:
        return [f"<resources>/speech/{wildcards.corpus}/listed"]
    if source.archives:
        names = archives_of(source, wildcards.part)
        return [f"<resources>/speech/{wildcards.corpus}/{name}" for name in names]
    raise ValueError(copy_wanted(wildcards.corpus))


def archives_of(source, part):
    """The archives that a part needs: those of its name where there are such, else all."""
    named = {name.split(".")[0]: name for name in source.archives}
    own = source.parts.get(part, [])
    return [named[each] for each in own] if set(own) <= set(named) else list(source.archives)


def own_parts(corpus, part):
    """The corpus's own parts in a part, and the numbers of clips that they must have."""
    source = speech_settings(corpus)
    if part not in source.parts:
        known = ", ".join(source.parts)
        raise ValueError(f"speech_corpora.{corpus} has no part {part!r}; there are: {known}")
    parts = source.parts[part]
    counts = {own: n for own, n in source.counts.items() if own in parts}
    return dict(parts=parts, counts=counts)


def prepare_slue_settings(corpus, part):
    """What one preparation of a corpus with sentiments reads."""
    source = speech_settings(corpus)
    kept = {"language", "policy", "packed", "limit", "options"}
    return dict(
        **own_parts(corpus, part),
        **source.model_dump(include=kept),
        **own_alphabet(source.language),
    )


def word_times_settings(corpus, part):
    """What reading the word times of a part reads."""
    source = speech_settings(corpus)
    kept = {"kind", "language", "policy", "options"}
    return dict(
        **own_parts(corpus, part),
        **source.model_dump(include=kept),
        **own_alphabet(source.language),
    )


def prepare_speech_settings(corpus, part):
    """What one preparation reads."""
    source = speech_settings(corpus)
    kept = {
        "kind",
        "language",
        "policy",
        "packed",
        "min_duration",
        "max_duration",
        "limit",
        "options",
    }
    return dict(
        training=part in source.training,
        **own_parts(corpus, part),
        **source.model_dump(include=kept),
        **own_alphabet(source.language),
    )


# Who speaks a corpus, by its format, and the settings that it takes besides those of all.
SPEAKERS = {
    "common_voice": ("hearsay.demo.write_speech_corpus", {"format"}),
    "librispeech": ("hearsay.demo.write_speech_corpus", {"format"}),
    "timit": ("hearsay.demo.write_timit", {"clauses"}),
    "slue": ("hearsay.demo.write_slue", {"shares"}),
}


def speaker_of(corpus):
    """The step that speaks a corpus of the demo."""
    source = speech_settings(corpus)
    if source.generated is None:
        raise ValueError(f"speech_corpora.{corpus} is not generated")
    return SPEAKERS[source.generated.format][0]


def generated_speech(corpus):
    """What is spoken for a corpus of the demo."""
    source = speech_settings(corpus)
    taken = {"voices", "utterances", "seed"} | SPEAKERS[source.generated.format][1]
    kept = source.generated.model_dump(include=taken)
    if kept.get("shares", True) is None:
        kept.pop("shares")  # the step's own are those of SLUE
    return dict(language=source.language, **kept)


def speech_archive(corpus, archive):
    """Address and checksums of one archive of a corpus."""
    archives = speech_settings(corpus).archives
    if archive not in archives:
        known = ", ".join(archives) or "none"
        raise ValueError(f"speech_corpora.{corpus} has no archive {archive!r}; there are: {known}")
    return archives[archive].model_dump()


def speech_list(corpus):
    """Address of a corpus's list of files, and which are wanted."""
    listed = speech_settings(corpus).listed
    if listed is None:
        raise ValueError(f"speech_corpora.{corpus} has no list of files")
    return listed.model_dump()


def manifest_of(part):
    """Manifest of a part of a corpus."""
    return f"<results>/speech/{part.corpus}/{part.part}.jsonl"


def manifests_of(sets):
    """Manifests of parts of corpora."""
    return [manifest_of(each) for each in sets]


def audio_of(sets):
    """Folders of audio that belong to them; the manifests name what lies in these."""
    return [f"<results>/speech/{each.corpus}/{each.part}" for each in sets]
