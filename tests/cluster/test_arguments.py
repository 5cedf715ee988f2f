"""Profiles are found where Snakemake finds them."""

import pytest

from hearsay.cluster.arguments import profile_of
from hearsay.errors import InputError


@pytest.mark.parametrize("name", ["profile.yaml", "config.yaml", "config.v8+.yaml"])
def test_a_user_s_own_profile(tmp_path, monkeypatch, name):
    monkeypatch.setenv("XDG_CONFIG_HOME", str(tmp_path))
    folder = tmp_path / "snakemake" / "mine"
    folder.mkdir(parents=True)
    (folder / name).write_text("jobs: 7\n")
    for given in ("mine", str(folder), str(folder / name)):
        assert profile_of(["--profile", given]) == {"jobs": 7}
    with pytest.raises(InputError, match="profile 'yours': no such folder"):
        profile_of(["--profile", "yours"])


def test_the_newest_of_a_profile_s_files(tmp_path):
    for name in ("config.yaml", "config.v8+.yaml", "config.v9+.yaml"):
        (tmp_path / name).write_text(f"configfile: {name}\n")
    assert profile_of(["--profile", str(tmp_path)]) == {"configfile": "config.v9+.yaml"}
