"""A Slurm that does not answer is asked again; what is replaced is what the plugin calls."""

import asyncio
import logging
from types import SimpleNamespace

import pytest
import snakemake_executor_plugin_slurm as real_plugin

from hearsay.cluster.steady import LAST_LOOK, make_steady


def plugin_with(answers, ages):
    answers, ages = iter(answers), iter(ages)

    async def query(command, logger):
        return next(answers)

    return SimpleNamespace(query_job_status=query, get_min_job_age=lambda: next(ages))


def test_questions_go_on_until_there_is_an_answer(caplog):
    plugin = plugin_with([(None, None)] * 3 + [({"1": "RUNNING"}, 0.1)], [300])
    make_steady(plugin, seconds=0)
    with caplog.at_level(logging.WARNING):
        answer = asyncio.run(plugin.query_job_status("squeue", logging.getLogger()))
    assert answer == ({"1": "RUNNING"}, 0.1)
    assert [record.message for record in caplog.records] == [
        "Slurm does not answer; asked again every 0 s: squeue",
        "Slurm answers again",
    ]


def test_no_jobs_are_an_answer():
    plugin = plugin_with([({}, 0.1)], [300])
    make_steady(plugin, seconds=3600)
    assert asyncio.run(plugin.query_job_status("squeue", logging.getLogger())) == ({}, 0.1)


def ask_all(plugin, number):
    async def ask():
        return [(await plugin.query_job_status("sacct", None))[0] for _ in range(number)]

    return asyncio.run(ask())


def test_a_cancelled_job_is_one_whoever_cancelled_it():
    plugin = plugin_with([({"1": "CANCELLED by 1000", "2": "RUNNING"}, 0.1)], [300])
    make_steady(plugin)
    assert ask_all(plugin, 1) == [{"1": "CANCELLED", "2": "RUNNING"}]


def test_a_preempted_job_is_waited_for_and_then_given_up():
    states = ["PREEMPTED"] * 3 + ["PENDING"] + ["PREEMPTED"] * (LAST_LOOK + 2)
    plugin = plugin_with([({"1": state}, 0.1) for state in states], [300])
    make_steady(plugin)
    said = [answer["1"] for answer in ask_all(plugin, len(states))]
    assert said == [*states[:-2], "FAILED", "FAILED"]


def test_the_last_known_age_stands():
    plugin = plugin_with([], [300, None, 200, None])
    make_steady(plugin)
    assert [plugin.get_min_job_age() for _ in range(3)] == [300, 200, 200]


@pytest.mark.parametrize("name", ["query_job_status", "get_min_job_age"])
def test_the_plugin_looks_these_names_up_in_its_own_module(name):
    """What is replaced must be what it calls: a release that moves them fails here."""
    names = real_plugin.Executor.check_active_jobs.__code__.co_names
    assert name in names
    assert callable(getattr(real_plugin, name))
