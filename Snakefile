"""hearsay: from raw public data to the tables of five papers. How to run it: README.md."""

from snakemake.utils import min_version

min_version("9.27")


configfile: workflow.source_path("config/config.yaml")


include: "workflow/rules/common.smk"
include: "workflow/rules/corpora.smk"
include: "workflow/rules/models.smk"
include: "workflow/rules/brain.smk"
include: "workflow/rules/spectral.smk"
include: "workflow/rules/paper.smk"


report: "workflow/report/workflow.rst"


rule data:
    input:
        [weights_of(model) for model in AUDITED],
        expand("<results>/brain/{subject}/present.tsv", subject=settings.brain.subjects),


rule brain:
    input:
        expand("<results>/brain/{subject}/scores.csv", subject=settings.brain.subjects),


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
        rules.spectral.input,
        rules.tables.input,
        rules.figures.input,


check_profiles()
