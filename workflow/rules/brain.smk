"""BP-GPT: one subject from prepared stories to a score file."""

ENCODER, LANGUAGE_MODEL, BERTSCORE = [
    weights_of(model) if settings.brain.subjects else []
    for model in (
        settings.brain.encoder,
        settings.brain.language_model,
        settings.brain.scores.bertscore,
    )
]
BRAIN_GPUS = settings.brain.devices if settings.brain.device != "cpu" else 0


rule prepare_stories:
    input:
        clone=f"<resources>/datasets/{settings.brain.dataset}.run.json",
        present="<results>/brain/{subject}/present.tsv",
        raw=lambda w: [
            f"<results>/brain/{w.subject}/raw/{story}.hf5"
            for story in settings.brain.raw.get(w.subject, [])
        ],
        encoder=ENCODER if settings.brain.voxels.method == "select" else [],
        voxels=lambda w: voxels_file(w.subject),
    output:
        windows="<results>/brain/{subject}/windows.h5",
        record="<results>/brain/{subject}/windows.run.json",
    log:
        "<logs>/brain/{subject}/prepare_stories.log",
    benchmark:
        "<benchmarks>/brain/{subject}/prepare_stories.tsv"
    conda:
        "../../envs/environment.yaml"
    resources:
        mem_mb=grown(6000),
        runtime=grown("2h"),
    params:
        settings=lambda w: as_json(**prepare_settings()),
        clone=subpath(input.clone, strip_suffix=".run.json"),
        more=lambda w, input: [f"--raw={path}" for path in input.raw]
        + [f"--encoder={path}" for path in [input.encoder] if path],
        code=code_of("hearsay.brain.prepare_stories"),
    shell:
        "python -m hearsay.step hearsay.brain.prepare_stories --subject {wildcards.subject:q}"
        " --clone {params.clone:q} --present {input.present:q} --settings {params.settings:q}"
        " {params.more:q} --out {output.windows:q} --record {output.record:q} 2> {log:q}"


rule fit_word_rate:
    input:
        windows="<results>/brain/{subject}/windows.h5",
    output:
        word_rate="<results>/brain/{subject}/word_rate.csv",
        record="<results>/brain/{subject}/word_rate.run.json",
    log:
        "<logs>/brain/{subject}/fit_word_rate.log",
    benchmark:
        "<benchmarks>/brain/{subject}/fit_word_rate.tsv"
    conda:
        "../../envs/environment.yaml"
    resources:
        mem_mb=grown(8000),
        runtime=grown("30m"),
    params:
        settings=as_json(**settings.brain.word_rate.model_dump()),
        code=code_of("hearsay.brain.fit_word_rate"),
    shell:
        "python -m hearsay.step hearsay.brain.fit_word_rate --windows {input.windows:q}"
        " --settings {params.settings:q} --out {output.word_rate:q} --record {output.record:q}"
        " 2> {log:q}"


rule train_text_prompt:
    input:
        windows="<results>/brain/{subject}/windows.h5",
        encoder=ENCODER,
        language_model=LANGUAGE_MODEL,
    output:
        weights="<results>/brain/{subject}/{setting}/text_prompt.safetensors",
        history="<results>/brain/{subject}/{setting}/text_prompt.history.csv",
        record="<results>/brain/{subject}/{setting}/text_prompt.run.json",
    log:
        "<logs>/brain/{subject}/{setting}/train_text_prompt.log",
    benchmark:
        "<benchmarks>/brain/{subject}/{setting}/train_text_prompt.tsv"
    conda:
        "../../envs/environment.yaml"
    threads: 8 if BRAIN_GPUS else 1
    resources:
        mem_mb=grown(lambda w: brain_memory(w.setting)),
        runtime="8h",
        gpu=BRAIN_GPUS,
    params:
        step="hearsay.brain.train_text_prompt",
        settings=lambda w: as_json(**recipe_settings(w.setting, "text_prompt")),
        # Beside the outputs and none of them: Snakemake leaves it alone when a job is killed.
        checkpoints=subpath(output.weights, strip_suffix=".safetensors"),
        code=code_of("hearsay.brain.train_text_prompt"),
    shell:
        "python -m hearsay.step {params.step:q} --subject {wildcards.subject:q}"
        " --setting {wildcards.setting:q} --windows {input.windows:q} --encoder {input.encoder:q}"
        " --language-model {input.language_model:q} --settings {params.settings:q}"
        " --threads {threads} --out {output.weights:q} --history {output.history:q}"
        " --record {output.record:q} --checkpoints {params.checkpoints:q}.training 2> {log:q}"


