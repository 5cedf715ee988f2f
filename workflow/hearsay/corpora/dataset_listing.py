"""The listing of a dataset, from its repository or from a manifest; no content is needed."""

import json
import re
from dataclasses import dataclass
from pathlib import Path
from typing import Any
from urllib.parse import quote

from hearsay.corpora.annex import check_present
from hearsay.corpora.keys import Entry, checksum_of
from hearsay.corpora.repository import commit_of, git, public_addresses, tree
from hearsay.errors import InputError
from hearsay.provenance import ROOT

_RESPDICT = re.compile(r"(derivatives?)/respdict\.json")
_SUBJECT = re.compile(r"(?:derivatives?/preprocessed_data/|sub-)([^/]+)/")


@dataclass(frozen=True)
class Dataset:
    """A dataset without its content: its files, and the scans (TRs) of each story's run.

    `address` is a public address with ``{path}`` and ``{version}``, or empty; `versions` are those
    that it needs.
    """

    name: str
    scans: dict[str, int]
    files: dict[str, Entry]
    address: str = ""
    versions: dict[str, str] | None = None

    @property
    def subjects(self) -> list[str]:
        """Names of all that have responses or raw scans."""
        found = {match[1] for path in self.files if (match := _SUBJECT.match(path))}
        return sorted(found)

    @property
    def derivatives(self) -> str:
        """``derivative``, or ``derivatives`` in versions after 3.1.0."""
        return next((m[1] for path in self.files if (m := _RESPDICT.fullmatch(path))), "derivative")

    def address_of(self, path: str) -> str | None:
        """Address of exactly this version of a file, if a public one is known."""
        version = (self.versions or {}).get(path)
        if not self.address or version is None:
            return None
        return self.address.format(path=quote(path), version=quote(version))


def read_dataset(source: Path | str, version: str = "HEAD") -> Dataset:
    """Read the listing of a clone or bare repository (a folder) or of a manifest (a JSON file).

    Raises
    ------
    InputError
        for a source that is neither, an unknown version, or a dataset without ``respdict.json``.
    """
    source = Path(source)
    if source.is_file():
        return _from_manifest(source)
    if not source.exists():
        raise InputError(f"{source}: no clone and no manifest there; run the rule that clones it")
    files = tree(source, commit_of(source, version))
    path = next((p for p in files if _RESPDICT.fullmatch(p)), None)
    if path is None:
        raise InputError(f"{source}: no derivative/respdict.json at {version}")
    if files[path].annexed:
        check_present(source / path)
        text = (source / path).read_text(encoding="utf-8")
    else:
        text = git(source, "show", f"{version}:{path}")
    return Dataset(source.resolve().name, json.loads(text), files)


def manifest_path(name: str | Path) -> Path:
    """A manifest as the settings name it: a path, or one of the repository's own."""
    for path in (Path(name), ROOT / name):
        if path.is_file():
            return path
    raise InputError(f"{name}: no such manifest")


def _from_manifest(file: Path) -> Dataset:
    try:
        content = json.loads(file.read_text(encoding="utf-8"))
        rows = content["files"].items()
        files = {path: Entry(path, key, size) for path, (size, _, key, _) in rows}
        versions = {path: row[3] for path, row in rows if row[3] is not None}
        return Dataset(
            content["dataset"], content["stories"], files, content["url"] or "", versions
        )
    except (ValueError, KeyError, TypeError, AttributeError, RecursionError) as error:
        raise InputError(
            f"{file}: not a manifest ({type(error).__name__}: {error}); write it with "
            "`python -m hearsay.corpora.openneuro manifest`"
        ) from None


def manifest_of(repository: Path, version: str, name: str | None = None) -> dict[str, Any]:
    """Manifest of a version: responses and TextGrids of all subjects, masks and respdict.

    Returns
    -------
    dataset, version, commit, url (with ``{path}`` and ``{version}``, or None), stories (scans of
    each) and files: path -> [bytes, MD5 or None, git-annex's key, S3 version or None].
    """
    dataset = read_dataset(repository, version)
    wanted = re.compile(
        r"derivatives?/(TextGrids/[^/]+\.TextGrid|preprocessed_data/[^/]+/[^/]+\.hf5|"
        r"pycortex-db/[^/]+/transforms/[^/]+/mask_thick\.nii\.gz|respdict\.json)"
    )
    entries = [entry for path, entry in dataset.files.items() if wanted.fullmatch(path)]
    public = public_addresses(repository, [entry for entry in entries if entry.annexed])
    bases = {
        address.removesuffix(path)
        for path, (address, _) in public.items()
        if address.endswith(path)
    }
    base = min(bases, default="")  # one bucket; a file that lies elsewhere in it gets no version
    files = {}
    for entry in entries:
        digest = checksum_of(entry.key)
        md5 = digest[1] if digest and digest[0] == "md5" else None
        address, s3_version = public.get(entry.path, ("", None))
        s3_version = s3_version if address == base + entry.path else None
        files[entry.path] = [entry.bytes, md5, entry.key, s3_version]
    return {
        "dataset": name or (base.rstrip("/").rpartition("/")[2] or dataset.name),
        "version": version,
        "commit": commit_of(repository, version),
        "url": f"{base}{{path}}?versionId={{version}}" if base else None,
        "stories": dict(sorted(dataset.scans.items())),
        "files": files,
    }
