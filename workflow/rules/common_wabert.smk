"""What the tables and figures of WaBERT use: rows, and what is shown."""

# What the paper measures on, by kind of corpus, with the options that make it the same utterances
# (SLUE's v0.2 drew others); and its models, of which it does not say whether BERT knows capitals.
PAPERS_TESTS = {"timit": {}, "slue": {"release": "v0.1"}}
PAPERS_MODELS = {
    "facebook/data2vec-audio-base",
    "google-bert/bert-base-cased",
    "google-bert/bert-base-uncased",
}


def shown_states():
    """Aligners whose states are shown, each with the file of its first seed."""
    if not JUDGED:
        return []
    return [
        (run, f"<results>/slu/aligners/{run}/{ALIGNERS[run].seeds[0]}/states.npz")
        for run in settings.slu.shown_runs
        if run in ALIGNED
    ]


def wabert_rows(experiments, parts, why=""):
    """The rows of a table of `parts`, as JSON; `why` is why none of them could be judged."""
    return json.dumps(
        [
            {
                "run": run,
                "published": each.published or None,
                "title": run,
                "why": slu_why(each) or why,
                "seeds": list(each.seeds),
                "note": each.note,
                "comparable": slu_comparable(each, parts),
            }
            for run, each in experiments.items()
        ]
    )


def slu_comparable(experiment, parts):
    """Names of those of `parts`, with spaces between, on which it is what the paper measured.

    That is: on the paper's utterances, with the paper's models, trained on real and whole corpora.
    """
    grafted = ALIGNERS[experiment.aligner].sets if getattr(experiment, "aligner", "") else []
    models = [settings.models[name].hub for name in encoders_of(experiment)]
    if not (
        all(map(real_and_whole, [*experiment.sets, *grafted])) and PAPERS_MODELS.issuperset(models)
    ):
        return ""
    return " ".join(part.name for part in parts if real_and_whole(part) and papers_own(part))


def real_and_whole(part):
    """Whether a part's corpus is neither made here nor cut."""
    corpus = settings.speech_corpora[part.corpus]
    return corpus.generated is None and corpus.limit is None


def papers_own(part):
    """Whether a part is of a corpus that the paper measures on."""
    corpus = settings.speech_corpora[part.corpus]
    options = PAPERS_TESTS.get(corpus.kind)
    return options is not None and options.items() <= (corpus.options or {}).items()


def sentiment_part():
    """The part that Table 3 shows: the first one that a classifier is, or else would be, tested on."""
    first = next(iter(CLASSIFIED or SENTIMENT))
    return SENTIMENT[first].tests[0]
