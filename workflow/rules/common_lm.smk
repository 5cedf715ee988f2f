"""What the rules of text, language models and their tables use: corpora, experiments, paths."""

from hearsay.lm.recipes import read_experiments, select, training_part


def read_lm_experiments():
    """What `lm.experiments` names: experiments by corpus and run."""
    table = settings.lm.experiments
    if table is None:
        return {}
    path = table_path("lm.experiments", table)
    with told_by_snakemake():
        return select(read_experiments(path), settings.text_corpora, settings.lm.corpora)


LM_EXPERIMENTS = read_lm_experiments()


def text_corpus_settings(corpus, kind=None):
    """The settings of a corpus of text, which has a `kind` (url, generated) if one is given."""
    if corpus not in settings.text_corpora:
        known = ", ".join(settings.text_corpora) or "none"
        raise ValueError(f"no corpus of text {corpus!r}; there are: {known}")
    source = settings.text_corpora[corpus]
    if kind is not None and getattr(source, kind) is None:
        raise ValueError(f"text_corpora.{corpus} has no {kind}")
    return source


def text_source(corpus):
    """Archive or folder that a corpus is read from; None for one that may not be fetched."""
    source = text_corpus_settings(corpus)
    if source.path is not None:
        return source.path
    if source.generated is not None:
        return f"<results>/text/{corpus}"
    return None if source.url is None else f"<resources>/text/{corpus}/archive"


def lm_available(corpus):
    """Whether a corpus can be had: it has a source, and not a licence alone."""
    source = settings.text_corpora[corpus]
    return any(given is not None for given in (source.url, source.path, source.generated))


def lm_corpora():
    """Corpora on which language models are trained."""
    return [corpus for corpus in LM_EXPERIMENTS if lm_available(corpus)]


def lm_runs(corpus):
    """Names of the models of a corpus, in the order of the table of experiments."""
    return list(LM_EXPERIMENTS.get(corpus, {}))


def lm_experiment(corpus, run):
    """One row of the table of experiments."""
    if run not in LM_EXPERIMENTS.get(corpus, {}):
        known = ", ".join(lm_runs(corpus)) or "none"
        raise ValueError(f"no run {run!r} of {corpus!r} in lm.experiments; there are: {known}")
    return LM_EXPERIMENTS[corpus][run]


def lm_seeds(corpus, run):
    """Seeds with which a model is trained."""
    return list(lm_experiment(corpus, run).seeds)


def lm_rows(corpus):
    """The runs of a corpus and the published rows they go with, for a table."""
    return json.dumps(
        [
            {"run": run, "published": experiment.published or None, "title": run}
            for run, experiment in LM_EXPERIMENTS.get(corpus, {}).items()
        ]
    )


def lm_outputs(name, *corpora):
    """A file of every training of these corpora."""
    for corpus in corpora:
        if corpus not in LM_EXPERIMENTS:
            known = ", ".join(LM_EXPERIMENTS) or "none"
            raise ValueError(
                f"no corpus {corpus!r} in lm.experiments and lm.corpora; there are: {known}"
            )
    return [
        f"<results>/lm/{corpus}/{run}/{seed}/{name}"
        for corpus in corpora
        for run in lm_runs(corpus)
        for seed in lm_seeds(corpus, run)
    ]


def lm_training_settings(corpus, run):
    """What one training reads."""
    return dict(
        recipe=training_part(lm_experiment(corpus, run).recipe),
        **settings.lm.model_dump(include={"backend", "device", "precision", "trajectory"}),
    )


def lm_memory(corpus, run):
    """Memory of one training in MB: weights and what the optimiser keeps, a chunk's states."""
    recipe = lm_experiment(corpus, run).recipe
    widths = recipe.layers * recipe.hidden_size * (recipe.hidden_size + recipe.embedding_size)
    source = settings.text_corpora[corpus]
    words = (source.generated or source).vocabulary or source.max_vocabulary or 50_000
    weights = 6 * widths + words * recipe.embedding_size
    chunk = recipe.batch_size * 2 * recipe.bptt * recipe.layers * 12 * recipe.hidden_size
    return 2000 + (7 * weights + chunk) * 4 // 10**6


def source_of_text(wildcards):
    """What `prepare_text` reads; a corpus that cannot be had is named."""
    source = text_source(wildcards.corpus)
    if source is None:
        licence = text_corpus_settings(wildcards.corpus).licence
        raise ValueError(
            f"text_corpora.{wildcards.corpus} is not downloaded ({licence}); with a copy at hand "
            f"set text_corpora.{wildcards.corpus}.path to its folder or archive"
        )
    return source


EGRU_CORPORA = dict(sorted(settings.lm.tables.items())) if LM_EXPERIMENTS else {}
EGRU_MEASURED = [c for c in dict.fromkeys(EGRU_CORPORA.values()) if c in lm_corpora()]


def egru_scores(number):
    """The scores that a table reads; none where its corpus cannot be had."""
    corpus = EGRU_CORPORA.get(number)
    return [f"<results>/lm/{corpus}/scores.csv"] if corpus in EGRU_MEASURED else []


def egru_why(corpus):
    """Why a corpus cannot have scores, if it cannot."""
    return "" if corpus is None or lm_available(corpus) else "not run: licence"


def egru_rows(number):
    """The rows of a table, as JSON."""
    return lm_rows(EGRU_CORPORA[number]) if number in EGRU_CORPORA else "[]"


def egru_corpora():
    """What figure 1 is told: every corpus once, with its table and rows."""
    tables = {corpus: number for number, corpus in reversed(EGRU_CORPORA.items())}
    return json.dumps(
        [
            dict(corpus=c, table=tables[c], rows=json.loads(lm_rows(c)), why=egru_why(c))
            for c in dict.fromkeys(EGRU_CORPORA.values())
        ]
    )


def egru_histories():
    """Name of a panel of figure 2 and history, for every seed of every EGRU."""
    return [
        (f"{corpus}, {run}", f"<results>/lm/{corpus}/{run}/{seed}/history.csv")
        for corpus in EGRU_MEASURED
        for run in lm_runs(corpus)
        for seed in lm_seeds(corpus, run)
        if lm_experiment(corpus, run).recipe.cell == "egru"
    ]
