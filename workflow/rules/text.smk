"""Corpora of text: fetched, generated or on disk; then as numbers."""


localrules:
    fetch_text,


rule fetch_text:
    output:
        archive="<resources>/text/{corpus}/archive",
        record="<resources>/text/{corpus}/archive.run.json",
    log:
        "<logs>/text/{corpus}/fetch_text.log",
    benchmark:
        "<benchmarks>/text/{corpus}/fetch_text.tsv"
    retries: 2
    conda:
        "../../envs/environment.yaml"
    resources:
        mem_mb=1000,
        runtime="1h",
    params:
        settings=lambda w: as_json(
            **text_corpus_settings(w.corpus, "url").model_dump(include={"url", "sha256"})
        ),
        code=code_of("hearsay.corpora.fetch_text"),
    shell:
        "python -m hearsay.step hearsay.corpora.fetch_text --corpus {wildcards.corpus:q}"
        " --settings {params.settings:q} --out {output.archive:q} --record {output.record:q}"
        " 2> {log:q}"


rule write_text_corpus:
    output:
        folder=directory("<results>/text/{corpus}"),
        record="<results>/text/{corpus}.run.json",
    log:
        "<logs>/text/{corpus}/write_text_corpus.log",
    benchmark:
        "<benchmarks>/text/{corpus}/write_text_corpus.tsv"
    conda:
        "../../envs/environment.yaml"
    resources:
        mem_mb=grown(1000),
        runtime=grown("10m"),
    params:
        settings=lambda w: as_json(
            **text_corpus_settings(w.corpus, "generated").generated.model_dump()
        ),
        code=code_of("hearsay.demo.write_text_corpus"),
    shell:
        "python -m hearsay.step hearsay.demo.write_text_corpus --corpus {wildcards.corpus:q}"
        " --settings {params.settings:q} --out {output.folder:q} --record {output.record:q}"
        " 2> {log:q}"


rule prepare_text:
    input:
        source=source_of_text,
    output:
        tokens="<results>/lm/{corpus}/tokens.npz",
        record="<results>/lm/{corpus}/tokens.run.json",
    log:
        "<logs>/lm/{corpus}/prepare_text.log",
    benchmark:
        "<benchmarks>/lm/{corpus}/prepare_text.tsv"
    conda:
        "../../envs/environment.yaml"
    resources:
        mem_mb=grown(4000),
        runtime=grown("1h"),
    params:
        settings=lambda w: as_json(
            **text_corpus_settings(w.corpus).model_dump(
                include={"files", "vocabulary", "max_vocabulary", "min_count"}
            )
        ),
        code=code_of("hearsay.corpora.prepare_text"),
    shell:
        "python -m hearsay.step hearsay.corpora.prepare_text --corpus {wildcards.corpus:q}"
        " --source {input.source:q} --settings {params.settings:q} --out {output.tokens:q}"
        " --record {output.record:q} 2> {log:q}"
