"""``mpi``: the index from the command line. Errors are one sentence; none repeats what was typed."""

from __future__ import annotations

import re
import signal
import sys
import threading
from collections.abc import Iterator, Sequence
from contextlib import contextmanager, suppress
from importlib import import_module
from io import TextIOWrapper
from types import FrameType, TracebackType
from typing import Annotated

import typer
from typer.main import get_command

from mpi import __version__
from mpi.commands.streams import fill_gaps, lost_output
from mpi.errors import ConfigurationError, MpiError
from mpi.telemetry import configure_logging, place_of

COMMANDS = {
    "serve": "serving:serve",
    "load": "population:load_file",
    "export": "population:exports",
    "match": "asking:match",
    "explain": "asking:explain",
    "person": "asking:person",
    "stats": "asking:stats",
    "backup": "upkeep:backup",
    "restore": "upkeep:restore",
    "verify": "upkeep:verify",
    "migrate": "migration:migrate",
    "post": "posting:post",
    "evaluate": "evaluation:evaluate",
    "train": "training:train_model",
    "model": "model_trials:app",
    "key": "keys:app",
    "demo": "demo:app",
    "verato-simulator": "simulator:verato_simulator",
}
"""Each command and where it is, under ``mpi.commands``. Only the one that is run is imported: all take a second."""

FAILED, MISUSED = 1, 2
INTERRUPTED = 130
"""As Typer ends a command that Ctrl-C has stopped."""
_ENDING = (signal.SIGTERM, signal.SIGHUP)
_OPTION = re.compile(r"--?[a-z][a-z-]*")
# Typer carries its own copy of click and shows only this one of its usage errors.
_UsageError: type[Exception] = typer.BadParameter.__mro__[1]


def main(argv: Sequence[str] | None = None) -> int:
    """Run one command and return its exit code: 0, 1 when it failed, 2 when it cannot be run so."""
    sys.excepthook = _crashed
    fill_gaps()
    if isinstance(sys.stdout, TextIOWrapper):
        # A terminal that lacks a letter is no reason to fail.
        sys.stdout.reconfigure(errors="backslashreplace")
    given = list(sys.argv[1:] if argv is None else argv)
    # The service stops in its own way, with exit code 0 once everybody is answered, and logs as its settings say.
    if given[:1] == ["serve"]:
        code = _run(given)
    else:
        configure_logging("WARNING")  # what libraries say by themselves may quote data
        with _ending_when_told():
            code = _run(given)
    lost = lost_output()
    if lost is None or code:
        return code
    return _refuse(lost, FAILED) if lost else FAILED


def _run(given: list[str]) -> int:
    try:
        result = get_command(commands(given[:1])).main(
            args=given, prog_name="mpi", standalone_mode=False
        )
    except MpiError as error:
        return _refuse(error.detail, MISUSED if isinstance(error, ConfigurationError) else FAILED)
    except _UsageError as error:
        return _refuse(_usage(error), MISUSED)
    except typer.Abort:
        return _refuse("stopped", FAILED)
    except KeyboardInterrupt:  # while the command was being imported
        return INTERRUPTED
    except OSError:
        # Of a long text nothing waits after the failure, so it is tried with another line.
        lost = lost_output("\n")
        if lost is None:  # then it was about something else
            raise
        return _refuse(lost, FAILED)
    return result if isinstance(result, int) else 0


@contextmanager
def _ending_when_told() -> Iterator[None]:
    """SIGTERM and SIGHUP end a command as Ctrl-C does: what it began to write, with patient data, is cleared away.

    Where somebody wants one of them otherwise, as ``nohup`` does, it stays so.
    """
    is_told = threading.current_thread() is threading.main_thread()
    heard = [name for name in _ENDING if is_told and signal.getsignal(name) is signal.SIG_DFL]
    for name in heard:
        signal.signal(name, _interrupt)
    try:
        yield
    finally:
        for name in heard:
            signal.signal(name, signal.SIG_DFL)


def _interrupt(number: int, frame: FrameType | None) -> None:
    if number == signal.SIGHUP:
        # A terminal that is closed sends it twice, by the shell and by the kernel: the second must not disturb the end.
        signal.signal(number, signal.SIG_IGN)
    # Asked anew each time: a running loop has a handler of its own. In the background Ctrl-C may be ignored.
    handler = signal.getsignal(signal.SIGINT)
    if not callable(handler):
        raise KeyboardInterrupt
    handler(signal.SIGINT, frame)


def commands(asked: Sequence[str] = ()) -> typer.Typer:
    """The command line: with what the words ``asked`` need where they are known, else with all commands."""
    app = typer.Typer(
        name="mpi",
        help="A Master Patient Index: who is this patient, how sure are we, and why?",
        no_args_is_help=True,
        add_completion=False,
        pretty_exceptions_enable=False,
    )
    app.callback(invoke_without_command=True)(_version)
    known = set(asked) & {"--version", *COMMANDS}
    for name in COMMANDS.keys() & known if known else COMMANDS:
        module, attribute = COMMANDS[name].split(":")
        found = getattr(import_module(f"mpi.commands.{module}"), attribute)
        if isinstance(found, typer.Typer):
            app.add_typer(found, name=name)
        else:
            app.command(name)(found)
    return app


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
    with suppress(OSError):  # nobody can be told, but for the exit code
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
