"""Recognisers: trained, tested, and scored, one score file a language."""

ASR_GPUS = settings.asr.devices if settings.asr.device != "cpu" else 0


rule train_recogniser:
    input:
        training=lambda w: manifests_of(trained_on(w)[:-1]),
        validation=lambda w: manifest_of(trained_on(w)[-1]),
        audio=lambda w: audio_of(trained_on(w)),
        source=lambda w: asr_source(recogniser(w.language, w.run), int(w.seed)) or [],
    output:
        weights="<results>/asr/{language}/{run}/{seed}/weights.safetensors",
        history="<results>/asr/{language}/{run}/{seed}/history.csv",
        record="<results>/asr/{language}/{run}/{seed}/training.run.json",
        trajectory=directory("<results>/asr/{language}/{run}/{seed}/trajectory"),
    log:
        "<logs>/asr/{language}/{run}/{seed}/train_recogniser.log",
    benchmark:
        "<benchmarks>/asr/{language}/{run}/{seed}/train_recogniser.tsv"
    conda:
        "../../envs/environment.yaml"
    threads: settings.asr.threads
    resources:
        mem_mb=grown(lambda w: asr_memory(w.language, w.run)),
        runtime="72h" if ASR_GPUS else "24h",
        gpu=ASR_GPUS,
        workers=settings.asr.workers,
    params:
        settings=lambda w: as_json(**recogniser_settings(w.language, w.run)),
        training=lambda w, input: [
            f"--training={part.weight}={path}" for part, path in zip(trained_on(w), input.training)
        ],
        source=lambda w, input: [f"--source={path}" for path in [input.source] if path],
        # Beside the outputs and none of them: Snakemake leaves it alone when a job is killed.
        checkpoints=subpath(output.weights, parent=True),
        code=code_of("hearsay.asr.train_recogniser"),
    shell:
        "python -m hearsay.step hearsay.asr.train_recogniser --language {wildcards.language:q}"
        " --run {wildcards.run:q} --seed {wildcards.seed:q} {params.training:q}"
        " --validation {input.validation:q} {params.source:q} --settings {params.settings:q}"
        " --threads {threads}"
        " --workers {resources.workers:q} --weights {output.weights:q} --history {output.history:q}"
        " --record {output.record:q} --checkpoints {params.checkpoints:q}/training"
        " --trajectory {output.trajectory:q} 2> {log:q}"


rule transcribe:
    input:
        weights="<results>/asr/{language}/{run}/{seed}/weights.safetensors",
        tests=lambda w: manifests_of(tested_on(w)),
        audio=lambda w: audio_of(tested_on(w)),
    output:
        transcripts="<results>/asr/{language}/{run}/{seed}/transcripts.csv",
        record="<results>/asr/{language}/{run}/{seed}/transcripts.run.json",
    log:
        "<logs>/asr/{language}/{run}/{seed}/transcribe.log",
    benchmark:
        "<benchmarks>/asr/{language}/{run}/{seed}/transcribe.tsv"
    conda:
        "../../envs/environment.yaml"
    threads: settings.asr.threads
    resources:
        mem_mb=grown(8000 if ASR_GPUS else 4000),
        runtime=grown("4h"),
        gpu=min(ASR_GPUS, 1),
        workers=settings.asr.workers,
    params:
        settings=lambda w: as_json(
            batch_size=32,
            **settings.asr.model_dump(include={"device"}),
            **own_alphabet(w.language),
        ),
        tests=lambda w, input: [
            f"--test={part.name}={path}" for part, path in zip(tested_on(w), input.tests)
        ],
        code=code_of("hearsay.asr.transcribe"),
    shell:
        "python -m hearsay.step hearsay.asr.transcribe --language {wildcards.language:q}"
        " --run {wildcards.run:q} --seed {wildcards.seed:q} --weights {input.weights:q}"
        " {params.tests:q} --settings {params.settings:q} --threads {threads}"
        " --workers {resources.workers:q}"
        " --out {output.transcripts:q} --record {output.record:q} 2> {log:q}"


rule score_transcripts:
    input:
        transcripts=lambda w: asr_outputs(w.language, "transcripts.csv"),
        histories=lambda w: asr_outputs(w.language, "history.csv"),
        trainings=lambda w: asr_outputs(w.language, "training.run.json"),
    output:
        scores="<results>/asr/{language}/scores.csv",
        record="<results>/asr/{language}/scores.run.json",
    log:
        "<logs>/asr/{language}/score_transcripts.log",
    benchmark:
        "<benchmarks>/asr/{language}/score_transcripts.tsv"
    conda:
        "../../envs/environment.yaml"
    resources:
        mem_mb=grown(2000),
        runtime=grown("1h"),
    params:
        settings=as_json(resamples=settings.asr.resamples),
        trainings=lambda w, input: [
            "--training="
            + as_json(run=run, seed=seed, transcripts=heard, history=history, training=record)
            for (run, seed), heard, history, record in zip(
                asr_trainings(w.language), input.transcripts, input.histories, input.trainings
            )
        ],
        code=code_of("hearsay.asr.score_transcripts"),
    shell:
        "python -m hearsay.step hearsay.asr.score_transcripts --language {wildcards.language:q}"
        " {params.trainings:q} --settings {params.settings:q} --out {output.scores:q}"
        " --record {output.record:q} 2> {log:q}"
