"""What the tables and figures of WaBERT use: rows, and what is shown."""


def shown_states():
    """Aligners whose states are shown, each with the file of its first seed."""
    if not JUDGED:
        return []
    return [
        (run, f"<results>/slu/aligners/{run}/{ALIGNERS[run].seeds[0]}/states.npz")
        for run in settings.slu.shown_runs
        if run in ALIGNED
    ]


def wabert_rows(experiments, why=""):
    """The rows of a table, as JSON; `why` is why none of them could be judged."""
    return json.dumps(
        [
            {
                "run": run,
                "published": each.published or None,
                "title": run,
                "why": slu_why(each) or why,
                "seeds": list(each.seeds),
                "note": each.note,
                "comparable": slu_comparable(each),
            }
            for run, each in experiments.items()
        ]
    )


def slu_comparable(experiment):
    """Whether it was trained on real and whole corpora only."""
    sources = [settings.speech_corpora[each.corpus] for each in experiment.sets]
    return all(source.generated is None and source.limit is None for source in sources)


def sentiment_part():
    """The part that Table 3 shows: the first one that classifiers are tested on."""
    tests = [part for each in SENTIMENT.values() for part in each.tests]
    return tests[0].name
