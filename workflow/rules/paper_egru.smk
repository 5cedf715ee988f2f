"""Tables and figures of the EGRU paper: cheap steps that read scores, histories and timings."""

EGRU_TABLES = {
    f"egru_table{number}": (f"Table {number}", f"Language models on {corpus}")
    for number, corpus in EGRU_CORPORA.items()
}
EGRU_FIGURES = {
    "egru_figure1": ("Figure 1", "Perplexity against effective operations"),
    "egru_figure2": ("Figure 2", "Sparsity of every layer over training"),
    "egru_figure3": ("Figure 3", "Speed against sparsity"),
}
if not EGRU_TABLES:
    EGRU_FIGURES = {}


rule egru_table1:
    input:
        scores=egru_scores("1"),
    output:
        csv=report(
            "<results>/tables/egru_table1.csv",
            caption="../report/egru_table1.rst",
            category="EGRU",
            labels={"table": "1"},
        ),
        markdown="<results>/tables/egru_table1.md",
        tex="<results>/tables/egru_table1.tex",
        json="<results>/tables/egru_table1.json",
        run="<results>/tables/egru_table1.run.json",
    log:
        "<logs>/tables/egru_table1.log",
    benchmark:
        "<benchmarks>/tables/egru_table1.tsv"
    conda:
        "../../envs/environment.yaml"
    resources:
        mem_mb=grown(1000),
        runtime=grown("10m"),
    params:
        step="hearsay.paper.egru_table1",
        corpus=EGRU_CORPORA.get("1", ""),
        rows=egru_rows("1"),
        why=egru_why(EGRU_CORPORA.get("1")),
        scores=lambda w, input: [f"--scores={path}" for path in input.scores],
        code=code_of("hearsay.paper.egru_table1", PUBLISHED_EGRU),
    shell:
        "python -m hearsay.step {params.step:q} --corpus {params.corpus:q} --rows {params.rows:q}"
        " --why={params.why:q} {params.scores:q} --csv {output.csv:q}"
        " --markdown {output.markdown:q} --tex {output.tex:q} --json {output.json:q}"
        " --run {output.run:q} 2> {log:q}"


use rule egru_table1 as egru_table2 with:
    input:
        scores=egru_scores("2"),
    output:
        csv=report(
            "<results>/tables/egru_table2.csv",
            caption="../report/egru_table2.rst",
            category="EGRU",
            labels={"table": "2"},
        ),
        markdown="<results>/tables/egru_table2.md",
        tex="<results>/tables/egru_table2.tex",
        json="<results>/tables/egru_table2.json",
        run="<results>/tables/egru_table2.run.json",
    log:
        "<logs>/tables/egru_table2.log",
    benchmark:
        "<benchmarks>/tables/egru_table2.tsv"
    params:
        step="hearsay.paper.egru_table2",
        corpus=EGRU_CORPORA.get("2", ""),
        rows=egru_rows("2"),
        why=egru_why(EGRU_CORPORA.get("2")),
        scores=lambda w, input: [f"--scores={path}" for path in input.scores],
        code=code_of("hearsay.paper.egru_table2", PUBLISHED_EGRU),


rule egru_figure1:
    input:
        scores=expand("<results>/lm/{corpus}/scores.csv", corpus=EGRU_MEASURED),
    output:
        svg=report(
            "<results>/figures/egru_figure1.svg",
            caption="../report/egru_figure1.rst",
            category="EGRU",
            labels={"figure": "1"},
        ),
        png="<results>/figures/egru_figure1.png",
        run="<results>/figures/egru_figure1.run.json",
    log:
        "<logs>/figures/egru_figure1.log",
    benchmark:
        "<benchmarks>/figures/egru_figure1.tsv"
    conda:
        "../../envs/environment.yaml"
    resources:
        mem_mb=grown(1000),
        runtime=grown("10m"),
    params:
        corpora=egru_corpora(),
        scores=lambda w, input: [
            f"--scores={corpus}={path}" for corpus, path in zip(EGRU_MEASURED, input.scores)
        ],
        code=code_of("hearsay.paper.egru_figure1", PUBLISHED_EGRU),
    shell:
        "python -m hearsay.step hearsay.paper.egru_figure1 --corpora {params.corpora:q}"
        " {params.scores:q} --svg {output.svg:q} --png {output.png:q} --run {output.run:q}"
        " 2> {log:q}"


rule egru_figure2:
    input:
        histories=[path for _, path in egru_histories()],
    output:
        svg=report(
            "<results>/figures/egru_figure2.svg",
            caption="../report/egru_figure2.rst",
            category="EGRU",
            labels={"figure": "2"},
        ),
        png="<results>/figures/egru_figure2.png",
        run="<results>/figures/egru_figure2.run.json",
    log:
        "<logs>/figures/egru_figure2.log",
    benchmark:
        "<benchmarks>/figures/egru_figure2.tsv"
    conda:
        "../../envs/environment.yaml"
    resources:
        mem_mb=grown(1000),
        runtime=grown("10m"),
    params:
        histories=lambda w, input: [
            f"--history={name}={path}"
            for (name, _), path in zip(egru_histories(), input.histories)
        ],
        code=code_of("hearsay.paper.egru_figure2"),
    shell:
        "python -m hearsay.step hearsay.paper.egru_figure2 {params.histories:q}"
        " --svg {output.svg:q} --png {output.png:q} --run {output.run:q} 2> {log:q}"


rule egru_figure3:
    input:
        speed="<results>/lm/event_speed.csv",
        record="<results>/lm/event_speed.run.json",
    output:
        svg=report(
            "<results>/figures/egru_figure3.svg",
            caption="../report/egru_figure3.rst",
            category="EGRU",
            labels={"figure": "3"},
        ),
        png="<results>/figures/egru_figure3.png",
        run="<results>/figures/egru_figure3.run.json",
    log:
        "<logs>/figures/egru_figure3.log",
    benchmark:
        "<benchmarks>/figures/egru_figure3.tsv"
    conda:
        "../../envs/environment.yaml"
    resources:
        mem_mb=grown(1000),
        runtime=grown("10m"),
    params:
        code=code_of("hearsay.paper.egru_figure3"),
    shell:
        "python -m hearsay.step hearsay.paper.egru_figure3 --speed {input.speed:q}"
        " --record {input.record:q} --svg {output.svg:q} --png {output.png:q}"
        " --run {output.run:q} 2> {log:q}"
