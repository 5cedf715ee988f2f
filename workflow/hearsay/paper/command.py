"""How every step of this folder is started from the command line."""

import sys
from collections.abc import Callable

import typer

from hearsay.errors import InputError


def run_command(main: Callable[..., None]) -> None:
    """Run `main` with the program's arguments; an `InputError` is one line and status 1."""
    app = typer.Typer(pretty_exceptions_enable=False, add_completion=False)
    app.command()(main)
    try:
        app()
    except InputError as error:
        sys.exit(f"error: {error}")
