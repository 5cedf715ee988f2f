"""Tables and figures of the capacity metrics: cheap steps that read audits and published values."""

SERIES = json.dumps([{"model": m, "series": settings.models[m].series} for m in AUDITED])
ESD = settings.spectral.esd or AUDITED[0]
PAIR = settings.spectral.pair

CAPACITY_TABLES = {
    "capacity_table1": ("Table 1", "Metrics of every model"),
    "capacity_table2": ("Table 2", "Rank correlation with accuracy"),
}
CAPACITY_FIGURES = {
    "capacity_figure1": ("Figure 1", "Exponents of all matrices"),
    "capacity_figure2": ("Figure 2", "α̂ against accuracy"),
    "capacity_figure3": ("Figure 3", "Controls against accuracy"),
    "capacity_figure4": ("Figure 4", "Two models layer by layer"),
    "capacity_esd": ("Figure 5", f"A spectrum of {ESD} and its fit"),
}
if PAIR is None:
    del CAPACITY_FIGURES["capacity_figure4"]


rule capacity_table1:
    input:
        summary="<results>/spectral/summary.csv",
    output:
        csv=report(
            "<results>/tables/capacity_table1.csv",
            caption="../report/capacity_table1.rst",
            category="Capacity metrics",
            labels={"table": "1"},
        ),
        markdown="<results>/tables/capacity_table1.md",
        tex="<results>/tables/capacity_table1.tex",
        json="<results>/tables/capacity_table1.json",
        run="<results>/tables/capacity_table1.run.json",
    log:
        "<logs>/tables/capacity_table1.log",
    benchmark:
        "<benchmarks>/tables/capacity_table1.tsv"
    conda:
        "../../envs/environment.yaml"
    resources:
        mem_mb=grown(1000),
        runtime=grown("10m"),
    params:
        step="hearsay.paper.capacity_table1",
        models=SERIES,
        code=code_of("hearsay.paper.capacity_table1", PUBLISHED_CAPACITY),
    shell:
        "python -m hearsay.step {params.step:q} --summary {input.summary:q}"
        " --models {params.models:q} --csv {output.csv:q} --markdown {output.markdown:q}"
        " --tex {output.tex:q} --json {output.json:q} --run {output.run:q} 2> {log:q}"


use rule capacity_table1 as capacity_table2 with:
    output:
        csv=report(
            "<results>/tables/capacity_table2.csv",
            caption="../report/capacity_table2.rst",
            category="Capacity metrics",
            labels={"table": "2"},
        ),
        markdown="<results>/tables/capacity_table2.md",
        tex="<results>/tables/capacity_table2.tex",
        json="<results>/tables/capacity_table2.json",
        run="<results>/tables/capacity_table2.run.json",
    log:
        "<logs>/tables/capacity_table2.log",
    benchmark:
        "<benchmarks>/tables/capacity_table2.tsv"
    params:
        step="hearsay.paper.capacity_table2",
        models=SERIES,
        code=code_of("hearsay.paper.capacity_table2", PUBLISHED_CAPACITY),


rule capacity_figure1:
    input:
        summary="<results>/spectral/summary.csv",
        audits=expand("<results>/spectral/{model}.csv", model=AUDITED),
    output:
        svg=report(
            "<results>/figures/capacity_figure1.svg",
            caption="../report/capacity_figure1.rst",
            category="Capacity metrics",
            labels={"figure": "1"},
        ),
        png="<results>/figures/capacity_figure1.png",
        run="<results>/figures/capacity_figure1.run.json",
    log:
        "<logs>/figures/capacity_figure1.log",
    benchmark:
        "<benchmarks>/figures/capacity_figure1.tsv"
    conda:
        "../../envs/environment.yaml"
    resources:
        mem_mb=grown(1000),
        runtime=grown("10m"),
    params:
        models=SERIES,
        code=code_of("hearsay.paper.capacity_figure1", PUBLISHED_CAPACITY),
    shell:
        "python -m hearsay.step hearsay.paper.capacity_figure1 --summary {input.summary:q}"
        " --models {params.models:q} --svg {output.svg:q} --png {output.png:q}"
        " --run {output.run:q} {input.audits:q} 2> {log:q}"


