"""The chain of runs and files behind a run: what it read, who made that, and from what."""

import json
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from hearsay.lineage import SUFFIX, Lineage, Record, command_of

SHORT = 12  # digits of a checksum that are shown


@dataclass
class Link:
    """One file or folder of the chain.

    Attributes
    ----------
    path : as the record of its reader names it.
    state : ``"unchanged"``, ``"changed since"`` or ``"missing"``; of what was read without a
        checksum ``"here"``, ``"missing"`` or ``"elsewhere"`` (an address).
    sha256, now : recorded and, where it changed, present checksum; empty where there is none.
    record : of the run that made it; None of raw data.
    told : whether its makings stand further above.
    lost : whether a step of this workflow made it and no record says so any more.
    inputs : what the run that made it read.
    """

    path: str
    state: str = ""
    sha256: str = ""
    now: str = ""
    record: Record | None = None
    told: bool = False
    lost: bool = False
    inputs: list["Link"] = field(default_factory=list)


def chain(lineage: Lineage, record: Record, told: set[Path]) -> list[Link]:
    """Links of a run's inputs, each with its own, up to files that no run of the workflow made.

    What stands in `told` already is named, and not followed again.
    """
    links = []
    for link in [*_inputs(lineage, record), *_sources(lineage, record)]:
        links.append(link)
        # A record may name its own folder; nothing is its own origin.
        if link.record is None or link.record.path == record.path:
            continue
        link.told = link.record.path in told
        if not link.told:
            told.add(link.record.path)
            link.inputs = chain(lineage, link.record, told)
    return links


def changed(lineage: Lineage, record: Record) -> list[Link]:
    """Links of what a run read that is another file now, with nothing behind them."""
    links = [link for link in _inputs(lineage, record) if link.state == "changed since"]
    for link in links:
        link.told = True
    return links


def _inputs(lineage: Lineage, record: Record) -> Iterator[Link]:
    for path, checksum in record.inputs.items():
        file = lineage.located(path)
        state = lineage.state_of(file, checksum)
        now = lineage.checksum_of(file) if state == "changed since" else ""
        yield _followed(lineage, Link(path, state, checksum, now), file)


def _sources(lineage: Lineage, record: Record) -> Iterator[Link]:
    """What a run read without a checksum: a corpus' folder, its archives, or an address."""
    if not (path := record.source) or path in record.inputs:
        return
    if "://" in path:
        yield Link(path, "elsewhere")
        return
    file = lineage.located(path)
    link = _followed(lineage, Link(path, "here" if file.exists() else "missing"), file)
    inside = [] if link.record else sorted(file.glob(f"*{SUFFIX}"))
    if not inside:
        yield link
    for one in inside:  # archives, each fetched by its own run
        name = one.name.removesuffix(SUFFIX)
        there = "here" if (file / name).exists() else "missing"
        yield _followed(lineage, Link(f"{path}/{name}", there), file / name)


def _followed(lineage: Lineage, link: Link, file: Path) -> Link:
    link.record = lineage.maker_of(file)
    # Results that were copied without the resources have not lost a record of theirs.
    inside = file.is_relative_to(lineage.results)
    link.lost = link.record is None and lineage.is_made(link.path) and (inside or file.exists())
    return link


def lost(links: list[Link]) -> Iterator[Link]:
    """All links of a chain whose record is lost."""
    for link in links:
        if link.lost:
            yield link
        yield from lost(link.inputs)


def facts(lineage: Lineage, record: Record, snakemake: str) -> dict[str, Any]:
    """What a reader asks of a run, from its record; `snakemake` starts its configuration."""
    content = record.content
    hardware = content["hardware"]
    gpus = ", ".join(hardware["gpu"]) or "no GPU"
    return {
        "record": str(record.path),
        "id": record.id,
        "step": content["step"],
        "settings": content["settings"],
        "seed": content["seed"],
        "code": content["code"],
        "commit": content["commit"],
        "hardware": f"{hardware['cpu']}, {hardware['cores']} cores, {gpus}",
        "seconds": content["wall_seconds"],
        "finished": content["finished"],
        "again": command_of(record, lineage.target_of(record.path), snakemake),
    }


def run_lines(lineage: Lineage, record: Record, depth: int, snakemake: str) -> list[str]:
    """One run for a terminal, set in by `depth`."""
    margin, known = "  " * depth, facts(lineage, record, snakemake)
    seed = "" if known["seed"] is None else f", seed {known['seed']}"
    settings = json.dumps(known["settings"], sort_keys=True, ensure_ascii=False)
    return [
        f"{margin}run {known['id']} of {known['step']}{seed}, code {known['code']}",
        f"{margin}settings {settings}",
        f"{margin}commit {known['commit']}; {known['hardware']}; {known['seconds']} s, "
        f"finished {known['finished']}",
        f"{margin}again: {known['again']}",
    ]


def chain_lines(lineage: Lineage, links: list[Link], depth: int, snakemake: str) -> list[str]:
    """A chain for a terminal."""
    lines, margin = [], "  " * depth
    for link in links:
        lines.append(f"{margin}{link.path} ({_state(link)})")
        if link.lost:
            lines.append(f"{margin}  its run record is lost")
        if link.record is None:
            continue
        if link.told:
            lines.append(f"{margin}  run {link.record.id}, told above")
            continue
        lines += run_lines(lineage, link.record, depth + 1, snakemake)
        lines += chain_lines(lineage, link.inputs, depth + 1, snakemake)
    return lines


def _state(link: Link) -> str:
    checksum = f"sha256 {link.sha256[:SHORT]}" if link.sha256 else "no checksum recorded"
    now = f", now {link.now[:SHORT]}" if link.now else ""
    return f"{link.state}; {checksum}{now}"


def as_dict(lineage: Lineage, link: Link, snakemake: str) -> dict[str, Any]:
    """A link and what is behind it, for JSON: checksums in full; a run told above by its id."""
    made: Any = link.record.id if link.record else None
    if link.record and not link.told:
        made = facts(lineage, link.record, snakemake)
    inputs = [as_dict(lineage, one, snakemake) for one in link.inputs]
    checksums = {"sha256": link.sha256, "now": link.now or link.sha256}
    if link.state == "missing" or not link.sha256:
        checksums["now"] = ""
    return {
        "path": link.path,
        "state": link.state,
        **checksums,
        "lost": link.lost,
        "run": made,
        "inputs": inputs,
    }
