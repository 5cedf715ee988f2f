"""Speech aligned to BERT: aligners, and the times that they give words."""

SLU_GPUS = settings.slu.devices if settings.slu.device != "cpu" else 0


# A corpus of SLUE's kind has sentiments, which the general rule does not know.
ruleorder: prepare_slue > prepare_speech


rule prepare_word_times:
    input:
        source=speech_source,
        manifest="<results>/speech/{corpus}/{part}.jsonl",
    output:
        words="<results>/speech/{corpus}/words/{part}.csv",
        rejected="<results>/speech/{corpus}/words/{part}.rejected.csv",
        record="<results>/speech/{corpus}/words/{part}.run.json",
    log:
        "<logs>/speech/{corpus}/prepare_word_times_{part}.log",
    benchmark:
        "<benchmarks>/speech/{corpus}/prepare_word_times_{part}.tsv"
    conda:
        "../../envs/environment.yaml"
    resources:
        mem_mb=grown(2000),
        runtime=grown("2h"),
    params:
        settings=lambda w: as_json(**word_times_settings(w.corpus, w.part)),
        source=lambda w, input: (
            os.path.dirname(input.source[0]) if len(input.source) > 1 else input.source[0]
        ),
        code=code_of("hearsay.corpora.prepare_word_times"),
    shell:
        "python -m hearsay.step hearsay.corpora.prepare_word_times --corpus {wildcards.corpus:q}"
        " --part {wildcards.part:q} --source {params.source:q} --manifest {input.manifest:q}"
        " --settings {params.settings:q} --words {output.words:q} --rejected {output.rejected:q}"
        " --record {output.record:q} 2> {log:q}"


rule train_aligner:
    input:
        training=lambda w: manifests_of(aligner_experiment(w.run).corpora),
        validation=lambda w: manifests_of(aligner_experiment(w.run).sets[-1:]),
        audio=lambda w: audio_of(aligner_experiment(w.run).sets),
        speech=lambda w: speech_encoder_of(aligner_experiment(w.run)),
        text=lambda w: text_encoder_of(aligner_experiment(w.run)),
    output:
        weights="<results>/slu/aligners/{run}/{seed}/weights.safetensors",
        history="<results>/slu/aligners/{run}/{seed}/history.csv",
        record="<results>/slu/aligners/{run}/{seed}/training.run.json",
    log:
        "<logs>/slu/aligners/{run}/{seed}/train_aligner.log",
    benchmark:
        "<benchmarks>/slu/aligners/{run}/{seed}/train_aligner.tsv"
    conda:
        "../../envs/environment.yaml"
    threads: settings.slu.threads
    resources:
        mem_mb=grown(lambda w: slu_memory(aligner_experiment(w.run))),
        runtime="72h" if SLU_GPUS else "24h",
        gpu=SLU_GPUS,
        workers=settings.slu.workers,
    params:
        settings=lambda w: as_json(**slu_settings(aligner_experiment(w.run).recipe)),
        training=lambda w, input: [f"--training={path}" for path in input.training],
        validation=lambda w, input: (
            [f"--validation={input.validation[0]}"] if aligner_experiment(w.run).validation else []
        ),
        # Beside the outputs and none of them: Snakemake leaves it alone when a job is killed.
        checkpoints=subpath(output.weights, parent=True),
        code=code_of("hearsay.slu.train_aligner"),
    shell:
        "python -m hearsay.step hearsay.slu.train_aligner --run {wildcards.run:q}"
        " --seed {wildcards.seed:q} {params.training:q} {params.validation:q}"
        " --speech {input.speech:q} --text {input.text:q} --settings {params.settings:q}"
        " --threads {threads}"
        " --workers {resources.workers:q} --weights {output.weights:q} --history {output.history:q}"
        " --record {output.record:q} --checkpoints {params.checkpoints:q}/checkpoints 2> {log:q}"


rule align_words:
    input:
        weights="<results>/slu/aligners/{run}/{seed}/weights.safetensors",
        text=lambda w: text_encoder_of(aligner_experiment(w.run)),
        manifest="<results>/speech/{corpus}/{part}.jsonl",
        audio="<results>/speech/{corpus}/{part}",
    output:
        words="<results>/slu/aligners/{run}/{seed}/{corpus}/{part}.words.csv",
        record="<results>/slu/aligners/{run}/{seed}/{corpus}/{part}.run.json",
    log:
        "<logs>/slu/aligners/{run}/{seed}/align_words_{corpus}_{part}.log",
    benchmark:
        "<benchmarks>/slu/aligners/{run}/{seed}/align_words_{corpus}_{part}.tsv"
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
        code=code_of("hearsay.slu.align_words"),
    shell:
        "python -m hearsay.step hearsay.slu.align_words --weights {input.weights:q}"
        " --text {input.text:q} --part {input.manifest:q} --settings {params.settings:q}"
        " --threads {threads}"
        " --workers {resources.workers:q} --out {output.words:q} --record {output.record:q} 2> {log:q}"


