"""Facts in which two runs of one name differ: settings, seed, code, commit, data."""

from pathlib import PurePath
from typing import Any

from hearsay.lineage import Lineage, Record

Values = tuple[Any, Any]  # of a and of b; None where one has no such fact
PLAIN = ("seed", "code", "commit")


def unlike_runs(a: Lineage, b: Lineage) -> dict[str, dict[str, Values]]:
    """Facts with both values, of each run record that both results have and that differs.

    Facts are ``seed``, ``code``, ``commit``, ``settings.KEY`` and ``data: PATH`` (SHA-256), by the
    record's path within the results.
    """
    records = [
        {path.relative_to(one.results).as_posix(): record for path, record in one.records.items()}
        for one in (a, b)
    ]
    both = sorted(records[0].keys() & records[1].keys())
    found = {name: _unlike(records[0][name], records[1][name], a.named, b.named) for name in both}
    return {name: facts for name, facts in found.items() if facts}


def _unlike(a: Record, b: Record, in_a: PurePath, in_b: PurePath) -> dict[str, Values]:
    left, right = a.content, b.content
    found = {fact: (left[fact], right[fact]) for fact in PLAIN if left[fact] != right[fact]}
    found |= _unlike_values(left["settings"], right["settings"], "settings")
    # The same data under other names are the same data, unless the names are exchanged.
    same = sorted(a.inputs.values()) == sorted(b.inputs.values())
    data = (_inputs(a, in_a), _inputs(b, in_b))
    for path in sorted(data[0].keys() | data[1].keys()):
        pair = (data[0].get(path), data[1].get(path))
        if pair[0] != pair[1] and not (same and None in pair):
            found[f"data: {path}"] = pair
    return found


def _inputs(record: Record, results: PurePath) -> dict[str, str]:
    """Checksums by path, of what lies in the results by the path within them."""
    found = {}
    for path, checksum in record.inputs.items():
        file = PurePath(path)
        inside = file.is_relative_to(results)
        found[str(file.relative_to(results)) if inside else path] = checksum
    return found


def _unlike_values(a: Any, b: Any, path: str) -> dict[str, Values]:
    if not (isinstance(a, dict) and isinstance(b, dict)):
        return {} if a == b else {path: (a, b)}
    found: dict[str, Values] = {}
    for key in sorted(a.keys() | b.keys()):
        found |= _unlike_values(a.get(key), b.get(key), f"{path}.{key}")
    return found


def run_lines(runs: dict[str, dict[str, Values]], limit: int) -> list[str]:
    """For a terminal: by fact, the most frequent first, at most `limit` runs with both values."""
    by_fact: dict[str, list[str]] = {}
    names: dict[str, set[str]] = {}
    for name, facts in runs.items():
        for fact, (a, b) in facts.items():
            kind, _, path = fact.partition(": ")
            told = f"  {name}: {path}: " if path else f"  {name}: "
            by_fact.setdefault(kind, []).append(f"{told}{_short(a)} | {_short(b)}")
            names.setdefault(kind, set()).add(name)
    lines = []
    for kind in sorted(by_fact, key=lambda one: -len(names[one])):
        lines.append(f"runs that differ in {kind}: {len(names[kind])}")
        lines += by_fact[kind][:limit]
        if len(by_fact[kind]) > limit:
            lines.append(f"  and {len(by_fact[kind]) - limit} more (--limit)")
    return lines


def _short(value: Any) -> str:
    if value is None:
        return "none"
    text = str(value)
    if len(text) in (40, 64) and set(text) <= set("0123456789abcdef"):
        return text[:12]  # a commit or a checksum
    return text if len(text) <= 80 else f"{text[:77]}…"
