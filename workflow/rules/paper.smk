"""Tables, figures and the result page: cheap steps that read scores, audits and run records."""


report: "../report/workflow.rst"


# Files of the repository enter by content (code_of), not as input: a fresh clone makes them new.
PUBLISHED = "resources/published/capacity.csv"
PUBLISHED_BPGPT = "resources/published/bpgpt.csv"
EXAMPLES = shown_setting()
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
BPGPT_TABLES = {
    "bpgpt_table1": ("Table I", "Text prompt performance"),
    "bpgpt_table2": ("Table II", "fMRI decoding against existing work and controls"),
    "bpgpt_table3": ("Table III", "Ablation: contrastive learning"),
    "bpgpt_table4": ("Table IV", "Ablation: inference strategy"),
    "bpgpt_figure2": ("Figure 2", "Ground truth and decoded text"),
}
if not settings.brain.subjects:
    BPGPT_TABLES = {}
TABLES = CAPACITY_TABLES | BPGPT_TABLES | EGRU_TABLES | ASR_TABLES | WABERT_TABLES | AUDIT_TABLES
FIGURES = CAPACITY_FIGURES | EGRU_FIGURES | ASR_FIGURES | WABERT_FIGURES | AUDIT_FIGURES


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
        code=code_of("hearsay.paper.capacity_table1", PUBLISHED),
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
        code=code_of("hearsay.paper.capacity_table2", PUBLISHED),


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
        code=code_of("hearsay.paper.capacity_figure1", PUBLISHED),
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
        code=code_of("hearsay.paper.capacity_figure2", PUBLISHED),
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
        code=code_of("hearsay.paper.capacity_figure3", PUBLISHED),


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


rule bpgpt_table1:
    input:
        scores=expand("<results>/brain/{subject}/scores.csv", subject=settings.brain.subjects),
    output:
        csv=report(
            "<results>/tables/bpgpt_table1.csv",
            caption="../report/bpgpt_table1.rst",
            category="BP-GPT",
            labels={"table": "I"},
        ),
        markdown="<results>/tables/bpgpt_table1.md",
        tex="<results>/tables/bpgpt_table1.tex",
        json="<results>/tables/bpgpt_table1.json",
        run="<results>/tables/bpgpt_table1.run.json",
    log:
        "<logs>/tables/bpgpt_table1.log",
    benchmark:
        "<benchmarks>/tables/bpgpt_table1.tsv"
    conda:
        "../../envs/environment.yaml"
    resources:
        mem_mb=grown(1000),
        runtime=grown("10m"),
    params:
        step="hearsay.paper.bpgpt_table1",
        subjects=json.dumps(settings.brain.subjects),
        scores=lambda w, input: [f"--scores={path}" for path in input.scores],
        code=code_of("hearsay.paper.bpgpt_table1", PUBLISHED_BPGPT),
    shell:
        "python -m hearsay.step {params.step:q} {params.scores:q} --subjects {params.subjects:q}"
        " --csv {output.csv:q} --markdown {output.markdown:q} --tex {output.tex:q}"
        " --json {output.json:q} --run {output.run:q} 2> {log:q}"


use rule bpgpt_table1 as bpgpt_table2 with:
    output:
        csv=report(
            "<results>/tables/bpgpt_table2.csv",
            caption="../report/bpgpt_table2.rst",
            category="BP-GPT",
            labels={"table": "II"},
        ),
        markdown="<results>/tables/bpgpt_table2.md",
        tex="<results>/tables/bpgpt_table2.tex",
        json="<results>/tables/bpgpt_table2.json",
        run="<results>/tables/bpgpt_table2.run.json",
    log:
        "<logs>/tables/bpgpt_table2.log",
    benchmark:
        "<benchmarks>/tables/bpgpt_table2.tsv"
    params:
        step="hearsay.paper.bpgpt_table2",
        subjects=json.dumps(settings.brain.subjects),
        scores=lambda w, input: [f"--scores={path}" for path in input.scores],
        code=code_of("hearsay.paper.bpgpt_table2", PUBLISHED_BPGPT),


use rule bpgpt_table1 as bpgpt_table3 with:
    output:
        csv=report(
            "<results>/tables/bpgpt_table3.csv",
            caption="../report/bpgpt_table3.rst",
            category="BP-GPT",
            labels={"table": "III"},
        ),
        markdown="<results>/tables/bpgpt_table3.md",
        tex="<results>/tables/bpgpt_table3.tex",
        json="<results>/tables/bpgpt_table3.json",
        run="<results>/tables/bpgpt_table3.run.json",
    log:
        "<logs>/tables/bpgpt_table3.log",
    benchmark:
        "<benchmarks>/tables/bpgpt_table3.tsv"
    params:
        step="hearsay.paper.bpgpt_table3",
        subjects=json.dumps(settings.brain.subjects),
        scores=lambda w, input: [f"--scores={path}" for path in input.scores],
        code=code_of("hearsay.paper.bpgpt_table3", PUBLISHED_BPGPT),


