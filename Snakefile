"""hearsay: from raw public data to the tables of five papers. How to run it: README.md."""

from snakemake.utils import min_version

min_version("9.27")


configfile: workflow.source_path("config/config.yaml")


COMMON = (
    "common common_models common_brain common_speech common_lm common_asr common_slu common_audit"
)
PARTS = "corpora text speech models brain lm asr slu sentiment spectral audit"
PAPERS = "paper_bpgpt paper_egru paper_asr paper_slu paper_capacity paper_audit"
SHOWN = "common_wabert common_published common_audit common_page"
for part in f"scheduling {COMMON} {SHOWN} step_server checks {PARTS} {PAPERS} page".split():

    include: f"workflow/rules/{part}.smk"


rule data:
    input:
        [weights_of(model) for model in AUDITED],
        expand("<results>/brain/{subject}/present.tsv", subject=settings.brain.subjects),
        expand("<results>/lm/{corpus}/tokens.npz", corpus=lm_corpora()),
        [manifest_of(part) for part in [*asr_all_parts(), *slu_all_parts()]],


rule brain:
    input:
        expand("<results>/brain/{subject}/scores.csv", subject=settings.brain.subjects),


rule lm:
    input:
        expand("<results>/lm/{corpus}/scores.csv", corpus=lm_corpora()),


rule asr:
    input:
        expand("<results>/asr/{language}/scores.csv", language=ASR_LANGUAGES),


rule slu:
    input:
        SLU_SCORES,


rule spectral:
    input:
        "<results>/spectral/summary.csv",


rule tables:
    input:
        expand("<results>/tables/{name}.csv", name=TABLES),


rule figures:
    input:
        expand("<results>/figures/{name}.svg", name=FIGURES),


rule all:
    default_target: True
    input:
        rules.page.output,
        rules.brain.input,
        rules.lm.input,
        rules.asr.input,
        rules.slu.input,
        rules.spectral.input,
        rules.tables.input,
        rules.figures.input,


check_profiles()
