"""How a program of this library is started from the command line."""

import sys

import typer

from hearsay.errors import InputError


def run_app(app: typer.Typer, program: str | None = None) -> None:
    """Run `app` with the program's arguments; an `InputError` is one line and status 1.

    `program` is the name in its help, such as ``"python -m hearsay.trace"``.
    """
    try:
        app(prog_name=program)
    except InputError as error:
        sys.exit(f"error: {error}")
