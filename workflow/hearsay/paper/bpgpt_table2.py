"""Table II of the BP-GPT paper: decoding from fMRI against Tang et al., and against controls.

The paper compares with published values of Tang et al.; here every subject's controls stand below
it, under both protocols: fMRI shuffled in time, zero, or noise, a model that was trained on noise,
and the language model alone.
"""

from hearsay.paper.bpgpt import Measurements
from hearsay.paper.bpgpt_claims import Claim, controls_finding
from hearsay.paper.bpgpt_command import PaperTable, table_command
from hearsay.paper.bpgpt_rows import Block
from hearsay.paper.claims import Finding
from hearsay.paper.command import run_command

STEP = "hearsay.paper.bpgpt_table2"

SETTINGS = {"bpgpt": "BP-GPT", "best": "Preset best", "public-code": "Preset public-code"}
PROTOCOLS = ["bp-gpt", "tang"]
NAMES = {"bpgpt": "BP-GPT", "tang": "Tang", "tang-rerun": "the third-party run"}
TABLE_NOTES = [
    "p is the largest over all controls and, under protocol bp-gpt, over windows shifted in time: "
    "it is small only where every one of them is beaten.",
    "Protocol bp-gpt: windows of 20 s side by side. Protocol tang: a window of 20 s each second, "
    "BERTScore weighted by inverse document frequency. Scores under different protocols do not "
    "compare.",
    "Rows of Tang et al. are published values, no setting of ours. The third-party run used other "
    "decoders than ours, its own document frequencies, and other versions of the measures.",
]


def _measured_blocks(protocol: str) -> list[Block]:
    compared = "bpgpt" if protocol == "bp-gpt" else ""  # the paper's row was scored like this one
    return [
        Block(
            f"{name}, protocol {protocol}",
            setting,
            protocol=protocol,
            published=compared if setting == "bpgpt" else "",
            optional=setting != "bpgpt" or protocol != "bp-gpt",
            controls=setting == "bpgpt",
        )
        for setting, name in SETTINGS.items()
    ]


def against_controls(measurements: Measurements) -> list[Finding]:
    """For each subject, whether its decoding beats every control."""
    found = {
        subject: controls_finding(subject, SETTINGS, measurements, PROTOCOLS)
        for subject in measurements.subjects
    }
    return [told.about(subject) for subject, told in found.items() if told.text]


TABLE = PaperTable(
    "II",
    [
        Block("Tang et al., as in the paper", published="tang"),
        *_measured_blocks("bp-gpt"),
        Block("Tang et al., run again by a third party", published="tang-rerun"),
        Block("Its language model alone", published="tang-rerun-null"),
        *_measured_blocks("tang"),
    ],
    [
        Claim(
            "BP-GPT has a higher METEOR and BERTScore than Tang et al.",
            [("bpgpt", "tang")],
            NAMES,
            ("meteor", "bertscore"),
        ),
        Claim(
            "The same against the third-party run of Tang et al., under protocol tang",
            [("bpgpt", "tang-rerun")],
            NAMES,
            ("meteor", "bertscore"),
            protocol="tang",
            in_paper=False,
        ),
    ],
    TABLE_NOTES,
    against_controls,
)

main = table_command(
    STEP,
    TABLE,
    "Write Table II: decoding from fMRI beside Tang et al. and the controls.",
)

if __name__ == "__main__":
    run_command(main)
