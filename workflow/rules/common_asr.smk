"""What the rules of recognisers and their tables use: experiments, sources, tests, paths."""

from snakemake.logging import logger

from hearsay.asr.recipes import check_experiments, read_experiments as read_asr_experiments
from hearsay.corpora.alphabets import labels_of as labels_of_alphabet


def labels_of_language(language):
    """Characters of a language, of the library's or of the configuration's alphabet."""
    return labels_of_alphabet(language, own_alphabet(language))


def read_asr_table():
    """What `asr.experiments` names: all experiments."""
    table = settings.asr.experiments
    if table is None:
        return []
    path = table_path("asr.experiments", table)
    corpora = {
        name: (corpus.language, list(corpus.parts), corpus.training)
        for name, corpus in settings.speech_corpora.items()
    }
    with told_by_snakemake():
        experiments = read_asr_experiments(path)
        check_experiments(experiments, corpora, settings.models, labels_of_language)
        for language in settings.asr.languages or []:
            if all(experiment.language != language for experiment in experiments):
                raise InputError(f"asr.languages: no run of {language!r} in {table}")
    return experiments


def chosen(experiments):
    """Experiments of the languages that are used, and their sources, by language and run."""
    languages, found = settings.asr.languages, {}
    for each in experiments:
        if languages is None or each.language in languages or is_source(each, experiments):
            found.setdefault(each.language, {})[each.run] = each
    return found


def is_source(experiment, experiments):
    """Whether a recogniser of a chosen language starts from this one, directly or not."""
    name = f"{experiment.language}/{experiment.run}"
    return any(
        other.language in settings.asr.languages or is_source(other, experiments)
        for other in experiments
        if other.source == name
    )


ASR_TABLE = read_asr_table()
ASR = chosen(ASR_TABLE)


def check_figures():
    """Refuse figures of runs that the table lacks; tell of those in a language that it lacks."""
    table = settings.asr.experiments
    for figure, runs in settings.asr.figures.items() if table else []:
        language = settings.asr.figure_languages.get(figure)
        known = [each.run for each in ASR_TABLE if each.language == language]
        wrong = [run for run in runs if run not in known]
        if wrong and known:
            raise WorkflowError(
                f"asr.figures.{figure}: no run {wrong[0]!r} of {language} in {table}; there are: "
                f"{', '.join(known)}; name two of them, or set asr.figures.{figure} to []"
            )
        if wrong and workflow.is_main_process:
            logger.warning(
                f"asr.figures.{figure}: left out: {table} has no run of {language}; name others "
                f"there and in asr.figure_languages.{figure}, or set asr.figures.{figure} to []"
            )


check_figures()


def recogniser(language, run):
    """One row of the table of experiments."""
    if run not in ASR.get(language, {}):
        known = ", ".join(ASR.get(language, {})) or "none"
        raise ValueError(f"no run {run!r} of {language!r} in asr.experiments; there are: {known}")
    return ASR[language][run]


def asr_source(experiment, seed):
    """File or folder of the recogniser that this one starts from; None for training from scratch."""
    if not experiment.source:
        return None
    language, _, run = experiment.source.partition("/")
    if not run:
        return weights_of(experiment.source)
    seeds = recogniser(language, run).seeds
    return (
        f"<results>/asr/{language}/{run}/{seed if seed in seeds else seeds[0]}/weights.safetensors"
    )


def asr_absent(experiment):
    """A corpus that cannot be had, without which a recogniser or its source cannot be trained."""
    for each in [*experiment.corpora, experiment.validation]:
        if not speech_available(each.corpus):
            return each.corpus
    if not asr_tests(experiment):
        return experiment.tests[0].corpus
    language, _, run = experiment.source.partition("/")
    return asr_absent(recogniser(language, run)) if run else None


def asr_why(experiment):
    """Why a recogniser cannot be trained, if it cannot."""
    absent = asr_absent(experiment)
    return "" if absent is None else f"not run: {settings.speech_corpora[absent].access}"


def asr_parts(experiment):
    """The parts of corpora that a recogniser reads."""
    return [*experiment.corpora, experiment.validation, *asr_tests(experiment)]


def asr_tests(experiment):
    """The parts that a recogniser can be tested on; others leave a cell of the table empty."""
    return [each for each in experiment.tests if speech_available(each.corpus)]


def asr_runs(language):
    """Runs of a language that can be trained, in the order of the table."""
    return [run for run, experiment in ASR.get(language, {}).items() if not asr_why(experiment)]


def asr_languages(number):
    """Languages of which a table shows runs that can be trained."""
    return [
        language
        for language, runs in ASR.items()
        if any(number in e.tables and not asr_why(e) for e in runs.values())
    ]


# Languages with something to train; `all` asks for each one's scores.
ASR_LANGUAGES = [language for language in ASR if asr_runs(language)]


