"""Sentiments of speech: from its text, from its sound, and from aligners grafted onto BERT."""


rule prepare_slue:
    input:
        source=speech_source,
    output:
        manifest="<results>/speech/{corpus}/{part}.jsonl",
        audio=directory("<results>/speech/{corpus}/{part}"),
        labels="<results>/speech/{corpus}/{part}.labels.csv",
        rejected="<results>/speech/{corpus}/{part}.rejected.csv",
        removed="<results>/speech/{corpus}/{part}.removed.csv",
        record="<results>/speech/{corpus}/{part}.run.json",
    log:
        "<logs>/speech/{corpus}/prepare_slue_{part}.log",
    benchmark:
        "<benchmarks>/speech/{corpus}/prepare_slue_{part}.tsv"
    wildcard_constraints:
        corpus="|".join(map(re.escape, SLUE)) or "(?!)",
        part=r"(?!(release|words)(\.run\.json)?$)[^/]+",
    conda:
        "../../envs/environment.yaml"
    threads: settings.slu.threads
    resources:
        mem_mb=grown(4000),
        runtime=grown("12h"),
    params:
        settings=lambda w: as_json(**prepare_slue_settings(w.corpus, w.part)),
        source=lambda w, input: (
            os.path.dirname(input.source[0]) if len(input.source) > 1 else input.source[0]
        ),
        code=code_of("hearsay.corpora.prepare_slue"),
    shell:
        "python -m hearsay.step hearsay.corpora.prepare_slue --corpus {wildcards.corpus:q}"
        " --part {wildcards.part:q} --source {params.source:q} --settings {params.settings:q}"
        " --threads {threads} --manifest {output.manifest:q} --audio {output.audio:q}"
        " --labels {output.labels:q} --rejected {output.rejected:q} --removed {output.removed:q}"
        " --record {output.record:q} 2> {log:q}"


rule train_sentiment:
    input:
        training=lambda w: manifests_of(sentiment_experiment(w.run).corpora),
        labels=lambda w: labels_of(sentiment_experiment(w.run).corpora),
        validation=lambda w: manifest_of(sentiment_experiment(w.run).validation),
        validation_labels=lambda w: labels_of([sentiment_experiment(w.run).validation]),
        audio=lambda w: audio_of(sentiment_experiment(w.run).sets),
        models=lambda w: sentiment_models(w.run, int(w.seed)).values(),
    output:
        weights="<results>/slu/sentiment/{run}/{seed}/weights.safetensors",
        history="<results>/slu/sentiment/{run}/{seed}/history.csv",
        record="<results>/slu/sentiment/{run}/{seed}/training.run.json",
    log:
        "<logs>/slu/sentiment/{run}/{seed}/train_sentiment.log",
    benchmark:
        "<benchmarks>/slu/sentiment/{run}/{seed}/train_sentiment.tsv"
    conda:
        "../../envs/environment.yaml"
    threads: settings.slu.threads
    resources:
        mem_mb=grown(lambda w: slu_memory(sentiment_experiment(w.run))),
        runtime="24h",
        gpu=SLU_GPUS,
        workers=settings.slu.workers,
    params:
        settings=lambda w: as_json(**slu_settings(sentiment_experiment(w.run).recipe)),
        kind=lambda w: sentiment_experiment(w.run).kind,
        parts=lambda w, input: [
            *[f"--training={path}" for path in input.training],
            *[f"--labels={path}" for path in input.labels],
        ],
        models=lambda w, input: [
            f"--{name}={path}"
            for name, path in zip(sentiment_models(w.run, int(w.seed)), input.models)
        ],
        # Beside the outputs and none of them: Snakemake leaves it alone when a job is killed.
        checkpoints=subpath(output.weights, parent=True),
        code=code_of("hearsay.slu.train_sentiment"),
    shell:
        "python -m hearsay.step hearsay.slu.train_sentiment --run {wildcards.run:q}"
        " --seed {wildcards.seed:q} --kind {params.kind:q} {params.parts:q}"
        " --validation {input.validation:q} --validation-labels {input.validation_labels:q}"
        " {params.models:q} --settings {params.settings:q} --threads {threads}"
        " --workers {resources.workers:q}"
        " --weights {output.weights:q} --history {output.history:q} --record {output.record:q}"
        " --checkpoints {params.checkpoints:q}/checkpoints 2> {log:q}"


