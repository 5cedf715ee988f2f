"""What a process runs on: the checkout's commit, the versions of packages, the hardware."""

import contextlib
import importlib.metadata
import os
import platform
import socket
import subprocess
import sys
from pathlib import Path
from typing import Any

VERSIONED = [
    "hearsay",
    "numpy",
    "scipy",
    "pandas",
    "torch",
    "numba",
    "triton",
    "safetensors",
    "scikit-learn",
    "lightning-fabric",
    "matplotlib",
    "snakemake",
    "snakemake-executor-plugin-slurm",
    "huggingface-hub",
    "transformers",
    "tokenizers",
    "peft",
    "datalad",
    "git-annex",
    "nibabel",
    "h5py",
    "nltk",
    "jiwer",
    "nemo-toolkit",
    "soundfile",
    "soxr",
    "espeakng-loader",
]


def surroundings() -> dict[str, Any]:
    """Git commit, package versions and hardware of this process; imports nothing heavy."""
    return {
        "commit": git_commit(),
        "versions": {"python": platform.python_version(), **_versions()},
        "hardware": {
            "host": socket.gethostname(),
            "platform": platform.platform(),
            "cpu": _cpu_name(),
            "cores": len(os.sched_getaffinity(0))
            if hasattr(os, "sched_getaffinity")
            else os.cpu_count(),
            "gpu": _gpu_names(),
        },
    }


def git_commit() -> str:
    """Commit of the checkout this code runs from, ``-dirty`` if changed; else ``not in git``.

    The repository of another project, in which an unpacked archive or an environment lies, is not
    this code's.
    """
    if _git("ls-files", "--error-unmatch", Path(__file__).name) is None:
        return "not in git"
    return _git("describe", "--always", "--abbrev=40", "--dirty", "--exclude=*") or "not in git"


def _git(*arguments: str) -> str | None:
    """What git says in this file's folder; None where it refuses or is not there."""
    try:
        out = subprocess.run(
            ["git", "-C", str(Path(__file__).resolve().parent), *arguments],
            capture_output=True,
            text=True,
            timeout=20,
        )
    except (OSError, subprocess.TimeoutExpired):
        return None
    return out.stdout.strip() if out.returncode == 0 else None


def _versions() -> dict[str, str]:
    found = {}
    for name in VERSIONED:
        with contextlib.suppress(importlib.metadata.PackageNotFoundError):
            found[name] = importlib.metadata.version(name)
    return found


def _cpu_name() -> str:
    with contextlib.suppress(OSError):
        for line in Path("/proc/cpuinfo").read_text(encoding="utf-8").splitlines():
            if line.startswith("model name"):
                return line.partition(":")[2].strip()
    return platform.processor() or platform.machine()


def _gpu_names() -> list[str]:
    torch = sys.modules.get("torch")  # a step that never imported torch used no GPU
    if torch is None or not torch.cuda.is_available():
        return []
    return [torch.cuda.get_device_name(k) for k in range(torch.cuda.device_count())]
