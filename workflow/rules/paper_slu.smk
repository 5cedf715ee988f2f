"""Tables and figures of the WaBERT paper: cheap steps that read scores and states."""

WABERT_TABLES = {
    **(
        {
            "wabert_table1": ("Table 1", "Errors of word boundaries"),
            "wabert_table2": ("Table 2", "Word boundaries within tolerances"),
        }
        if ALIGNERS
        else {}
    ),
    **({"wabert_table3": ("Table 3", "Sentiment")} if SENTIMENT else {}),
    **({"wabert_table4": ("Table 4", "Word pieces heard")} if shown_states() else {}),
}
WABERT_FIGURES = (
    {
        "wabert_figure2": ("Figure 2", "Similarity of speech and text"),
        "wabert_figure4": ("Figure 4", "Distributions of speech and text"),
    }
    if shown_states()
    else {}
)


rule wabert_table1:
    input:
        scores=SLU_SCORES[:1] if ALIGNED and JUDGED else [],
    output:
        csv=report(
            "<results>/tables/wabert_table1.csv",
            caption="../report/wabert_table1.rst",
            category="WaBERT",
            labels={"table": "1"},
        ),
        markdown="<results>/tables/wabert_table1.md",
        tex="<results>/tables/wabert_table1.tex",
        json="<results>/tables/wabert_table1.json",
        run="<results>/tables/wabert_table1.run.json",
    log:
        "<logs>/tables/wabert_table1.log",
    benchmark:
        "<benchmarks>/tables/wabert_table1.tsv"
    conda:
        "../../envs/environment.yaml"
    resources:
        mem_mb=grown(1000),
        runtime=grown("10m"),
    params:
        step="hearsay.paper.wabert_table1",
        rows=wabert_rows(ALIGNERS, JUDGED, unjudged()),
        parts=[f"--part={part.name}" for part in JUDGED or TIMED_PARTS] or ["--part=none"],
        scores=lambda w, input: [f"--scores={path}" for path in input.scores],
        code=code_of("hearsay.paper.wabert_table1", PUBLISHED_WABERT),
    shell:
        "python -m hearsay.step {params.step:q} --rows {params.rows:q} {params.parts:q}"
        " {params.scores:q} --csv {output.csv:q} --markdown {output.markdown:q}"
        " --tex {output.tex:q} --json {output.json:q} --run {output.run:q} 2> {log:q}"


use rule wabert_table1 as wabert_table2 with:
    output:
        csv=report(
            "<results>/tables/wabert_table2.csv",
            caption="../report/wabert_table2.rst",
            category="WaBERT",
            labels={"table": "2"},
        ),
        markdown="<results>/tables/wabert_table2.md",
        tex="<results>/tables/wabert_table2.tex",
        json="<results>/tables/wabert_table2.json",
        run="<results>/tables/wabert_table2.run.json",
    log:
        "<logs>/tables/wabert_table2.log",
    benchmark:
        "<benchmarks>/tables/wabert_table2.tsv"
    params:
        step="hearsay.paper.wabert_table2",
        rows=wabert_rows(ALIGNERS, JUDGED, unjudged()),
        parts=[f"--part={part.name}" for part in JUDGED or TIMED_PARTS] or ["--part=none"],
        scores=lambda w, input: [f"--scores={path}" for path in input.scores],
        code=code_of("hearsay.paper.wabert_table2", PUBLISHED_WABERT),


use rule wabert_table1 as wabert_table3 with:
    input:
        scores="<results>/slu/sentiment.csv" if CLASSIFIED else [],
    output:
        csv=report(
            "<results>/tables/wabert_table3.csv",
            caption="../report/wabert_table3.rst",
            category="WaBERT",
            labels={"table": "3"},
        ),
        markdown="<results>/tables/wabert_table3.md",
        tex="<results>/tables/wabert_table3.tex",
        json="<results>/tables/wabert_table3.json",
        run="<results>/tables/wabert_table3.run.json",
    log:
        "<logs>/tables/wabert_table3.log",
    benchmark:
        "<benchmarks>/tables/wabert_table3.tsv"
    params:
        step="hearsay.paper.wabert_table3",
        rows=wabert_rows(SENTIMENT, [sentiment_part()]) if SENTIMENT else "[]",
        parts=[f"--part={sentiment_part().name}"] if SENTIMENT else [],
        scores=lambda w, input: [f"--scores={path}" for path in [input.scores] if path],
        code=code_of("hearsay.paper.wabert_table3", PUBLISHED_WABERT),


