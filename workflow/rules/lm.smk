"""EGRU and its peers: from tokens to one score file a corpus."""

LM_GPUS = 0 if settings.lm.device == "cpu" else 1


rule train_language_model:
    input:
        tokens="<results>/lm/{corpus}/tokens.npz",
    output:
        weights="<results>/lm/{corpus}/{run}/{seed}/weights.safetensors",
        history="<results>/lm/{corpus}/{run}/{seed}/history.csv",
        record="<results>/lm/{corpus}/{run}/{seed}/training.run.json",
        trajectory=directory("<results>/lm/{corpus}/{run}/{seed}/trajectory"),
    log:
        "<logs>/lm/{corpus}/{run}/{seed}/train_language_model.log",
    benchmark:
        "<benchmarks>/lm/{corpus}/{run}/{seed}/train_language_model.tsv"
    conda:
        "../../envs/environment.yaml"
    threads: settings.lm.threads
    resources:
        mem_mb=grown(lambda w: lm_memory(w.corpus, w.run)),
        runtime="72h" if LM_GPUS else "12h",
        gpu=LM_GPUS,
    params:
        settings=lambda w: as_json(**lm_training_settings(w.corpus, w.run)),
        # Beside the outputs and none of them: Snakemake leaves it alone when a job is killed.
        checkpoints=subpath(output.weights, parent=True),
        code=code_of("hearsay.lm.train_language_model"),
    shell:
        "python -m hearsay.step hearsay.lm.train_language_model --corpus {wildcards.corpus:q}"
        " --run {wildcards.run:q} --seed {wildcards.seed:q} --tokens {input.tokens:q}"
        " --settings {params.settings:q} --threads {threads} --weights {output.weights:q}"
        " --history {output.history:q} --record {output.record:q}"
        " --checkpoints {params.checkpoints:q}/training --trajectory {output.trajectory:q}"
        " 2> {log:q}"


rule evaluate_language_model:
    input:
        tokens="<results>/lm/{corpus}/tokens.npz",
        weights="<results>/lm/{corpus}/{run}/{seed}/weights.safetensors",
        history="<results>/lm/{corpus}/{run}/{seed}/history.csv",
        training="<results>/lm/{corpus}/{run}/{seed}/training.run.json",
    output:
        scores="<results>/lm/{corpus}/{run}/{seed}/scores.csv",
        record="<results>/lm/{corpus}/{run}/{seed}/scores.run.json",
    log:
        "<logs>/lm/{corpus}/{run}/{seed}/evaluate_language_model.log",
    benchmark:
        "<benchmarks>/lm/{corpus}/{run}/{seed}/evaluate_language_model.tsv"
    conda:
        "../../envs/environment.yaml"
    threads: 1
    resources:
        mem_mb=grown(4000),
        runtime=grown("2h"),
        gpu=LM_GPUS,
    params:
        settings=as_json(backend=settings.lm.backend, device=settings.lm.device, bptt=256),
        code=code_of("hearsay.lm.evaluate_language_model"),
    shell:
        "python -m hearsay.step hearsay.lm.evaluate_language_model --corpus {wildcards.corpus:q}"
        " --run {wildcards.run:q} --seed {wildcards.seed:q} --tokens {input.tokens:q}"
        " --weights {input.weights:q} --history {input.history:q} --training {input.training:q}"
        " --settings {params.settings:q} --threads {threads} --out {output.scores:q}"
        " --record {output.record:q} 2> {log:q}"


rule gather_scores:
    input:
        scores=lambda w: lm_outputs("scores.csv", w.corpus),
    output:
        scores="<results>/lm/{corpus}/scores.csv",
        record="<results>/lm/{corpus}/scores.run.json",
    log:
        "<logs>/lm/{corpus}/gather_scores.log",
    benchmark:
        "<benchmarks>/lm/{corpus}/gather_scores.tsv"
    conda:
        "../../envs/environment.yaml"
    resources:
        mem_mb=grown(1000),
        runtime=grown("10m"),
    params:
        scores=lambda w, input: [f"--scores={path}" for path in input.scores],
        code=code_of("hearsay.lm.gather_scores"),
    shell:
        "python -m hearsay.step hearsay.lm.gather_scores --corpus {wildcards.corpus:q}"
        " {params.scores:q} --out {output.scores:q} --record {output.record:q} 2> {log:q}"


rule measure_event_speed:
    output:
        speed="<results>/lm/event_speed.csv",
        record="<results>/lm/event_speed.run.json",
    log:
        "<logs>/lm/measure_event_speed.log",
    benchmark:
        "<benchmarks>/lm/measure_event_speed.tsv"
    conda:
        "../../envs/environment.yaml"
    threads: settings.lm.event_speed.threads
    resources:
        mem_mb=grown(4000),
        runtime=grown("1h"),
    params:
        settings=as_json(**settings.lm.event_speed.model_dump()),
        code=code_of("hearsay.lm.measure_event_speed"),
    shell:
        "python -m hearsay.step hearsay.lm.measure_event_speed --settings {params.settings:q}"
        " --threads {threads} --out {output.speed:q} --record {output.record:q} 2> {log:q}"
