"""Tables and figures of the QuartzNet transfer paper: cheap steps that read scores and histories."""

ASR_TITLES = {
    "3": "Fine-tuning on Singapore English",
    "4": "Fine-tuning on two parts of the Singapore corpus",
    "5": "Fine-tuning on African American speech",
    "6": "Transfer to German, Spanish and Russian",
}
ASR_TABLES = {
    f"asr_table{number}": (f"Table {number}", title)
    for number, title in ASR_TITLES.items()
    if number in ASR_TABLE_NUMBERS
}
ASR_FIGURES = {
    f"asr_figure{number}": (f"Figure {number}", title)
    for number, title in {
        "2": "Training loss from scratch and with fine-tuning",
        "3": "Relative accuracy over training",
    }.items()
    if asr_histories(number)
}


rule asr_table3:
    input:
        scores=asr_scores("3"),
    output:
        csv=report(
            "<results>/tables/asr_table3.csv",
            caption="../report/asr_table3.rst",
            category="QuartzNet transfer",
            labels={"table": "3"},
        ),
        markdown="<results>/tables/asr_table3.md",
        tex="<results>/tables/asr_table3.tex",
        json="<results>/tables/asr_table3.json",
        run="<results>/tables/asr_table3.run.json",
    log:
        "<logs>/tables/asr_table3.log",
    benchmark:
        "<benchmarks>/tables/asr_table3.tsv"
    conda:
        "../../envs/environment.yaml"
    resources:
        mem_mb=grown(1000),
        runtime=grown("10m"),
    params:
        step="hearsay.paper.asr_table3",
        rows=asr_rows("3"),
        columns=asr_columns("3"),
        scores=lambda w, input: [
            f"--scores={language}={path}"
            for language, path in zip(asr_languages("3"), input.scores)
        ],
        code=code_of("hearsay.paper.asr_table3", PUBLISHED_ASR),
    shell:
        "python -m hearsay.step {params.step:q} --rows {params.rows:q} --columns {params.columns:q}"
        " {params.scores:q} --csv {output.csv:q} --markdown {output.markdown:q}"
        " --tex {output.tex:q} --json {output.json:q} --run {output.run:q} 2> {log:q}"


use rule asr_table3 as asr_table4 with:
    input:
        scores=asr_scores("4"),
    output:
        csv=report(
            "<results>/tables/asr_table4.csv",
            caption="../report/asr_table4.rst",
            category="QuartzNet transfer",
            labels={"table": "4"},
        ),
        markdown="<results>/tables/asr_table4.md",
        tex="<results>/tables/asr_table4.tex",
        json="<results>/tables/asr_table4.json",
        run="<results>/tables/asr_table4.run.json",
    log:
        "<logs>/tables/asr_table4.log",
    benchmark:
        "<benchmarks>/tables/asr_table4.tsv"
    params:
        step="hearsay.paper.asr_table4",
        rows=asr_rows("4"),
        columns=asr_columns("4"),
        scores=lambda w, input: [
            f"--scores={language}={path}"
            for language, path in zip(asr_languages("4"), input.scores)
        ],
        code=code_of("hearsay.paper.asr_table4", PUBLISHED_ASR),


use rule asr_table3 as asr_table5 with:
    input:
        scores=asr_scores("5"),
    output:
        csv=report(
            "<results>/tables/asr_table5.csv",
            caption="../report/asr_table5.rst",
            category="QuartzNet transfer",
            labels={"table": "5"},
        ),
        markdown="<results>/tables/asr_table5.md",
        tex="<results>/tables/asr_table5.tex",
        json="<results>/tables/asr_table5.json",
        run="<results>/tables/asr_table5.run.json",
    log:
        "<logs>/tables/asr_table5.log",
    benchmark:
        "<benchmarks>/tables/asr_table5.tsv"
    params:
        step="hearsay.paper.asr_table5",
        rows=asr_rows("5"),
        columns=asr_columns("5"),
        scores=lambda w, input: [
            f"--scores={language}={path}"
            for language, path in zip(asr_languages("5"), input.scores)
        ],
        code=code_of("hearsay.paper.asr_table5", PUBLISHED_ASR),


use rule asr_table3 as asr_table6 with:
    input:
        scores=asr_scores("6"),
    output:
        csv=report(
            "<results>/tables/asr_table6.csv",
            caption="../report/asr_table6.rst",
            category="QuartzNet transfer",
            labels={"table": "6"},
        ),
        markdown="<results>/tables/asr_table6.md",
        tex="<results>/tables/asr_table6.tex",
        json="<results>/tables/asr_table6.json",
        run="<results>/tables/asr_table6.run.json",
    log:
        "<logs>/tables/asr_table6.log",
    benchmark:
        "<benchmarks>/tables/asr_table6.tsv"
    params:
        step="hearsay.paper.asr_table6",
        rows=asr_rows("6"),
        columns=asr_columns("6"),
        scores=lambda w, input: [
            f"--scores={language}={path}"
            for language, path in zip(asr_languages("6"), input.scores)
        ],
        code=code_of("hearsay.paper.asr_table6", PUBLISHED_ASR),


rule asr_figure2:
    input:
        histories=[path for _, path in asr_histories("2")],
    output:
        svg=report(
            "<results>/figures/asr_figure2.svg",
            caption="../report/asr_figure2.rst",
            category="QuartzNet transfer",
            labels={"figure": "2"},
        ),
        png="<results>/figures/asr_figure2.png",
        run="<results>/figures/asr_figure2.run.json",
    log:
        "<logs>/figures/asr_figure2.log",
    benchmark:
        "<benchmarks>/figures/asr_figure2.tsv"
    conda:
        "../../envs/environment.yaml"
    resources:
        mem_mb=grown(1000),
        runtime=grown("10m"),
    params:
        step="hearsay.paper.asr_figure2",
        histories=lambda w, input: [
            f"--history={name}={path}"
            for (name, _), path in zip(asr_histories("2"), input.histories)
        ],
        code=code_of("hearsay.paper.asr_figure2"),
    shell:
        "python -m hearsay.step {params.step:q} {params.histories:q} --svg {output.svg:q}"
        " --png {output.png:q} --run {output.run:q} 2> {log:q}"


use rule asr_figure2 as asr_figure3 with:
    input:
        histories=[path for _, path in asr_histories("3")],
    output:
        svg=report(
            "<results>/figures/asr_figure3.svg",
            caption="../report/asr_figure3.rst",
            category="QuartzNet transfer",
            labels={"figure": "3"},
        ),
        png="<results>/figures/asr_figure3.png",
        run="<results>/figures/asr_figure3.run.json",
    log:
        "<logs>/figures/asr_figure3.log",
    benchmark:
        "<benchmarks>/figures/asr_figure3.tsv"
    params:
        step="hearsay.paper.asr_figure3",
        histories=lambda w, input: [
            f"--history={name}={path}"
            for (name, _), path in zip(asr_histories("3"), input.histories)
        ],
        code=code_of("hearsay.paper.asr_figure3"),