rule wabert_table4:
    input:
        states=[path for _, path in shown_states()[-1:]],
        # States hold no run's id, which the rows of the table give.
        record=[path.replace(".npz", ".run.json") for _, path in shown_states()[-1:]],
    output:
        csv=report(
            "<results>/tables/wabert_table4.csv",
            caption="../report/wabert_table4.rst",
            category="WaBERT",
            labels={"table": "4"},
        ),
        markdown="<results>/tables/wabert_table4.md",
        tex="<results>/tables/wabert_table4.tex",
        json="<results>/tables/wabert_table4.json",
        run="<results>/tables/wabert_table4.run.json",
    log:
        "<logs>/tables/wabert_table4.log",
    benchmark:
        "<benchmarks>/tables/wabert_table4.tsv"
    conda:
        "../../envs/environment.yaml"
    resources:
        mem_mb=grown(1000),
        runtime=grown("10m"),
    params:
        states=lambda w, input: f"{shown_states()[-1][0]}={input.states}",
        utterances=json.dumps(settings.slu.shown),
        code=code_of("hearsay.paper.wabert_table4", PUBLISHED_WABERT),
    shell:
        "python -m hearsay.step hearsay.paper.wabert_table4 --states {params.states:q}"
        " --utterances {params.utterances:q} --csv {output.csv:q} --markdown {output.markdown:q}"
        " --tex {output.tex:q} --json {output.json:q} --run {output.run:q} 2> {log:q}"


rule wabert_figure2:
    input:
        states=[path for _, path in shown_states()],
    output:
        svg=report(
            "<results>/figures/wabert_figure2.svg",
            caption="../report/wabert_figure2.rst",
            category="WaBERT",
            labels={"figure": "2"},
        ),
        png="<results>/figures/wabert_figure2.png",
        run="<results>/figures/wabert_figure2.run.json",
    log:
        "<logs>/figures/wabert_figure2.log",
    benchmark:
        "<benchmarks>/figures/wabert_figure2.tsv"
    conda:
        "../../envs/environment.yaml"
    resources:
        mem_mb=grown(1000),
        runtime=grown("10m"),
    params:
        step="hearsay.paper.wabert_figure2",
        states=lambda w, input: [
            f"--states={run}={path}" for (run, _), path in zip(shown_states(), input.states)
        ],
        shown=[f"--utterance={name}" for name in settings.slu.shown[:1]],
        code=code_of("hearsay.paper.wabert_figure2"),
    shell:
        "python -m hearsay.step {params.step:q} {params.states:q} {params.shown:q}"
        " --svg {output.svg:q} --png {output.png:q} --run {output.run:q} 2> {log:q}"


use rule wabert_figure2 as wabert_figure4 with:
    output:
        svg=report(
            "<results>/figures/wabert_figure4.svg",
            caption="../report/wabert_figure4.rst",
            category="WaBERT",
            labels={"figure": "4"},
        ),
        png="<results>/figures/wabert_figure4.png",
        run="<results>/figures/wabert_figure4.run.json",
    log:
        "<logs>/figures/wabert_figure4.log",
    benchmark:
        "<benchmarks>/figures/wabert_figure4.tsv"
    params:
        step="hearsay.paper.wabert_figure4",
        states=lambda w, input: [
            f"--states={run}={path}" for (run, _), path in zip(shown_states(), input.states)
        ],
        shown=[],
        code=code_of("hearsay.paper.wabert_figure4"),
