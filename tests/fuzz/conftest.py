"""Prints how many cases were tried."""

import cases
import pytest


def pytest_terminal_summary(terminalreporter: pytest.TerminalReporter) -> None:
    if not cases.TRIED:
        return
    terminalreporter.section(f"fuzzing ({cases.DEPTH})")
    for name, count in sorted(cases.TRIED.items()):
        refused, spent = cases.REFUSED[name], cases.SPENT[name]
        line = f"{name:<28}{count:>8} cases, {refused:>7} refused, {spent:>5} s"
        terminalreporter.write_line(line)
    total, seconds = sum(cases.TRIED.values()), sum(cases.SPENT.values())
    terminalreporter.write_line(f"{'in all':<28}{total:>8} cases, {seconds} s")
