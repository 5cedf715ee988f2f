"""Tables and figure of BP-GPT: cheap steps that read scores and decoded stories."""

EXAMPLES = shown_setting()

BPGPT_TABLES = {
    "bpgpt_table1": ("Table I", "Text prompt performance"),
    "bpgpt_table2": ("Table II", "fMRI decoding against existing work and controls"),
    "bpgpt_table3": ("Table III", "Ablation: contrastive learning"),
    "bpgpt_table4": ("Table IV", "Ablation: inference strategy"),
    "bpgpt_figure2": ("Figure 2", "Ground truth and decoded text"),
}
if not settings.brain.subjects:
    BPGPT_TABLES = {}


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
