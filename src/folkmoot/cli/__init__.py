"""The command line: `folkmoot VERB`, one file a verb.

A verb's file doesn't postpone its annotations: as texts, each of some 188 options would be compiled again at every
start, which took a fifth of the time of `folkmoot --help`.
"""

from __future__ import annotations

import os
import sys
import traceback
from typing import Annotated

import typer

from folkmoot import __version__
from folkmoot.cli import (
    adapt,
    compare,
    distill,
    doctor,
    evaluate,
    export,
    import_,
    judge,
    perceive,
    report,
    run,
    screen,
    selftrain,
    society,
    synthesize,
    trace,
)

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
app.command("perceive")(perceive.perceive)
app.command("selftrain")(selftrain.selftrain)
app.command("screen")(screen.screen)
app.command("society")(society.society)
app.command("synthesize")(synthesize.synthesize)
app.command("distill")(distill.distill)
app.command("adapt")(adapt.adapt)
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
    except SystemExit as end:
        if end.code == 130:
            typer.echo("folkmoot: interrupted; what is done is kept, and the same command goes on from here", err=True)
        raise
    except BrokenPipeError:
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        sys.exit(1)
    except Exception as error:
        sys.exit(say(error))


def say(error: Exception) -> int:
    """The exit code, once the error has been told in a sentence on stderr."""
    from folkmoot.records import FolkmootError  # not before something is run: a help page needs no records

    code = error.exit_code if isinstance(error, FolkmootError) else 1
    if isinstance(error, FolkmootError):
        words = str(error)
    elif isinstance(error, OSError):
        # What is left is the machine's: a full disk, no permission. The message names the file, never a post.
        words = f"{error.strerror or error}{f': {error.filename}' if error.filename else ''}"
    elif os.environ.get("FOLKMOOT_TRACEBACK"):
        words = traceback.format_exc()
    else:
        # Only the kind and the place: the message of an error that nobody foresaw may hold a post's text.
        place = traceback.extract_tb(error.__traceback__)[-1]
        words = (
            f"an error of folkmoot's own, {type(error).__name__} in {os.path.basename(place.filename)}, line "
            f"{place.lineno}. Please report it; FOLKMOOT_TRACEBACK=1 shows all of it, a post's text perhaps too."
        )
    typer.echo(f"folkmoot: {words}", err=True)
    return code
