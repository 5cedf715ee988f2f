"""What the rules of the cross-system audit use: every model trained here, and its test scores."""


def trained_models():
    """Weights of every model that is trained for a paper, by name: its path below the results."""
    found = {}
    for corpus in lm_corpora():
        for path in lm_outputs("weights.safetensors", corpus):
            found[path] = "lm"
    for language in ASR_LANGUAGES:
        found |= dict.fromkeys(asr_outputs(language, "weights.safetensors"), "asr")
    for run, seed in aligner_trainings():
        found[aligner_weights(run, seed)] = "slu"
    found |= dict.fromkeys(sentiment_outputs("weights.safetensors"), "slu")
    for subject in settings.brain.subjects:
        for setting in settings_of(settings.brain, subject):
            folder = f"<results>/brain/{subject}/{setting}"
            if stage1_of(setting) == setting:
                found[f"{folder}/text_prompt.safetensors"] = "brain"
            found[f"{folder}/fmri_prompt.safetensors"] = "brain"
    return {name_of_trained(path): path for path in found}


def name_of_trained(weights):
    """Name of a model by its weights, such as lm/wikitext-2/egru-1350/0."""
    path = Path(weights).relative_to("<results>")
    return str(path.parent if path.name == "weights.safetensors" else path.with_suffix(""))


TRAINED_MODELS = trained_models()


def audit_batches():
    """Models by the job that audits them: one each, or all in one."""
    if settings.spectral.trained_jobs == "all":
        return {"all": list(TRAINED_MODELS)} if TRAINED_MODELS else {}
    return {model: [model] for model in TRAINED_MODELS}


AUDIT_BATCHES = audit_batches()


# Models whose trainings leave snapshots: not those with whole copies of GPT-2, BERT or data2vec.
SNAPSHOTS = [model for model in TRAINED_MODELS if Path(model).parts[0] in ("lm", "asr")]


def snapshots_of(models):
    """Folders of snapshots of models, of those that have some."""
    return [f"<results>/{model}/trajectory" for model in models if model in SNAPSHOTS]


def audit_entries(batch, weights, trajectories):
    """What `audit_trained` is told: names and files."""
    folders = dict(zip([m for m in AUDIT_BATCHES[batch] if m in SNAPSHOTS], trajectories))
    return json.dumps(
        [
            {"model": model, "weights": path, "trajectory": folders.get(model, "")}
            for model, path in zip(AUDIT_BATCHES[batch], weights)
        ]
    )


def measure(label, *metrics, better):
    """A test score: what it is called, its names in the score file, and which way is better."""
    return {"label": label, "metrics": metrics, "better": better}


def lm_task(corpus):
    """Language models of one corpus."""
    return {
        "system": "lm",
        "name": f"language models, {corpus}",
        "scores": f"lm/{corpus}",
        "subject": corpus,
        "measures": [measure("perplexity", "test_perplexity", better="lower")],
        "models": {
            f"lm/{corpus}/{run}/{seed}": [run, seed]
            for run in lm_runs(corpus)
            for seed in lm_seeds(corpus, run)
        },
    }


def asr_task(language):
    """Recognisers of one language."""
    tests = {p.name: p for run in asr_runs(language) for p in asr_tests(recogniser(language, run))}
    return {
        "system": "asr",
        "name": f"recognisers, {language}",
        "scores": f"asr/{language}",
        "subject": language,
        "measures": [measure(f"WER, {test}", f"wer {test}", better="lower") for test in tests],
        "models": {f"asr/{language}/{r}/{s}": [r, s] for r, s in asr_trainings(language)},
    }


def aligner_task(part):
    """Aligners, judged on one part of a corpus with times of words."""
    return {
        "system": "slu",
        "name": f"aligners, {part.name}",
        "scores": "slu/alignment",
        "subject": part.name,
        "measures": [measure("boundary MAE, ms", "mae", better="lower")],
        "models": {f"slu/aligners/{r}/{s}": [r, s] for r, s in aligner_trainings()},
    }


def sentiment_task(part):
    """Classifiers of sentiment, tested on one part."""
    return {
        "system": "slu",
        "name": f"sentiment, {part.name}",
        "scores": "slu/sentiment",
        "subject": part.name,
        "measures": [
            measure("macro F1", "macro f1", better="higher"),
            measure("accuracy", "weighted recall", better="higher"),
        ],
        "models": {f"slu/sentiment/{r}/{s}": [r, s] for r, s in sentiment_trainings()},
    }


def brain_task(subject, stage):
    """Models of one stage and subject; a score file has one seed, that of its statistics."""
    meteor = [f"bp-gpt/{name}" for name in ("meteor", "meteor-no-synonyms")]
    trained = settings_of(settings.brain, subject)
    return {
        "system": "brain",
        "name": f"{'fMRI' if stage == 'fmri' else 'text'} prompt, {subject}",
        "scores": f"brain/{subject}",
        "subject": subject,
        "input": stage,
        "measures": [
            measure("BLEU-1", "bp-gpt/bleu-1", better="higher"),
            measure("METEOR", *meteor, better="higher"),
            measure("BERTScore", "bp-gpt/bertscore", better="higher"),
        ],
        "models": {
            f"brain/{subject}/{setting}/{stage}_prompt": [setting, None]
            for setting in trained
            if stage == "fmri" or stage1_of(setting) == setting
        },
    }


def audit_tasks():
    """Tasks with the models that are compared in them; scores of different tasks never are."""
    tasks = [lm_task(corpus) for corpus in lm_corpora()]
    tasks += [asr_task(language) for language in ASR_LANGUAGES]
    tasks += [aligner_task(part) for part in JUDGED if TRAINED]
    tasks += [sentiment_task(part) for part in sentiment_tests()]
    subjects = settings.brain.subjects
    return tasks + [brain_task(s, stage) for stage in ("text", "fmri") for s in subjects]


AUDIT_TASKS = audit_tasks()
# Score files that the tasks read, by name: SLU_SCORES, and one a corpus, language or subject.
AUDIT_SCORES = {
    task["scores"]: (
        f"<results>/{task['scores']}.csv"
        if task["system"] == "slu"
        else f"<results>/{task['scores']}/scores.csv"
    )
    for task in AUDIT_TASKS
}


def audit_files(kind):
    """A file of every job of the audit: `matrices.csv`, `scores.csv` or `run.json`."""
    return [f"<results>/spectral/trained/{batch}.{kind}" for batch in AUDIT_BATCHES]
