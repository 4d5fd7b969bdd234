"""The command line: `folkmoot VERB`, one file a verb."""

from __future__ import annotations

import os
import sys
from typing import Annotated

import typer

from folkmoot import __version__
from folkmoot.cli import compare, doctor, evaluate, export, import_, judge, report, run, selftrain, trace
from folkmoot.records import FolkmootError

app = typer.Typer(
    name="folkmoot",
    help="A society of agents judges posts, explains each verdict, and distils it into one small model.",
    no_args_is_help=True,
    pretty_exceptions_enable=False,
    rich_markup_mode="markdown",
)


def show_version(*, value: bool) -> None:
    """Print the version and stop."""
    if value:
        typer.echo(f"folkmoot {__version__}")
        raise typer.Exit


@app.callback()
def folkmoot(
    version: Annotated[
        bool, typer.Option("--version", callback=lambda value: show_version(value=value), is_eager=True)
    ] = False,
) -> None:
    """A society of agents judges posts, explains each verdict, and distils it into one small model."""


app.command("judge")(judge.judge)
app.command("selftrain")(selftrain.selftrain)
app.command("run")(run.run)
app.command("evaluate")(evaluate.evaluate)
app.command("compare")(compare.compare)
app.command("report")(report.report)
app.command("trace")(trace.trace)
app.command("import")(import_.import_)
app.add_typer(export.app, name="export")
app.command("doctor")(doctor.doctor)


def main() -> None:
    """Run the command line. Exit codes: 0 done, 1 failed, 2 bad usage, 3 budget reached, 130 interrupted."""
    try:
        app(standalone_mode=True)
    except FolkmootError as error:
        typer.echo(f"folkmoot: {error}", err=True)
        sys.exit(error.exit_code)
    except KeyboardInterrupt:
        typer.echo("folkmoot: interrupted; the same command goes on from here", err=True)
        sys.exit(130)
    except BrokenPipeError:
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        sys.exit(1)
    except OSError as error:
        # What is left is the machine's: a full disk, no permission. The message names the file, never a post.
        typer.echo(f"folkmoot: {error.strerror or error}{f': {error.filename}' if error.filename else ''}", err=True)
        sys.exit(1)
