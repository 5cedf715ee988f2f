"""What the rules of aligners, sentiments and their tables use: experiments, parts, paths."""

import re

from hearsay.slu.aligner_experiments import read_aligners
from hearsay.slu.sentiment_experiments import read_sentiment

SLUE = [name for name, corpus in settings.speech_corpora.items() if corpus.kind == "slue"]
TIMED = ("timit", "table")  # kinds of corpora whose words have times


def table_of(key, read):
    """Experiments of the table that a setting names, by run."""
    table = getattr(settings.slu, key)
    if table is None:
        return {}
    path = table_path(f"slu.{key}", table)
    with told_by_snakemake():
        experiments = read(path)
        for each in experiments:
            check_sets(f"slu.{key}, run {each.run!r}", each.sets, PARTS_OF)
    return {each.run: each for each in experiments}


ALIGNERS = table_of("aligners", read_aligners)
SENTIMENT = table_of("sentiment", read_sentiment)


def timed_parts():
    """Parts on which aligners are judged, as the settings have them."""
    parts = parse_sets("slu.alignment", "part", " ".join(settings.slu.alignment))
    for part in parts:
        kind = settings.speech_corpora[part.corpus].kind
        if kind not in TIMED:
            raise WorkflowError(
                f"slu.alignment: {part.name} is of kind {kind}, which has no times of words; "
                f"name parts of kind {' or '.join(TIMED)}"
            )
    return parts


def check_understanding():
    """Refuse settings of this system that name what there is not."""
    slu = settings.slu
    known = ", ".join(settings.models) or "none"
    rows = [("aligners", each) for each in ALIGNERS.values()]
    rows += [("sentiment", each) for each in SENTIMENT.values()]
    for table, each in rows:
        for key, column in (("speech_encoder", "speech"), ("text_encoder", "text")):
            name = getattr(each, column)
            if name and name not in settings.models:
                raise WorkflowError(
                    f"slu.{table}, run {each.run!r}: {column}: no model {name!r}; there are: {known}"
                )
            if not name and getattr(slu, key) is None:
                raise WorkflowError(
                    f"slu.{key}: run {each.run!r} of slu.{table} starts from it: name one of models; "
                    f"there are: {known}"
                )
    for run, each in SENTIMENT.items():
        if each.aligner and each.aligner not in ALIGNERS:
            known = ", ".join(ALIGNERS) or "none"
            raise WorkflowError(
                f"slu.sentiment, run {run!r}: no aligner {each.aligner!r}; there are: {known}"
            )
        wrong = [part for part in each.sets if part.corpus not in SLUE]
        if wrong:
            raise WorkflowError(
                f"slu.sentiment, run {run!r}: {wrong[0].corpus} is not of kind slue: its clips "
                "have no sentiment"
            )
    if unknown := [run for run in slu.shown_runs if run not in ALIGNERS]:
        raise WorkflowError(f"slu.shown_runs: no aligner {unknown[0]!r}")


check_understanding()
TIMED_PARTS = timed_parts()


def slu_absent(experiment):
    """A corpus that cannot be had, without which something or its aligner cannot be trained."""
    for each in experiment.sets:
        if not speech_available(each.corpus):
            return each.corpus
    aligner = getattr(experiment, "aligner", "")
    return slu_absent(ALIGNERS[aligner]) if aligner else None


def slu_why(experiment):
    """Why something cannot be trained, if it cannot."""
    absent = slu_absent(experiment)
    return "" if absent is None else f"not run: {settings.speech_corpora[absent].access}"


# What can be trained, and the parts with times that can be had.
ALIGNED = [run for run, each in ALIGNERS.items() if not slu_why(each)]
CLASSIFIED = [run for run, each in SENTIMENT.items() if not slu_why(each)]
JUDGED = [part for part in TIMED_PARTS if speech_available(part.corpus)]
# Aligners that `all` trains: all of them where they can be judged, else those of grafts.
TRAINED = [
    run for run in ALIGNED if JUDGED or run in {SENTIMENT[each].aligner for each in CLASSIFIED}
]


