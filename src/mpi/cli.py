"""``mpi``: the index from the command line. Errors are one sentence; none repeats what was typed."""

from __future__ import annotations

import re
import sys
from collections.abc import Sequence
from types import TracebackType
from typing import Annotated

import typer
from typer.main import get_command

from mpi import __version__
from mpi.commands import asking, demo, keys, migration, population, upkeep
from mpi.commands.evaluation import evaluate
from mpi.commands.posting import post
from mpi.commands.serving import serve
from mpi.commands.simulator import verato_simulator
from mpi.commands.training import train_model
from mpi.errors import ConfigurationError, MpiError
from mpi.telemetry import place_of

app = typer.Typer(
    name="mpi",
    help="A Master Patient Index: who is this patient, how sure are we, and why?",
    no_args_is_help=True,
    add_completion=False,
    pretty_exceptions_enable=False,
)
app.command()(serve)
app.command("load")(population.load_file)
app.add_typer(population.exports, name="export")
app.command()(asking.match)
app.command()(asking.explain)
app.command()(asking.person)
app.command()(asking.stats)
app.command()(upkeep.backup)
app.command()(upkeep.restore)
app.command()(upkeep.verify)
app.command()(migration.migrate)
app.command()(post)
app.command()(evaluate)
app.command("train")(train_model)
app.add_typer(keys.app, name="key")
app.add_typer(demo.app, name="demo")
app.command()(verato_simulator)

FAILED, MISUSED = 1, 2
_OPTION = re.compile(r"--?[a-z][a-z-]*")
# Typer carries its own copy of click and shows only this one of its usage errors.
_UsageError: type[Exception] = typer.BadParameter.__mro__[1]


def main(argv: Sequence[str] | None = None) -> int:
    """Run one command and return its exit code: 0, 1 when it failed, 2 when it cannot be run so."""
    sys.excepthook = _crashed
    try:
        result = get_command(app).main(
            args=None if argv is None else list(argv), prog_name="mpi", standalone_mode=False
        )
    except MpiError as error:
        return _refuse(error.detail, MISUSED if isinstance(error, ConfigurationError) else FAILED)
    except _UsageError as error:
        return _refuse(_usage(error), MISUSED)
    except typer.Abort:
        return _refuse("stopped", FAILED)
    return result if isinstance(result, int) else 0


@app.callback(invoke_without_command=True)
def _version(
    context: typer.Context,
    *,
    version: Annotated[bool, typer.Option("--version", help="Show the version and exit.")] = False,
) -> None:
    if version:
        typer.echo(f"mpi {__version__}")
        raise typer.Exit
    if context.invoked_subcommand is None:
        typer.echo(context.get_help())


def _refuse(sentence: str, code: int) -> int:
    sys.stderr.write(f"mpi: {sentence}\n")
    return code


def _usage(error: Exception) -> str:
    """What is wrong with the command line, without the words that were typed: they may be a patient's."""
    context = getattr(error, "ctx", None)
    command = context.command_path if context is not None else "mpi"
    parameter = getattr(error, "param", None)
    option = getattr(error, "option_name", None) or ""
    if parameter is not None:
        what = f"{parameter.opts[0]} is missing or not usable"
    elif _OPTION.fullmatch(option):
        what = f"there is no option {option}"
    else:
        what = "the arguments are not understood"
    return f"{what}; see `{command} --help`"


def _crashed(kind: type[BaseException], _: BaseException, trace: TracebackType | None) -> None:
    """The last word about a defect of ours: its type and place. Its message may quote a patient."""
    sys.stderr.write(f"mpi: unexpected {kind.__name__} at {place_of(trace)}; please report it\n")