rule capacity_figure2:
    input:
        summary="<results>/spectral/summary.csv",
    output:
        svg=report(
            "<results>/figures/capacity_figure2.svg",
            caption="../report/capacity_figure2.rst",
            category="Capacity metrics",
            labels={"figure": "2"},
        ),
        png="<results>/figures/capacity_figure2.png",
        run="<results>/figures/capacity_figure2.run.json",
    log:
        "<logs>/figures/capacity_figure2.log",
    benchmark:
        "<benchmarks>/figures/capacity_figure2.tsv"
    conda:
        "../../envs/environment.yaml"
    resources:
        mem_mb=grown(1000),
        runtime=grown("10m"),
    params:
        step="hearsay.paper.capacity_figure2",
        models=SERIES,
        code=code_of("hearsay.paper.capacity_figure2", PUBLISHED_CAPACITY),
    shell:
        "python -m hearsay.step {params.step:q} --summary {input.summary:q}"
        " --models {params.models:q} --svg {output.svg:q} --png {output.png:q}"
        " --run {output.run:q} 2> {log:q}"


use rule capacity_figure2 as capacity_figure3 with:
    output:
        svg=report(
            "<results>/figures/capacity_figure3.svg",
            caption="../report/capacity_figure3.rst",
            category="Capacity metrics",
            labels={"figure": "3"},
        ),
        png="<results>/figures/capacity_figure3.png",
        run="<results>/figures/capacity_figure3.run.json",
    log:
        "<logs>/figures/capacity_figure3.log",
    benchmark:
        "<benchmarks>/figures/capacity_figure3.tsv"
    params:
        step="hearsay.paper.capacity_figure3",
        models=SERIES,
        code=code_of("hearsay.paper.capacity_figure3", PUBLISHED_CAPACITY),


rule capacity_figure4:
    input:
        baseline=f"<results>/spectral/{PAIR[0]}.csv" if PAIR else [],
        other=f"<results>/spectral/{PAIR[1]}.csv" if PAIR else [],
    output:
        svg=report(
            "<results>/figures/capacity_figure4.svg",
            caption="../report/capacity_figure4.rst",
            category="Capacity metrics",
            labels={"figure": "4"},
        ),
        png="<results>/figures/capacity_figure4.png",
        run="<results>/figures/capacity_figure4.run.json",
    log:
        "<logs>/figures/capacity_figure4.log",
    benchmark:
        "<benchmarks>/figures/capacity_figure4.tsv"
    conda:
        "../../envs/environment.yaml"
    resources:
        mem_mb=grown(1000),
        runtime=grown("10m"),
    params:
        code=code_of("hearsay.paper.capacity_figure4"),
    shell:
        "python -m hearsay.step hearsay.paper.capacity_figure4 --baseline {input.baseline:q}"
        " --other {input.other:q} --svg {output.svg:q} --png {output.png:q}"
        " --run {output.run:q} 2> {log:q}"


rule capacity_esd:
    input:
        audit=f"<results>/spectral/{ESD}.csv",
        eigenvalues=f"<results>/spectral/{ESD}.eigenvalues.npz",
    output:
        svg=report(
            "<results>/figures/capacity_esd.svg",
            caption="../report/capacity_esd.rst",
            category="Capacity metrics",
            labels={"figure": "esd"},
        ),
        png="<results>/figures/capacity_esd.png",
        run="<results>/figures/capacity_esd.run.json",
    log:
        "<logs>/figures/capacity_esd.log",
    benchmark:
        "<benchmarks>/figures/capacity_esd.tsv"
    conda:
        "../../envs/environment.yaml"
    resources:
        mem_mb=grown(1000),
        runtime=grown("10m"),
    params:
        code=code_of("hearsay.paper.capacity_esd"),
    shell:
        "python -m hearsay.step hearsay.paper.capacity_esd --audit {input.audit:q}"
        " --eigenvalues {input.eigenvalues:q} --svg {output.svg:q} --png {output.png:q}"
        " --run {output.run:q} 2> {log:q}"