use rule bpgpt_table1 as bpgpt_table4 with:
    output:
        csv=report(
            "<results>/tables/bpgpt_table4.csv",
            caption="../report/bpgpt_table4.rst",
            category="BP-GPT",
            labels={"table": "IV"},
        ),
        markdown="<results>/tables/bpgpt_table4.md",
        tex="<results>/tables/bpgpt_table4.tex",
        json="<results>/tables/bpgpt_table4.json",
        run="<results>/tables/bpgpt_table4.run.json",
    log:
        "<logs>/tables/bpgpt_table4.log",
    benchmark:
        "<benchmarks>/tables/bpgpt_table4.tsv"
    params:
        step="hearsay.paper.bpgpt_table4",
        subjects=json.dumps(settings.brain.subjects),
        scores=lambda w, input: [f"--scores={path}" for path in input.scores],
        code=code_of("hearsay.paper.bpgpt_table4", PUBLISHED_BPGPT),


rule bpgpt_figure2:
    input:
        decoded=expand(
            f"<results>/brain/{{subject}}/{EXAMPLES}/decoded.csv", subject=settings.brain.subjects
        ),
        # Texts hold no run's id, which the rows of the table give.
        records=expand(
            f"<results>/brain/{{subject}}/{EXAMPLES}/decoded.run.json",
            subject=settings.brain.subjects,
        ),
    output:
        csv=report(
            "<results>/tables/bpgpt_figure2.csv",
            caption="../report/bpgpt_figure2.rst",
            category="BP-GPT",
            labels={"figure": "2"},
        ),
        markdown="<results>/tables/bpgpt_figure2.md",
        tex="<results>/tables/bpgpt_figure2.tex",
        json="<results>/tables/bpgpt_figure2.json",
        run="<results>/tables/bpgpt_figure2.run.json",
    log:
        "<logs>/tables/bpgpt_figure2.log",
    benchmark:
        "<benchmarks>/tables/bpgpt_figure2.tsv"
    conda:
        "../../envs/environment.yaml"
    resources:
        mem_mb=grown(1000),
        runtime=grown("10m"),
    params:
        decoded=lambda w, input: [
            f"--decoded={subject}={path}"
            for subject, path in zip(settings.brain.subjects, input.decoded)
        ],
        code=code_of("hearsay.paper.bpgpt_figure2"),
    shell:
        "python -m hearsay.step hearsay.paper.bpgpt_figure2 {params.decoded:q}"
        " --csv {output.csv:q} --markdown {output.markdown:q} --tex {output.tex:q}"
        " --json {output.json:q} --run {output.run:q} 2> {log:q}"


rule page:
    input:
        tables=expand(
            "<results>/tables/{name}.{kind}",
            name=TABLES,
            kind=["json", "csv", "md", "tex", "run.json"],
        ),
        figures=expand(
            "<results>/figures/{name}.{kind}", name=FIGURES, kind=["svg", "png", "run.json"]
        ),
        records=[
            *expand("<results>/spectral/{model}.run.json", model=["summary", *AUDITED]),
            *expand("<results>/models/{model}.run.json", model=MEASURED),
            *expand("<resources>/models/{model}.run.json", model=FETCHED),
            *[record for subject in settings.brain.subjects for record in brain_records(subject)],
            *expand("<results>/lm/{corpus}/tokens.run.json", corpus=EGRU_MEASURED),
            *lm_outputs("training.run.json", *EGRU_MEASURED),
            *lm_outputs("scores.run.json", *EGRU_MEASURED),
            *expand("<results>/lm/{corpus}/scores.run.json", corpus=EGRU_MEASURED),
            *(["<results>/lm/event_speed.run.json"] if EGRU_TABLES else []),
            *dict.fromkeys([*asr_records(), *slu_records(), *audit_files("run.json")]),
        ],
        clips=[
            path
            for examples in spoken_examples().values()
            for part, heard in examples
            for path in [manifest_of(part), *audio_of([part]), *(path for _, path in heard)]
        ],
        usage=usage_report(),
    output:
        "<results>/index.html",
    log:
        "<logs>/page.log",
    benchmark:
        "<benchmarks>/page.tsv"
    conda:
        "../../envs/environment.yaml"
    resources:
        mem_mb=grown(1000),
        runtime=grown("10m"),
    params:
        manifest=lambda w, input, output: page_manifest(
            os.path.dirname(output[0]), list(input.records), input.usage
        ),
        code=code_of(
            "hearsay.paper.page",
            "workflow/hearsay/paper/page.html",
            "workflow/hearsay/paper/page.css",
            "workflow/hearsay/paper/page.js",
            "workflow/report/workflow.rst",
            "workflow/report/bpgpt.rst",
            "workflow/report/capacity.rst",
            "workflow/report/asr.rst",
            "workflow/report/wabert.rst",
            "workflow/report/egru.rst",
            "workflow/report/audit.rst",
            *[f"workflow/report/{name}.rst" for name in [*TABLES, *FIGURES]],
        ),
    shell:
        "python -m hearsay.step hearsay.paper.page --manifest {params.manifest:q}"
        " --out {output:q} 2> {log:q}"
