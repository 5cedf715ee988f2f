"""Tables and figures of the cross-system audit: cheap steps that read audits and scores."""

AUDIT_TABLES = {
    "audit_table1": ("Table 1", "Metrics of every model trained here"),
    "audit_table2": ("Table 2", "Rank correlation with each model's own test score"),
}
AUDIT_FIGURES = {
    "audit_figure1": ("Figure 1", "Metrics against test scores"),
    "audit_figure2": ("Figure 2", "Metrics over training"),
}
if not AUDIT_TASKS:
    AUDIT_TABLES, AUDIT_FIGURES = {}, {}
elif not SNAPSHOTS:
    del AUDIT_FIGURES["audit_figure2"]


rule audit_table1:
    input:
        audits=audit_files("scores.csv"),
        scores=list(AUDIT_SCORES.values()),
    output:
        csv=report(
            "<results>/tables/audit_table1.csv",
            caption="../report/audit_table1.rst",
            category="Cross-system audit",
            labels={"table": "1"},
        ),
        markdown="<results>/tables/audit_table1.md",
        tex="<results>/tables/audit_table1.tex",
        json="<results>/tables/audit_table1.json",
        run="<results>/tables/audit_table1.run.json",
    log:
        "<logs>/tables/audit_table1.log",
    benchmark:
        "<benchmarks>/tables/audit_table1.tsv"
    conda:
        "../../envs/environment.yaml"
    resources:
        mem_mb=grown(1000),
        runtime=grown("10m"),
    params:
        step="hearsay.paper.audit_table1",
        tasks=json.dumps(AUDIT_TASKS),
        audits=lambda w, input: [f"--audit={path}" for path in input.audits],
        scores=lambda w, input: [
            f"--scores={name}={path}" for name, path in zip(AUDIT_SCORES, input.scores)
        ],
        code=code_of("hearsay.paper.audit_table1"),
    shell:
        "python -m hearsay.step {params.step:q} --tasks {params.tasks:q} {params.audits:q}"
        " {params.scores:q} --csv {output.csv:q} --markdown {output.markdown:q}"
        " --tex {output.tex:q} --json {output.json:q} --run {output.run:q} 2> {log:q}"


use rule audit_table1 as audit_table2 with:
    output:
        csv=report(
            "<results>/tables/audit_table2.csv",
            caption="../report/audit_table2.rst",
            category="Cross-system audit",
            labels={"table": "2"},
        ),
        markdown="<results>/tables/audit_table2.md",
        tex="<results>/tables/audit_table2.tex",
        json="<results>/tables/audit_table2.json",
        run="<results>/tables/audit_table2.run.json",
    log:
        "<logs>/tables/audit_table2.log",
    benchmark:
        "<benchmarks>/tables/audit_table2.tsv"
    params:
        step="hearsay.paper.audit_table2",
        tasks=json.dumps(AUDIT_TASKS),
        audits=lambda w, input: [f"--audit={path}" for path in input.audits],
        scores=lambda w, input: [
            f"--scores={name}={path}" for name, path in zip(AUDIT_SCORES, input.scores)
        ],
        code=code_of("hearsay.paper.audit_table2"),


rule audit_figure1:
    input:
        audits=audit_files("scores.csv"),
        scores=list(AUDIT_SCORES.values()),
    output:
        svg=report(
            "<results>/figures/audit_figure1.svg",
            caption="../report/audit_figure1.rst",
            category="Cross-system audit",
            labels={"figure": "1"},
        ),
        png="<results>/figures/audit_figure1.png",
        run="<results>/figures/audit_figure1.run.json",
    log:
        "<logs>/figures/audit_figure1.log",
    benchmark:
        "<benchmarks>/figures/audit_figure1.tsv"
    conda:
        "../../envs/environment.yaml"
    resources:
        mem_mb=grown(1000),
        runtime=grown("10m"),
    params:
        tasks=json.dumps(AUDIT_TASKS),
        audits=lambda w, input: [f"--audit={path}" for path in input.audits],
        scores=lambda w, input: [
            f"--scores={name}={path}" for name, path in zip(AUDIT_SCORES, input.scores)
        ],
        code=code_of("hearsay.paper.audit_figure1"),
    shell:
        "python -m hearsay.step hearsay.paper.audit_figure1 --tasks {params.tasks:q}"
        " {params.audits:q} {params.scores:q} --svg {output.svg:q} --png {output.png:q}"
        " --run {output.run:q} 2> {log:q}"


rule audit_figure2:
    input:
        audits=audit_files("scores.csv"),
        scores=list(AUDIT_SCORES.values()),
        histories=[f"<results>/{model}/history.csv" for model in SNAPSHOTS],
    output:
        svg=report(
            "<results>/figures/audit_figure2.svg",
            caption="../report/audit_figure2.rst",
            category="Cross-system audit",
            labels={"figure": "2"},
        ),
        png="<results>/figures/audit_figure2.png",
        run="<results>/figures/audit_figure2.run.json",
    log:
        "<logs>/figures/audit_figure2.log",
    benchmark:
        "<benchmarks>/figures/audit_figure2.tsv"
    conda:
        "../../envs/environment.yaml"
    resources:
        mem_mb=grown(1000),
        runtime=grown("10m"),
    params:
        tasks=json.dumps(AUDIT_TASKS),
        audits=lambda w, input: [f"--audit={path}" for path in input.audits],
        scores=lambda w, input: [
            f"--scores={name}={path}" for name, path in zip(AUDIT_SCORES, input.scores)
        ],
        histories=lambda w, input: [
            f"--history={model}={path}" for model, path in zip(SNAPSHOTS, input.histories)
        ],
        code=code_of("hearsay.paper.audit_figure2"),
    shell:
        "python -m hearsay.step hearsay.paper.audit_figure2 --tasks {params.tasks:q}"
        " {params.audits:q} {params.scores:q} {params.histories:q} --svg {output.svg:q}"
        " --png {output.png:q} --run {output.run:q} 2> {log:q}"
