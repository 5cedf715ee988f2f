"""The power-law audit of weight matrices, from weights to one score file."""

AUDITED = settings.spectral.models
if AUDITED is None:
    AUDITED = [model for model, source in settings.models.items() if source.series]
if not AUDITED:
    raise WorkflowError(
        "spectral.models: there is no model to audit; name one of models, or give one a series"
    )
if "summary" in {*AUDITED, *(settings.spectral.pair or ()), settings.spectral.esd}:
    raise WorkflowError(
        "models.summary: spectral/summary.csv is the summary of all audits; give the model another "
        "name to audit it"
    )
MEASURED = [model for model in AUDITED if settings.models[model].digits is not None]
FETCHED = [m for m in AUDITED if settings.models[m].hub or settings.models[m].url]


rule audit_model:
    input:
        weights=lambda w: weights_of(w.model),
    output:
        audit="<results>/spectral/{model}.csv",
        eigenvalues="<results>/spectral/{model}.eigenvalues.npz",
        record="<results>/spectral/{model}.run.json",
    log:
        "<logs>/spectral/{model}/audit_model.log",
    benchmark:
        "<benchmarks>/spectral/{model}/audit_model.tsv"
    wildcard_constraints:
        model=r"(?!summary\.(?:csv|run\.json)$)[^/]+",
    conda:
        "../../envs/environment.yaml"
    threads: settings.spectral.threads
    resources:
        mem_mb=grown(lambda w: 3000 + 2 * weights_mb(w.model)),
        runtime=grown("2h"),
        gpu=int(settings.spectral.device.startswith("cuda")),
    params:
        settings=as_json(
            **settings.spectral.model_dump(
                include={"convention", "min_size", "device", "placeholders"}
            )
        ),
        code=code_of("hearsay.spectral.audit_model"),
    shell:
        "python -m hearsay.step hearsay.spectral.audit_model --model {wildcards.model:q}"
        " --weights {input.weights:q} --settings {params.settings:q}"
        " --out {output.audit:q} --eigenvalues {output.eigenvalues:q}"
        " --record {output.record:q} 2> {log:q}"


rule summarise_audits:
    input:
        audits=expand("<results>/spectral/{model}.csv", model=AUDITED),
        accuracies=expand("<results>/models/{model}.scores.csv", model=MEASURED),
    output:
        scores="<results>/spectral/summary.csv",
        record="<results>/spectral/summary.run.json",
    log:
        "<logs>/spectral/summarise_audits.log",
    benchmark:
        "<benchmarks>/spectral/summarise_audits.tsv"
    conda:
        "../../envs/environment.yaml"
    resources:
        mem_mb=grown(2000),
        runtime=grown("10m"),
    params:
        models=json.dumps(AUDITED),
        settings=as_json(
            convention=settings.spectral.convention,
            accuracies={
                model: settings.models[model].accuracy
                for model in AUDITED
                if settings.models[model].accuracy is not None
            },
        ),
        audits=lambda w, input: [f"--audit={path}" for path in input.audits],
        accuracies=lambda w, input: [f"--accuracy={path}" for path in input.accuracies],
        code=code_of("hearsay.spectral.summarise_audits"),
    shell:
        "python -m hearsay.step hearsay.spectral.summarise_audits --models {params.models:q}"
        " --settings {params.settings:q} {params.audits:q} {params.accuracies:q}"
        " --out {output.scores:q} --record {output.record:q} 2> {log:q}"