rule train_fmri_prompt:
    input:
        windows="<results>/brain/{subject}/windows.h5",
        text_prompt=lambda w: (
            f"<results>/brain/{w.subject}/{stage1_of(w.setting)}/text_prompt.safetensors"
        ),
        encoder=ENCODER,
        language_model=LANGUAGE_MODEL,
    output:
        weights="<results>/brain/{subject}/{setting}/fmri_prompt.safetensors",
        history="<results>/brain/{subject}/{setting}/fmri_prompt.history.csv",
        record="<results>/brain/{subject}/{setting}/fmri_prompt.run.json",
    log:
        "<logs>/brain/{subject}/{setting}/train_fmri_prompt.log",
    benchmark:
        "<benchmarks>/brain/{subject}/{setting}/train_fmri_prompt.tsv"
    conda:
        "../../envs/environment.yaml"
    threads: 8 if BRAIN_GPUS else 1
    resources:
        mem_mb=grown(lambda w: brain_memory(w.setting)),
        runtime="8h",
        gpu=BRAIN_GPUS,
    params:
        step="hearsay.brain.train_fmri_prompt",
        settings=lambda w: as_json(**recipe_settings(w.setting, "fmri_prompt")),
        checkpoints=subpath(output.weights, strip_suffix=".safetensors"),
        code=code_of("hearsay.brain.train_fmri_prompt"),
    shell:
        "python -m hearsay.step {params.step:q} --subject {wildcards.subject:q}"
        " --setting {wildcards.setting:q} --windows {input.windows:q}"
        " --text-prompt {input.text_prompt:q} --encoder {input.encoder:q}"
        " --language-model {input.language_model:q} --settings {params.settings:q}"
        " --threads {threads} --out {output.weights:q} --history {output.history:q}"
        " --record {output.record:q} --checkpoints {params.checkpoints:q}.training 2> {log:q}"


rule decode_story:
    input:
        windows="<results>/brain/{subject}/windows.h5",
        word_rate="<results>/brain/{subject}/word_rate.csv",
        text_prompt=lambda w: (
            f"<results>/brain/{w.subject}/{stage1_of(w.setting)}/text_prompt.safetensors"
        ),
        fmri_prompt="<results>/brain/{subject}/{setting}/fmri_prompt.safetensors",
        encoder=ENCODER,
        language_model=LANGUAGE_MODEL,
    output:
        decoded="<results>/brain/{subject}/{setting}/decoded.csv",
        record="<results>/brain/{subject}/{setting}/decoded.run.json",
    log:
        "<logs>/brain/{subject}/{setting}/decode_story.log",
    benchmark:
        "<benchmarks>/brain/{subject}/{setting}/decode_story.tsv"
    conda:
        "../../envs/environment.yaml"
    threads: 4 if BRAIN_GPUS else 1
    resources:
        mem_mb=grown(brain_memory()),
        runtime=grown("1h"),
        gpu=min(BRAIN_GPUS, 1),
    params:
        settings=lambda w: as_json(**decode_settings(w.setting)),
        code=code_of("hearsay.brain.decode_story"),
    shell:
        "python -m hearsay.step hearsay.brain.decode_story --subject {wildcards.subject:q}"
        " --setting {wildcards.setting:q} --windows {input.windows:q}"
        " --word-rate {input.word_rate:q} --text-prompt {input.text_prompt:q}"
        " --fmri-prompt {input.fmri_prompt:q} --encoder {input.encoder:q}"
        " --language-model {input.language_model:q} --settings {params.settings:q}"
        " --threads {threads} --out {output.decoded:q} --record {output.record:q} 2> {log:q}"


rule score_story:
    input:
        windows="<results>/brain/{subject}/windows.h5",
        bertscore=BERTSCORE,
        decoded=lambda w: [
            f"<results>/brain/{w.subject}/{setting}/decoded.csv"
            for setting in settings_of(settings.brain, w.subject)
        ],
    output:
        scores="<results>/brain/{subject}/scores.csv",
        windows="<results>/brain/{subject}/window_scores.csv",
        record="<results>/brain/{subject}/scores.run.json",
    log:
        "<logs>/brain/{subject}/score_story.log",
    benchmark:
        "<benchmarks>/brain/{subject}/score_story.tsv"
    conda:
        "../../envs/environment.yaml"
    resources:
        mem_mb=grown(2000 + 4 * weights_mb(settings.brain.scores.bertscore)),
        runtime=grown("4h"),
    params:
        settings=lambda w: as_json(**score_settings(w.subject)),
        decoded=lambda w, input: [
            f"--decoded={setting}={path}"
            for setting, path in zip(settings_of(settings.brain, w.subject), input.decoded)
        ],
        code=code_of("hearsay.brain.score_story"),
    shell:
        "python -m hearsay.step hearsay.brain.score_story --subject {wildcards.subject:q}"
        " --windows {input.windows:q} {params.decoded:q} --settings {params.settings:q}"
        " --bertscore {input.bertscore:q} --out {output.scores:q}"
        " --window-scores {output.windows:q} --record {output.record:q} 2> {log:q}"