def unjudged():
    """Why no aligner can be judged, if none can: there are no times of words."""
    if JUDGED:
        return ""
    if not TIMED_PARTS:
        return "not run: slu.alignment names no part with times of words"
    return f"not run: {settings.speech_corpora[TIMED_PARTS[0].corpus].access}"


def judged_parts():
    """Parts on which aligners are scored; without any, or any aligner, what to set is said."""
    if JUDGED and TRAINED:
        return JUDGED
    if not ALIGNERS:
        raise ValueError("no aligner is trained: slu.aligners names no table of them")
    if not TIMED_PARTS:
        raise ValueError("slu.alignment names no part with times of words")
    absent = slu_absent(next(iter(ALIGNERS.values()))) if JUDGED else TIMED_PARTS[0].corpus
    raise ValueError(f"no aligner can be scored: {copy_wanted(absent)}")


def classified_runs():
    """Classifiers of sentiment that are scored; without any what to set is said."""
    if CLASSIFIED:
        return CLASSIFIED
    if not SENTIMENT:
        raise ValueError("no classifier is trained: slu.sentiment names no table of them")
    absent = slu_absent(next(iter(SENTIMENT.values())))
    raise ValueError(f"no classifier can be scored: {copy_wanted(absent)}")


def aligner_experiment(run):
    """One row of the table of aligners."""
    if run not in ALIGNERS:
        known = ", ".join(ALIGNERS) or "none"
        raise ValueError(f"no run {run!r} in slu.aligners; there are: {known}")
    return ALIGNERS[run]


def sentiment_experiment(run):
    """One row of the table of classifiers of sentiment."""
    if run not in SENTIMENT:
        known = ", ".join(SENTIMENT) or "none"
        raise ValueError(f"no run {run!r} in slu.sentiment; there are: {known}")
    return SENTIMENT[run]


def encoders_of(experiment):
    """Names of the models that an aligner or classifier starts from; a graft has its aligner's."""
    if getattr(experiment, "aligner", ""):
        return encoders_of(ALIGNERS[experiment.aligner])
    kind = getattr(experiment, "kind", "")
    speech = experiment.speech or settings.slu.speech_encoder
    text = experiment.text or settings.slu.text_encoder
    return {"text": [text], "speech": [speech]}.get(kind, [speech, text])


def slu_memory(experiment):
    """Memory of one training in MB: libraries, its encoders, a micro-batch's activations.

    Each process of a data-parallel one has all of these.
    """
    models = sum(weights_mb(name) for name in encoders_of(experiment))
    return settings.slu.devices * (3000 + 4 * models + 250 * experiment.recipe.micro_batch)


def speech_encoder_of(experiment):
    """Folder of the speech encoder that an aligner or classifier starts from."""
    return weights_of(getattr(experiment, "speech", "") or settings.slu.speech_encoder)


def text_encoder_of(experiment):
    """Folder of the text encoder of an aligner or classifier."""
    return weights_of(getattr(experiment, "text", "") or settings.slu.text_encoder)


def slu_settings(recipe):
    """What one training reads."""
    return dict(
        recipe=recipe.model_dump(),
        **settings.slu.model_dump(include={"device", "devices", "precision"}),
    )


def aligner_weights(run, seed):
    """Weights of an aligner: of that seed, else of its first."""
    seeds = aligner_experiment(run).seeds
    used = seed if seed in seeds else seeds[0]
    return f"<results>/slu/aligners/{run}/{used}/weights.safetensors"


def labels_of(sets):
    """Tables of sentiments of parts of corpora."""
    return [f"<results>/speech/{each.corpus}/{each.part}.labels.csv" for each in sets]


