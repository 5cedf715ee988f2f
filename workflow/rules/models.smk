"""Pretrained models: fetched, given as a path, or trained here on small data."""


localrules:
    fetch_model,


rule fetch_model:
    output:
        weights=directory("<resources>/models/{model}"),
        record="<resources>/models/{model}.run.json",
    log:
        "<logs>/models/{model}/fetch_model.log",
    benchmark:
        "<benchmarks>/models/{model}/fetch_model.tsv"
    retries: 2
    conda:
        "../../envs/environment.yaml"
    resources:
        mem_mb=2000,
        runtime="2h",
    params:
        settings=lambda w: as_json(
            **model_settings(w.model, "hub", "url").model_dump(
                include={"hub", "revision", "url", "sha256"}
            )
        ),
        code=code_of("hearsay.corpora.fetch_model"),
    shell:
        "python -m hearsay.step hearsay.corpora.fetch_model --model {wildcards.model:q}"
        " --settings {params.settings:q} --out {output.weights:q} --record {output.record:q}"
        " 2> {log:q}"


rule train_digits:
    output:
        weights="<results>/models/{model}.safetensors",
        history="<results>/models/{model}.history.csv",
        scores="<results>/models/{model}.scores.csv",
        record="<results>/models/{model}.run.json",
    log:
        "<logs>/models/{model}/train_digits.log",
    benchmark:
        "<benchmarks>/models/{model}/train_digits.tsv"
    conda:
        "../../envs/environment.yaml"
    threads: 1
    resources:
        mem_mb=grown(2000),
        runtime="30m",
    params:
        settings=lambda w: as_json(**model_settings(w.model, "digits").digits.model_dump()),
        code=code_of("hearsay.spectral.train_digits"),
        # Beside the outputs and none of them: Snakemake leaves it alone when a job is killed.
        checkpoints=subpath(output.weights, strip_suffix=".safetensors"),
    shell:
        "python -m hearsay.step hearsay.spectral.train_digits --model {wildcards.model:q}"
        " --settings {params.settings:q} --weights {output.weights:q}"
        " --history {output.history:q} --scores {output.scores:q} --record {output.record:q}"
        " --checkpoints {params.checkpoints:q}.training 2> {log:q}"


rule train_tiny_model:
    output:
        weights=directory("<results>/models/tiny/{model}"),
        record="<results>/models/tiny/{model}.run.json",
    log:
        "<logs>/models/tiny/{model}/train_tiny_model.log",
    benchmark:
        "<benchmarks>/models/tiny/{model}/train_tiny_model.tsv"
    conda:
        "../../envs/environment.yaml"
    threads: 1
    resources:
        mem_mb=grown(2000),
        runtime="30m",
    params:
        settings=lambda w: as_json(**model_settings(w.model, "tiny").tiny.model_dump()),
        code=code_of("hearsay.demo.train_tiny_model"),
    shell:
        "python -m hearsay.step hearsay.demo.train_tiny_model --model {wildcards.model:q}"
        " --settings {params.settings:q} --out {output.weights:q} --record {output.record:q}"
        " --checkpoints {output.weights:q}.training 2> {log:q}"


rule train_tiny_speech:
    input:
        training=lambda w: manifests_of(tiny_speech_parts(w.model)),
        audio=lambda w: audio_of(tiny_speech_parts(w.model)),
    output:
        weights=directory("<results>/models/speech/{model}"),
        record="<results>/models/speech/{model}.run.json",
    log:
        "<logs>/models/speech/{model}/train_tiny_speech.log",
    benchmark:
        "<benchmarks>/models/speech/{model}/train_tiny_speech.tsv"
    conda:
        "../../envs/environment.yaml"
    threads: 1
    resources:
        mem_mb=grown(2000),
        runtime="1h",
    params:
        settings=lambda w: as_json(**tiny_speech_settings(w.model)),
        language=lambda w: speech_settings(tiny_speech_parts(w.model)[0].corpus).language,
        training=lambda w, input: [f"--training={path}" for path in input.training],
        code=code_of("hearsay.demo.train_tiny_speech"),
    shell:
        "python -m hearsay.step hearsay.demo.train_tiny_speech --model {wildcards.model:q}"
        " {params.training:q} --language {params.language:q} --settings {params.settings:q}"
        " --threads {threads} --out {output.weights:q} --record {output.record:q}"
        " --checkpoints {output.weights:q}.training 2> {log:q}"
