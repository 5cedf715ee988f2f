"""How every step of this folder is started from the command line."""

from collections.abc import Callable

import typer

from hearsay.command_line import run_app


def run_command(main: Callable[..., None]) -> None:
    """Run `main` with the program's arguments; an `InputError` is one line and status 1."""
    app = typer.Typer(pretty_exceptions_enable=False, add_completion=False)
    app.command()(main)
    run_app(app)
