"""Corpora of speech: fetched, generated or on disk; then as 16 kHz clips with a manifest."""


localrules:
    fetch_speech,
    fetch_listed_speech,


rule fetch_speech:
    output:
        archive="<resources>/speech/{corpus}/{archive}",
        record="<resources>/speech/{corpus}/{archive}.run.json",
    log:
        "<logs>/speech/{corpus}/fetch_{archive}.log",
    benchmark:
        "<benchmarks>/speech/{corpus}/fetch_{archive}.tsv"
    wildcard_constraints:
        archive=r"(?!listed(\.run\.json)?$)[^/]+(?<!\.run\.json)",
    retries: 2
    conda:
        "../../envs/environment.yaml"
    resources:
        mem_mb=1000,
        runtime="12h",
    params:
        settings=lambda w: as_json(**speech_archive(w.corpus, w.archive)),
        code=code_of("hearsay.corpora.fetch_speech"),
    shell:
        "python -m hearsay.step hearsay.corpora.fetch_speech --corpus {wildcards.corpus:q}"
        " --archive {wildcards.archive:q} --settings {params.settings:q} --out {output.archive:q}"
        " --record {output.record:q} 2> {log:q}"


rule fetch_listed_speech:
    output:
        files=directory("<resources>/speech/{corpus}/listed"),
        record="<resources>/speech/{corpus}/listed.run.json",
    log:
        "<logs>/speech/{corpus}/fetch_listed_speech.log",
    benchmark:
        "<benchmarks>/speech/{corpus}/fetch_listed_speech.tsv"
    retries: 2
    conda:
        "../../envs/environment.yaml"
    resources:
        mem_mb=1000,
        runtime="12h",
    params:
        settings=lambda w: as_json(**speech_list(w.corpus)),
        code=code_of("hearsay.corpora.fetch_listed_speech"),
    shell:
        "python -m hearsay.step hearsay.corpora.fetch_listed_speech --corpus {wildcards.corpus:q}"
        " --settings {params.settings:q} --out {output.files:q} --record {output.record:q}"
        " 2> {log:q}"


rule write_speech_corpus:
    output:
        release=directory("<results>/speech/{corpus}/release"),
        record="<results>/speech/{corpus}/release.run.json",
    log:
        "<logs>/speech/{corpus}/write_speech_corpus.log",
    benchmark:
        "<benchmarks>/speech/{corpus}/write_speech_corpus.tsv"
    conda:
        "../../envs/environment.yaml"
    resources:
        mem_mb=grown(2000),
        runtime=grown("30m"),
    params:
        settings=lambda w: as_json(**generated_speech(w.corpus)),
        step=lambda w: speaker_of(w.corpus),
        code=code_of("hearsay.demo.write_speech_corpus"),
        # Others write other formats.
        speaker=lambda w: digest_of(speaker_of(w.corpus)),
    shell:
        "python -m hearsay.step {params.step:q} --corpus {wildcards.corpus:q} --settings {params.settings:q} --out {output.release:q} --record {output.record:q}"
        " 2> {log:q}"


rule prepare_speech:
    input:
        source=speech_source,
    output:
        manifest="<results>/speech/{corpus}/{part}.jsonl",
        audio=directory("<results>/speech/{corpus}/{part}"),
        rejected="<results>/speech/{corpus}/{part}.rejected.csv",
        removed="<results>/speech/{corpus}/{part}.removed.csv",
        record="<results>/speech/{corpus}/{part}.run.json",
    log:
        "<logs>/speech/{corpus}/prepare_{part}.log",
    benchmark:
        "<benchmarks>/speech/{corpus}/prepare_{part}.tsv"
    wildcard_constraints:
        part=r"(?!(release|words)(\.run\.json)?$)[^/]+",
    conda:
        "../../envs/environment.yaml"
    threads: settings.asr.threads
    resources:
        mem_mb=grown(4000),
        runtime=grown("12h"),
    params:
        settings=lambda w: as_json(**prepare_speech_settings(w.corpus, w.part)),
        source=lambda w, input: (
            os.path.dirname(input.source[0]) if len(input.source) > 1 else input.source[0]
        ),
        code=code_of("hearsay.corpora.prepare_speech"),
        # Readers are imported by the kind's name, which a digest of the step cannot follow.
        reader=lambda w: digest_of(module_of(speech_settings(w.corpus).kind)),
    shell:
        "python -m hearsay.step hearsay.corpora.prepare_speech --corpus {wildcards.corpus:q}"
        " --part {wildcards.part:q} --source {params.source:q} --settings {params.settings:q}"
        " --threads {threads} --manifest {output.manifest:q} --audio {output.audio:q}"
        " --rejected {output.rejected:q} --removed {output.removed:q} --record {output.record:q}"
        " 2> {log:q}"