rule force_words:
    input:
        model=lambda w: weights_of(w.model),
        manifest="<results>/speech/{corpus}/{part}.jsonl",
        audio="<results>/speech/{corpus}/{part}",
    output:
        words="<results>/slu/forced/{model}/{corpus}/{part}.words.csv",
        record="<results>/slu/forced/{model}/{corpus}/{part}.run.json",
    log:
        "<logs>/slu/forced/{model}/force_words_{corpus}_{part}.log",
    benchmark:
        "<benchmarks>/slu/forced/{model}/force_words_{corpus}_{part}.tsv"
    conda:
        "../../envs/environment.yaml"
    threads: settings.slu.threads
    resources:
        mem_mb=grown(8000 if SLU_GPUS else 4000),
        runtime=grown("4h"),
        gpu=min(SLU_GPUS, 1),
    params:
        settings=as_json(device=settings.slu.device),
        code=code_of("hearsay.slu.force_words"),
    shell:
        "python -m hearsay.step hearsay.slu.force_words --model {input.model:q}"
        " --part {input.manifest:q} --settings {params.settings:q} --threads {threads}"
        " --out {output.words:q} --record {output.record:q} 2> {log:q}"


rule score_alignment:
    input:
        manifests=lambda w: [manifest_of(part) for part in judged_parts()],
        audio=audio_of(JUDGED),
        words=[reference_of(part) for part in JUDGED],
        aligned=all_word_times(),
        forced=all_forced_times(),
        text=lambda w: weights_of(settings.slu.text_encoder),
    output:
        scores="<results>/slu/alignment.csv",
        record="<results>/slu/alignment.run.json",
    log:
        "<logs>/slu/score_alignment.log",
    benchmark:
        "<benchmarks>/slu/score_alignment.tsv"
    conda:
        "../../envs/environment.yaml"
    resources:
        mem_mb=grown(4000),
        runtime=grown("2h"),
    params:
        settings=as_json(resamples=settings.slu.resamples),
        parts=lambda w, input: [
            f"--part={as_json(part=part.name, manifest=manifest, words=words)}"
            for part, manifest, words in zip(JUDGED, input.manifests, input.words)
        ],
        aligned=lambda w, input: [
            f"--aligned={aligned_json(run, seed, part, times)}"
            for (run, seed, part), times in zip(
                [(*each, part.name) for each in aligner_trainings() for part in JUDGED],
                input.aligned,
            )
        ],
        forced=lambda w, input: [
            f"--forced={as_json(model=settings.slu.ctc_model, part=part.name, times=times)}"
            for part, times in zip(JUDGED, input.forced)
        ],
        code=code_of("hearsay.slu.score_alignment"),
    shell:
        "python -m hearsay.step hearsay.slu.score_alignment {params.parts:q} {params.aligned:q}"
        " {params.forced:q} --text {input.text:q} --settings {params.settings:q}"
        " --out {output.scores:q} --record {output.record:q} 2> {log:q}"


rule show_states:
    input:
        weights="<results>/slu/aligners/{run}/{seed}/weights.safetensors",
        speech=lambda w: speech_encoder_of(aligner_experiment(w.run)),
        text=lambda w: text_encoder_of(aligner_experiment(w.run)),
        manifest=[manifest_of(part) for part in JUDGED[:1]],
        audio=audio_of(JUDGED[:1]),
    output:
        states="<results>/slu/aligners/{run}/{seed}/states.npz",
        record="<results>/slu/aligners/{run}/{seed}/states.run.json",
    log:
        "<logs>/slu/aligners/{run}/{seed}/show_states.log",
    benchmark:
        "<benchmarks>/slu/aligners/{run}/{seed}/show_states.tsv"
    conda:
        "../../envs/environment.yaml"
    threads: settings.slu.threads
    resources:
        mem_mb=grown(4000),
        runtime=grown("1h"),
    params:
        settings=as_json(ids=settings.slu.shown),
        code=code_of("hearsay.slu.show_states"),
    shell:
        "python -m hearsay.step hearsay.slu.show_states --run {wildcards.run:q}"
        " --seed {wildcards.seed:q} --weights {input.weights:q} --speech {input.speech:q}"
        " --text {input.text:q} --part {input.manifest:q} --settings {params.settings:q}"
        " --threads {threads} --out {output.states:q} --record {output.record:q} 2> {log:q}"
