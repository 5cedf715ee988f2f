"""Datasets: cloned by DataLad, fetched file by file for one subject, dropped again."""


localrules:
    clone_dataset,
    fetch_subject,
    drop,


rule write_fmri_dataset:
    output:
        record="<resources>/simulated/{dataset}.run.json",
    log:
        "<logs>/datasets/{dataset}/write_fmri_dataset.log",
    benchmark:
        "<benchmarks>/datasets/{dataset}/write_fmri_dataset.tsv"
    conda:
        "../../envs/environment.yaml"
    resources:
        mem_mb=grown(2000),
        runtime=grown("30m"),
    params:
        settings=lambda w: as_json(**dataset_settings(w.dataset).simulated.model_dump()),
        # No declared output: git-annex owns the folder, and Snakemake would delete it.
        folder=subpath(output.record, strip_suffix=".run.json"),
        code=code_of("hearsay.demo.write_fmri_dataset"),
    shell:
        "python -m hearsay.step hearsay.demo.write_fmri_dataset --folder {params.folder:q}"
        " --settings {params.settings:q} --record {output.record:q} 2> {log:q}"


rule clone_dataset:
    input:
        lambda w: (
            f"<resources>/simulated/{w.dataset}.run.json"
            if dataset_settings(w.dataset).simulated
            else []
        ),
    output:
        record="<resources>/datasets/{dataset}.run.json",
    log:
        "<logs>/datasets/{dataset}/clone_dataset.log",
    benchmark:
        "<benchmarks>/datasets/{dataset}/clone_dataset.tsv"
    conda:
        "../../envs/environment.yaml"
    resources:
        mem_mb=2000,
        runtime="1h",
        annex=1,
    params:
        settings=lambda w, input: as_json(
            source=dataset_source(w.dataset, input),
            **dataset_settings(w.dataset).model_dump(include={"version", "manifest"}),
        ),
        clone=subpath(output.record, strip_suffix=".run.json"),
        code=code_of("hearsay.corpora.clone_dataset"),
    shell:
        "python -m hearsay.step hearsay.corpora.clone_dataset --dataset {wildcards.dataset:q}"
        " --settings {params.settings:q} --clone {params.clone:q} --record {output.record:q}"
        " 2> {log:q}"


rule fetch_subject:
    input:
        clone=f"<resources>/datasets/{settings.brain.dataset}.run.json",
    output:
        present="<results>/brain/{subject}/present.tsv",
        record="<results>/brain/{subject}/present.run.json",
    log:
        "<logs>/brain/{subject}/fetch_subject.log",
    benchmark:
        "<benchmarks>/brain/{subject}/fetch_subject.tsv"
    conda:
        "../../envs/environment.yaml"
    resources:
        mem_mb=2000,
        runtime="12h",
        annex=1,
        connections=lambda w: dataset_settings(settings.brain.dataset).jobs,
    params:
        settings=lambda w: as_json(**fetch_settings(w.subject)),
        plan=lambda w: fetch_plan(w.subject),
        clone=subpath(input.clone, strip_suffix=".run.json"),
        code=code_of("hearsay.corpora.fetch_subject", *MANIFESTS),
    message:
        "fetch_subject: {params.plan}"
    shell:
        "python -m hearsay.step hearsay.corpora.fetch_subject --subject {wildcards.subject:q}"
        " --clone {params.clone:q} --settings {params.settings:q} --jobs {resources.connections:q}"
        " --present {output.present:q}"
        " --record {output.record:q} 2> {log:q}"


rule drop:
    input:
        clone=f"<resources>/datasets/{settings.brain.dataset}.run.json",
    log:
        "<logs>/datasets/drop.log",
    benchmark:
        "<benchmarks>/datasets/drop.tsv"
    conda:
        "../../envs/environment.yaml"
    resources:
        mem_mb=2000,
        runtime="1h",
        annex=1,
    params:
        clone=subpath(input.clone, strip_suffix=".run.json"),
        code=code_of("hearsay.corpora.drop_dataset"),
    shell:
        "python -m hearsay.step hearsay.corpora.drop_dataset --clone {params.clone:q} 2> {log:q}"


rule preprocess_bold:
    input:
        clone=f"<resources>/datasets/{settings.brain.dataset}.run.json",
        present="<results>/brain/{subject}/present.tsv",
    output:
        responses="<results>/brain/{subject}/raw/{story}.hf5",
        record="<results>/brain/{subject}/raw/{story}.run.json",
    log:
        "<logs>/brain/{subject}/raw/{story}.log",
    benchmark:
        "<benchmarks>/brain/{subject}/raw/{story}.tsv"
    conda:
        "../../envs/environment.yaml"
    resources:
        mem_mb=grown(8000),
        runtime=grown("1h"),
    params:
        settings=as_json(mask=None, window_s=120, trim=10),
        clone=subpath(input.clone, strip_suffix=".run.json"),
        code=code_of("hearsay.corpora.preprocess_bold"),
    shell:
        "python -m hearsay.step hearsay.corpora.preprocess_bold --subject {wildcards.subject:q}"
        " --story {wildcards.story:q} --clone {params.clone:q} --present {input.present:q}"
        " --settings {params.settings:q} --out {output.responses:q} --record {output.record:q}"
        " 2> {log:q}"