def sentiment_models(run, seed):
    """By option of the step, what a classifier starts from."""
    experiment = sentiment_experiment(run)
    if experiment.kind == "speech":
        return {"speech": speech_encoder_of(experiment)}
    if experiment.kind == "text":
        return {"text": text_encoder_of(experiment)}
    aligner = aligner_experiment(experiment.aligner)
    return {"aligner": aligner_weights(aligner.run, seed), "text": text_encoder_of(aligner)}


def sentiment_text(run):
    """The text encoder that a classifier has, if it has one."""
    return sentiment_models(run, 0).get("text", [])


def aligner_trainings():
    """Run and seed of every aligner that can be trained."""
    return [(run, seed) for run in TRAINED for seed in ALIGNERS[run].seeds]


def sentiment_trainings():
    """Run and seed of every classifier that can be trained."""
    return [(run, seed) for run in CLASSIFIED for seed in SENTIMENT[run].seeds]


def reference_of(part):
    """Words of a part with the times that its corpus has."""
    return f"<results>/speech/{part.corpus}/words/{part.part}.csv"


def word_times_of(run, seed, part):
    """Words of a part with the times that an aligner gives them."""
    return f"<results>/slu/aligners/{run}/{seed}/{part.corpus}/{part.part}.words.csv"


def forced_times_of(part):
    """Words of a part with the times that the CTC model gives them."""
    return f"<results>/slu/forced/{settings.slu.ctc_model}/{part.corpus}/{part.part}.words.csv"


def all_word_times():
    """Every aligner's words of every part."""
    return [word_times_of(run, seed, part) for run, seed in aligner_trainings() for part in JUDGED]


def aligned_json(run, seed, part, times):
    """What `score_alignment` is told of one aligner on one part."""
    return as_json(run=run, seed=seed, preset=ALIGNERS[run].preset, part=part, times=times)


def classifier_json(run, seed, predictions, training):
    """What `score_sentiment` is told of one classifier."""
    kind = SENTIMENT[run].kind
    return as_json(run=run, seed=seed, kind=kind, predictions=predictions, training=training)


def all_forced_times():
    """The CTC model's words of every part, if there is such a model."""
    named = settings.slu.ctc_model and TRAINED
    return [forced_times_of(part) for part in JUDGED] if named else []


def sentiment_outputs(name):
    """A file of every training of a classifier."""
    return [f"<results>/slu/sentiment/{run}/{seed}/{name}" for run, seed in sentiment_trainings()]


def sentiment_tests():
    """Parts that classifiers are tested on, each once."""
    return list({p.name: p for run in CLASSIFIED for p in SENTIMENT[run].tests}.values())


def slu_all_parts():
    """Parts of corpora that any training or test of this system reads, each once."""
    sets = [part for run in TRAINED for part in ALIGNERS[run].sets]
    sets += [part for run in CLASSIFIED for part in SENTIMENT[run].sets]
    return list({part.name: part for part in [*sets, *(JUDGED if TRAINED else [])]}.values())


# What `all` asks for: scores of what can be trained and judged.
SLU_SCORES = [
    *(["<results>/slu/alignment.csv"] if TRAINED and JUDGED else []),
    *(["<results>/slu/sentiment.csv"] if CLASSIFIED else []),
]


def slu_records():
    """Run records behind the tables and figures of this system."""
    records = [f"<results>/speech/{part.name}.run.json" for part in slu_all_parts()]
    records += [reference_of(part).replace(".csv", ".run.json") for part in JUDGED if TRAINED]
    for run, seed in aligner_trainings():
        records.append(f"<results>/slu/aligners/{run}/{seed}/training.run.json")
    records += [path.replace(".words.csv", ".run.json") for path in all_word_times()]
    records += [path.replace(".words.csv", ".run.json") for path in all_forced_times()]
    records += [path.replace(".npz", ".run.json") for _, path in shown_states()]
    for name in ("training.run.json", "predictions.run.json"):
        records += sentiment_outputs(name)
    return [*records, *[path.replace(".csv", ".run.json") for path in SLU_SCORES]]
