"""The cluster from a user's side: ``python -m hearsay.cluster doctor | usage | resume``."""

import getpass
from datetime import datetime, timedelta
from enum import StrEnum
from pathlib import Path

import typer

from hearsay.cluster import show
from hearsay.cluster.arguments import directory_of, profile_of, settings_of
from hearsay.cluster.bindings import choose
from hearsay.cluster.doctor import examine
from hearsay.cluster.planned import dry_run
from hearsay.cluster.resume import resume as go_on
from hearsay.cluster.surroundings import addresses, free_space, unreachable
from hearsay.cluster.usage import of_accounting, of_benchmarks, summarise, write_usage
from hearsay.command_line import run_app
from hearsay.errors import InputError

app = typer.Typer(
    add_completion=False,
    pretty_exceptions_enable=False,
    rich_markup_mode=None,
    no_args_is_help=True,
    help=__doc__,
)

ARGUMENTS = typer.Argument(
    None, help="Snakemake's arguments, after `--`; `--profile slurm all` if none are given."
)
BACKEND = typer.Option(
    "auto", help="How the cluster is asked: commands, pyslurm, or auto (pyslurm if installed)."
)


class Source(StrEnum):
    """Where the costs of jobs are read."""

    AUTO = "auto"
    ACCOUNTING = "accounting"
    BENCHMARK = "benchmark"


class Leftover(StrEnum):
    """What is done about jobs of a dead Snakemake."""

    REFUSE = "refuse"
    WAIT = "wait"
    CANCEL = "cancel"


@app.command()
def doctor(
    snakemake: list[str] = ARGUMENTS,
    backend: str = BACKEND,
    network: bool = typer.Option(True, help="Also try the hosts that downloads need."),
) -> None:
    """Say what the cluster offers, what the jobs ask, and what would never start and why.

    Ends with status 1 if the workflow would not come through as the profile stands, and suggests
    lines for the profile.
    """
    arguments = snakemake or ["--profile", "slurm", "all"]
    settings, profile = settings_of(arguments), profile_of(arguments)
    cluster = choose(backend)
    configuration, partitions = cluster.configuration(), cluster.partitions()
    limits = cluster.limits(getpass.getuser()) if configuration.accounting else []
    planned = dry_run(arguments)
    found = examine(planned, partitions, configuration, limits, profile)
    root = directory_of(arguments)
    folders = [root / folder for folder in settings.pathvars.model_dump().values()]
    space = free_space(dict.fromkeys(folders))
    hosts = addresses(settings) if network else {}
    print(
        show.report(
            configuration=configuration,
            partitions=partitions,
            limits=limits,
            found=found,
            space=space,
            hosts=hosts,
            faults=unreachable(hosts),
            backend=cluster.name,
        )
    )
    if found.faults:
        raise typer.Exit(1)


@app.command()
def usage(
    snakemake: list[str] = ARGUMENTS,
    backend: str = BACKEND,
    source: Source = typer.Option(
        Source.AUTO,
        help="accounting: every attempt, from Slurm's database. benchmark: the last good one, "
        "from Snakemake's files. auto: accounting where the cluster has it.",
    ),
    days: int = typer.Option(30, min=1, help="How far back the database is asked."),
    out: Path | None = typer.Option(None, help="CSV to write; <results>/usage.csv if not given."),
) -> None:
    """Write what finished jobs cost to <results>/usage.csv, which the result page then shows."""
    arguments = snakemake or ["--profile", "slurm", "all"]
    settings, root = settings_of(arguments), directory_of(arguments)
    if source is Source.AUTO:
        source = Source.ACCOUNTING if _has_accounts(backend) else Source.BENCHMARK
    if source is Source.ACCOUNTING:
        since = datetime.now() - timedelta(days=days)
        rows = of_accounting(choose(backend).ended_jobs(getpass.getuser(), since), root)
        nothing = f"no jobs from {root} in the last {days} days"
    else:
        places = settings.pathvars
        rows = of_benchmarks(root / places.benchmarks, root / places.logs)
        nothing = f"{root / settings.pathvars.benchmarks} holds no benchmark files"
    if not rows:
        raise InputError(f"{nothing}; nothing is written")
    path = out or root / settings.pathvars.results / "usage.csv"
    write_usage(rows, path)
    print(show.table(list(summarise(rows))))
    print(f"\n{len(rows)} rows in {path}; `snakemake … page` shows them on the result page")


@app.command()
def resume(
    snakemake: list[str] = ARGUMENTS,
    backend: str = BACKEND,
    leftover: Leftover = typer.Option(
        Leftover.REFUSE,
        help="About jobs of the dead Snakemake that still wait or run: refuse to go on, wait "
        "until they ended (what they made is kept), or cancel them (trainings save first).",
    ),
    seconds: float = typer.Option(30, min=0.5, help="Between two looks at the queue."),
) -> None:
    """Go on after Snakemake was killed: look for jobs that still run, unlock, run again."""
    arguments = snakemake or ["--profile", "slurm", "all"]
    status = go_on(
        choose(backend),
        getpass.getuser(),
        directory_of(arguments),
        arguments,
        leftover=leftover.value,
        seconds=seconds,
    )
    if status:
        raise typer.Exit(status)


def _has_accounts(backend: str) -> bool:
    """Does a cluster answer, and has it a database? A laptop has none."""
    try:
        return choose(backend).configuration().accounting
    except InputError:
        return False


if __name__ == "__main__":
    run_app(app, "python -m hearsay.cluster")
