"""The scheduler's timers do not pile up."""

import subprocess
import sys
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
JOBS = 60
# Each job counts the threads of the Snakemake that started it.
SNAKEFILE = f"""
rule all:
    input:
        expand("threads/{{number}}", number=range({JOBS}))
rule one:
    output: "threads/{{number}}"
    shell: "sleep 0.2; ls /proc/$PPID/task | wc -l > {{output}}"
"""


def threads(folder, head):
    folder.mkdir()
    (folder / "Snakefile").write_text(head + SNAKEFILE)
    done = subprocess.run(
        [sys.executable, "-m", "snakemake", "--cores", "4", "--quiet"],
        cwd=folder,
        capture_output=True,
        text=True,
        timeout=900,
    )
    assert done.returncode == 0, done.stderr
    return max(int(path.read_text()) for path in (folder / "threads").iterdir())


def test_one_timer_at_a_time(tmp_path):
    """Many of them are Snakemake's own fault: where this fails, the workaround may go."""
    rules = ROOT / "workflow" / "rules" / "scheduling.smk"
    assert '"scheduling ' in (ROOT / "Snakefile").read_text()
    many = threads(tmp_path / "without", "")
    few = threads(tmp_path / "with", f'include: "{rules}"\n')
    assert many > JOBS / 2
    assert few < 15
