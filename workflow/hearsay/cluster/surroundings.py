"""Disk and network as they are from the node where Snakemake runs."""

import os
import shutil
from collections.abc import Iterable
from pathlib import Path
from urllib.parse import urlsplit

from hearsay.settings import Settings
from hearsay.storage import existing_of

FEW = 20  # GB


def free_space(folders: Iterable[Path]) -> list[tuple[Path, float, bool]]:
    """For each folder, or the nearest above it that exists: GB free, and may one write there?"""
    found = []
    for folder in folders:
        place = existing_of(folder)
        found.append((folder, shutil.disk_usage(place).free / 1e9, os.access(place, os.W_OK)))
    return found


def addresses(settings: Settings) -> dict[str, str]:
    """One address of every host that downloads need, by the host's name."""
    hub = os.environ.get("HF_ENDPOINT", "https://huggingface.co")
    urls = [hub for model in settings.models.values() if model.hub]
    urls += [model.url for model in settings.models.values() if model.url]
    urls += [c.url for c in settings.text_corpora.values() if c.url]
    for corpus in settings.speech_corpora.values():
        urls += [archive.url for archive in corpus.archives.values()]
        urls += [corpus.listed.url] if corpus.listed else []
    urls += [d.source for d in settings.fmri_datasets.values() if d.source and "://" in d.source]
    found: dict[str, str] = {}
    for url in urls:
        host = urlsplit(url).netloc.rpartition("@")[2]  # never a password
        if urlsplit(url).scheme in ("http", "https"):
            found.setdefault(host, f"{urlsplit(url).scheme}://{host}")
    return found


def unreachable(hosts: dict[str, str], seconds: float = 10) -> dict[str, str]:
    """Hosts that do not answer, and why; any answer counts, and proxies are used."""
    import requests

    faults = {}
    for host, address in hosts.items():
        try:
            requests.head(address, timeout=seconds, allow_redirects=False)
        except requests.RequestException as error:
            faults[host] = type(error).__name__
    return faults
