"""The power-law audit of every model that this workflow trains."""


rule audit_trained:
    input:
        weights=lambda w: [TRAINED_MODELS[model] for model in AUDIT_BATCHES[w.batch]],
        trajectories=lambda w: snapshots_of(AUDIT_BATCHES[w.batch]),
    output:
        matrices="<results>/spectral/trained/{batch}.matrices.csv",
        scores="<results>/spectral/trained/{batch}.scores.csv",
        record="<results>/spectral/trained/{batch}.run.json",
    log:
        "<logs>/spectral/trained/{batch}/audit_trained.log",
    benchmark:
        "<benchmarks>/spectral/trained/{batch}/audit_trained.tsv"
    wildcard_constraints:
        batch="|".join(map(re.escape, AUDIT_BATCHES)) or "none",
    conda:
        "../../envs/environment.yaml"
    threads: settings.spectral.threads
    resources:
        mem_mb=grown(6000),
        runtime=grown("2h"),
        gpu=int(settings.spectral.device.startswith("cuda")),
    params:
        models=lambda w, input: audit_entries(w.batch, input.weights, input.trajectories),
        settings=as_json(
            **settings.spectral.model_dump(include={"convention", "min_size", "device"})
        ),
        code=code_of("hearsay.spectral.audit_trained"),
    shell:
        "python -m hearsay.step hearsay.spectral.audit_trained --models {params.models:q}"
        " --settings {params.settings:q} --matrices {output.matrices:q}"
        " --scores {output.scores:q} --record {output.record:q} 2> {log:q}"