def asr_trainings(language):
    """Run and seed of every training of a language."""
    return [(run, seed) for run in asr_runs(language) for seed in recogniser(language, run).seeds]


def asr_outputs(language, name):
    """A file of every training of a language, of which there is one."""
    if language not in ASR:
        known = ", ".join(ASR) or "none"
        raise ValueError(
            f"no language {language!r} in asr.experiments and asr.languages; there are: {known}"
        )
    if not asr_runs(language):
        absent = asr_absent(next(iter(ASR[language].values())))
        raise ValueError(f"nothing is trained for {language!r}: {copy_wanted(absent)}")
    return [
        f"<results>/asr/{language}/{run}/{seed}/{name}" for run, seed in asr_trainings(language)
    ]


def trained_on(wildcards):
    """Parts of corpora that a training reads, the one for validation last."""
    experiment = recogniser(wildcards.language, wildcards.run)
    return [*experiment.corpora, experiment.validation]


def tested_on(wildcards):
    """Parts of corpora that a recogniser is tested on."""
    return asr_tests(recogniser(wildcards.language, wildcards.run))


def recogniser_settings(language, run):
    """What one training reads."""
    kept = {"device", "devices", "precision", "trajectory"}
    return dict(
        recipe=recogniser(language, run).recipe.model_dump(),
        **settings.asr.model_dump(include=kept),
        **own_alphabet(language),
    )


def asr_memory(language, run):
    """Memory of one training in MB: of each of its processes libraries, and activations of the longest micro-batch."""
    recipe = recogniser(language, run).recipe
    a_clip = {"15x5": 330, "5x5": 160, "5x3": 130, "narrow": 12}[recipe.blocks]
    return settings.asr.devices * (4000 + recipe.micro_batch * a_clip)


def asr_scores(number):
    """Score files that a table reads."""
    return [f"<results>/asr/{language}/scores.csv" for language in asr_languages(number)]


def asr_rows(number):
    """The rows of a table, as JSON."""
    return json.dumps(
        [
            {
                "language": language,
                "language_name": language_name(language),
                "run": run,
                "published": experiment.tables[number] or None,
                "title": run,
                "model": experiment.recipe.blocks,
                "train": asr_trained_on(experiment, first=True),
                "fine_tune": asr_trained_on(experiment) if experiment.source else "",
                "before": asr_before(experiment),
                "why": asr_why(experiment),
                "seeds": list(experiment.seeds),
                "note": experiment.note,
                "comparable": asr_comparable(experiment),
            }
            for language, runs in ASR.items()
            for run, experiment in runs.items()
            if number in experiment.tables
        ]
    )


def asr_trained_on(experiment, first=False):
    """The corpora that a recogniser, or with `first` the one at its line's beginning, saw, with + between."""
    language, _, run = experiment.source.partition("/")
    if first and experiment.source:
        return asr_trained_on(recogniser(language, run), first) if run else experiment.source
    return "+".join(each.corpus for each in experiment.corpora)


def asr_before(experiment):
    """The run of the same language that a recogniser starts from, if it does."""
    language, _, run = experiment.source.partition("/")
    return run if run and language == experiment.language else None


def asr_comparable(experiment):
    """Whether its test parts are those of the paper: real, and whole."""
    sources = [settings.speech_corpora[each.corpus] for each in asr_parts(experiment)]
    return all(source.generated is None and source.limit is None for source in sources)


def asr_columns(number):
    """The columns of a table and what is measured for each, as JSON."""
    return json.dumps(settings.asr.tables.get(number, {}))


# Tables that have rows; without a table of experiments there is none.
ASR_TABLE_NUMBERS = [
    number
    for number in sorted(settings.asr.tables)
    if any(number in e.tables for runs in ASR.values() for e in runs.values())
]


def asr_histories(figure):
    """Panel and run, and history, of the runs that a figure compares, every seed of them."""
    language = settings.asr.figure_languages.get(figure)
    return [
        (
            f"{language_name(language) or language}, {run}",
            f"<results>/asr/{language}/{run}/{seed}/history.csv",
        )
        for run in settings.asr.figures.get(figure, [])
        if language is not None and run in asr_runs(language)
        for seed in recogniser(language, run).seeds
    ]


def asr_all_parts():
    """Parts of corpora that any training or test reads, each once."""
    read = [
        each
        for language in ASR_LANGUAGES
        for run in asr_runs(language)
        for each in asr_parts(recogniser(language, run))
    ]
    return list({each.name: each for each in read}.values())


def asr_records():
    """Run records behind the tables and figures of speech recognition."""
    names = ("training.run.json", "transcripts.run.json")
    return [
        *[f"<results>/speech/{part.name}.run.json" for part in asr_all_parts()],
        *[path for lang in ASR_LANGUAGES for name in names for path in asr_outputs(lang, name)],
        *[f"<results>/asr/{language}/scores.run.json" for language in ASR_LANGUAGES],
    ]
