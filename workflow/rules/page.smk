"""The result page: every table and figure, and the runs behind them."""


report: "../report/workflow.rst"


TABLES = CAPACITY_TABLES | BPGPT_TABLES | EGRU_TABLES | ASR_TABLES | WABERT_TABLES | AUDIT_TABLES
FIGURES = CAPACITY_FIGURES | EGRU_FIGURES | ASR_FIGURES | WABERT_FIGURES | AUDIT_FIGURES


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