rule predict_sentiment:
    input:
        weights="<results>/slu/sentiment/{run}/{seed}/weights.safetensors",
        tests=lambda w: manifests_of(sentiment_experiment(w.run).tests),
        labels=lambda w: labels_of(sentiment_experiment(w.run).tests),
        audio=lambda w: audio_of(sentiment_experiment(w.run).tests),
        text=lambda w: sentiment_text(w.run),
    output:
        predictions="<results>/slu/sentiment/{run}/{seed}/predictions.csv",
        record="<results>/slu/sentiment/{run}/{seed}/predictions.run.json",
    log:
        "<logs>/slu/sentiment/{run}/{seed}/predict_sentiment.log",
    benchmark:
        "<benchmarks>/slu/sentiment/{run}/{seed}/predict_sentiment.tsv"
    conda:
        "../../envs/environment.yaml"
    threads: settings.slu.threads
    resources:
        mem_mb=grown(8000 if SLU_GPUS else 4000),
        runtime=grown("4h"),
        gpu=min(SLU_GPUS, 1),
        workers=settings.slu.workers,
    params:
        # One by one: some encoders see how far an utterance is padded.
        settings=as_json(batch_size=1, **settings.slu.model_dump(include={"device"})),
        kind=lambda w: sentiment_experiment(w.run).kind,
        tests=lambda w, input: [
            text
            for part, manifest, labels in zip(
                sentiment_experiment(w.run).tests, input.tests, input.labels
            )
            for text in (f"--part={part.name}={manifest}", f"--labels={part.name}={labels}")
        ],
        text=lambda w, input: [f"--text={path}" for path in [input.text] if path],
        code=code_of("hearsay.slu.predict_sentiment"),
    shell:
        "python -m hearsay.step hearsay.slu.predict_sentiment --run {wildcards.run:q}"
        " --seed {wildcards.seed:q} --kind {params.kind:q} --weights {input.weights:q}"
        " {params.text:q} {params.tests:q} --settings {params.settings:q} --threads {threads}"
        " --workers {resources.workers:q}"
        " --out {output.predictions:q} --record {output.record:q} 2> {log:q}"


rule score_sentiment:
    input:
        predictions=sentiment_outputs("predictions.csv"),
        trainings=sentiment_outputs("training.run.json"),
        labels=labels_of(sentiment_tests()),
        training_labels=lambda w: labels_of(SENTIMENT[classified_runs()[0]].corpora),
    output:
        scores="<results>/slu/sentiment.csv",
        record="<results>/slu/sentiment.run.json",
    log:
        "<logs>/slu/score_sentiment.log",
    benchmark:
        "<benchmarks>/slu/score_sentiment.tsv"
    conda:
        "../../envs/environment.yaml"
    resources:
        mem_mb=grown(2000),
        runtime=grown("1h"),
    params:
        settings=as_json(**settings.slu.model_dump(include={"resamples", "interval_over"})),
        trainings=lambda w, input: [
            f"--training={classifier_json(run, seed, predictions, training)}"
            for (run, seed), predictions, training in zip(
                sentiment_trainings(), input.predictions, input.trainings
            )
        ],
        labels=lambda w, input: [
            *[
                f"--labels={part.name}={path}"
                for part, path in zip(sentiment_tests(), input.labels)
            ],
            *[f"--training-labels={path}" for path in input.training_labels],
        ],
        code=code_of("hearsay.slu.score_sentiment"),
    shell:
        "python -m hearsay.step hearsay.slu.score_sentiment {params.trainings:q}"
        " {params.labels:q} --settings {params.settings:q} --out {output.scores:q}"
        " --record {output.record:q} 2> {log:q}"
