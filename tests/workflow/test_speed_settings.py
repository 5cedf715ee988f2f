"""Settings that only make a step faster are in no rule's params: what is there stays."""

import re

import yaml

FASTER = {
    "asr": {"workers": 3},
    "slu": {"workers": 3},
    "fmri_datasets": {"simulated": {"jobs": 7}},
}


def test_processes_that_read_and_fetch_rerun_nothing(origin, snakemake, tmp_path):
    (tmp_path / "faster.yaml").write_text(yaml.safe_dump(FASTER))
    asked = []
    for more in ([], [tmp_path / "faster.yaml"]):
        plan = ["--dry-run", "--printshellcmds", "--nolock", "--cores", "1"]
        done = snakemake(origin, *plan, "--configfile", "config/demo.yaml", *more)
        assert done.status == 0, done.text
        commands = re.findall(r"^Shell command: (.*)$", done.text, re.M)
        # The page names the files of configuration.
        asked.append(sorted(one for one in commands if "hearsay.paper.page" not in one))
    before, after = asked
    # Commands but for these options are the params.
    given = re.compile(r" --(workers|jobs) \d+")
    assert [given.sub("", one) for one in after] == [given.sub("", one) for one in before]
    assert "--workers 0 " in " ".join(before)
    assert "--workers 3 " in " ".join(after)
    assert "--jobs 7 " in " ".join(after)
