"""The console script ``ralm``: commands are imported when they are called, so that serving imports no torch."""

import logging
import os
import signal
import sys
import threading
import traceback
from contextlib import nullcontext
from importlib import import_module
from importlib.util import find_spec
from typing import NoReturn

import click

from flows.cli.failures import system_failure
from flows.cli.interrupts import Interrupts
from flows.cli.streams import OUTPUT, drop_output
from flows.support.errors import ConfigError, FlowFailedError, RalmError
from flows.support.logs import masked
from flows.support.machine import address_space, file_limit, raise_file_limit, threads_to_be_had
from flows.support.text import counted, without_error_numbers
from flows.support.threads import default_to_one_thread

COMMANDS = {
    "demo": "run the whole system on real clicks",
    "data": "load a public data set, or your own, into a local folder",
    "train": "train a bundle",
    "evaluate": "compare the model with its baselines",
    "topics": "create the topics, or show how they differ",
    "run": "run a dataflow",
    "top": "show what a running flow does, on a terminal",
    "ask": "ask a running flow for a user's best items",
    "replay": "send clicks and requests from files to Kafka",
    "state": "inspect, verify, back up and restore the stores",
    "dead-letters": "list, explain and redrive dead letters",
    "monitoring": "export rules, dashboards, consoles and runbooks",
    "bench": "measure throughput, compared with the bare client",
}
"""What each command does; it is there if its module is."""
_EXTRAS = {
    **dict.fromkeys(("implicit", "matplotlib", "filelock"), "evaluate"),
    "noida_db": "broker",
    "pyarrow": "data",
    "torch": "train",
}
"""Which extra brings what a command may miss."""
_LIGHT = {"top", "monitoring"}
"""Commands that load none of the libraries that need many addresses and threads."""
_LEAST_ADDRESSES = 1 << 30
"""Bytes: with fewer some libraries end the process themselves, with words of their own or none. A flow needs more."""
_LEAST_FILES = 64
"""Files that a process must be able to open: with fewer the Kafka client says only that it reaches no broker."""
_LEAST_THREADS = 32
"""Likewise: the Kafka client, RocksDB and the readers of tables have some for each broker, store and file."""


def _module(name: str) -> str:
    return f"flows.cli.commands.{name.replace('-', '_')}"


class _Commands(click.Group):
    """Commands by name, each in its own module under ``flows/commands``."""

    def list_commands(self, ctx: click.Context) -> list[str]:
        del ctx
        return [name for name in COMMANDS if find_spec(_module(name))]

    def get_command(self, ctx: click.Context, cmd_name: str) -> click.Command | None:
        if cmd_name not in self.list_commands(ctx):
            return None
        if cmd_name not in _LIGHT:
            raise_file_limit()
            _refuse_few(cmd_name)
        command: click.Command = import_module(_module(cmd_name)).command
        return command

    def resolve_command(
        self, ctx: click.Context, args: list[str]
    ) -> tuple[str | None, click.Command | None, list[str]]:
        try:
            return super().resolve_command(ctx, args)
        except click.UsageError as error:
            from difflib import get_close_matches  # noqa: PLC0415 (for a mistyped name alone)

            if close := get_close_matches(args[0], self.list_commands(ctx), 1):
                ctx.fail(f"{error.message.rstrip('.')}; did you mean {close[0]}?")
            raise

    def format_commands(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:
        with formatter.section("Commands"):
            formatter.write_dl([(name, COMMANDS[name]) for name in self.list_commands(ctx)])


def _refuse_few(command: str) -> None:
    """See that there are enough addresses, threads and files for the libraries that a command loads.

    Raises:
        ConfigError: when there are not.
    """
    limit = address_space()
    if limit is not None and limit < _LEAST_ADDRESSES:
        msg = (
            f"this process may have {limit >> 20} MiB of address space; `ralm {command}` needs "
            f"{_LEAST_ADDRESSES >> 20}, most of which never becomes memory: raise the limit (ulimit -v, LimitAS)"
        )
        raise ConfigError(msg)
    if file_limit() < _LEAST_FILES:
        msg = (
            f"this process may open {counted(file_limit(), 'file')}; `ralm {command}` needs {_LEAST_FILES}: raise "
            "the limit (ulimit -n, LimitNOFILE)"
        )
        raise ConfigError(msg)
    threads = threads_to_be_had(_LEAST_THREADS)
    if threads < _LEAST_THREADS:
        msg = (
            f"this process can start {counted(threads, 'more thread')}; `ralm {command}` needs {_LEAST_THREADS}: raise "
            "the limit (ulimit -u, LimitNPROC; of a container, pids)"
        )
        raise ConfigError(msg)


@click.group(cls=_Commands, context_settings={"help_option_names": ["-h", "--help"], "max_content_width": 110})
@click.version_option(package_name="ralm-streaming", prog_name="ralm")
def cli() -> None:
    """RALM, streaming: an item is the users who clicked it.

    Exit codes: 0 done or drained, 1 failure, 2 bad configuration, 128 + its number if a signal ended it.
    """


def main(*, drains: bool = False) -> None:
    """Run the console script; errors that say what to do are shown without a traceback.

    Args:
        drains: whether a flow is to run, which has its own way of being stopped.
    """
    threading.excepthook = _thread_failed
    default_to_one_thread()
    os.environ["PYTHONSAFEPATH"] = "1"  # a child process runs no code of the working folder either
    os.umask(os.umask(0o077) | 0o022)  # what we write, nobody else may change, however generous the environment is
    with nullcontext(Interrupts()) if drains else Interrupts() as interrupts:
        try:
            _run()
        except KeyboardInterrupt:
            number = interrupts.number
            if number is None:
                _end("aborted", 1)
            _end(f"stopped by {signal.Signals(number).name}", 128 + number)


def _thread_failed(failed: threading.ExceptHookArgs) -> None:
    """Show what ended a thread, as the interpreter would, but without secrets."""
    if failed.exc_value is not None and not isinstance(failed.exc_value, SystemExit):
        click.echo(masked("".join(traceback.format_exception(failed.exc_value))), err=True)


def _call() -> NoReturn:
    """Let click call the command."""
    try:
        sys.exit(cli.main(standalone_mode=False))
    except click.ClickException as error:
        error.show()
        sys.exit(error.exit_code)
    except click.Abort:
        raise KeyboardInterrupt from None
    finally:
        if sys.stdout is not None:
            sys.stdout.flush()


def _run() -> NoReturn:
    try:
        _call()
    except ModuleNotFoundError as error:
        extra = _EXTRAS.get((error.name or "").partition(".")[0])
        if extra is None:
            raise
        without = "; --encoder spectral needs none" if extra == "train" else ""
        _end(f"this command needs {error.name}: pip install '.[{extra}]' in the project's folder{without}", 2)
    except ConfigError as error:
        _end(str(error), 2)
    except FlowFailedError as error:
        click.echo(masked(without_error_numbers(f"ralm: {error}")), err=True)
        # Everything is closed. A thread of the engine that comes back to Python while the interpreter is taken down
        # would abort the process: exit code -6 for 1, and "exception not rethrown" for the last word.
        os._exit(1)
    except RalmError as error:
        _end(str(error), 1)
    except Exception as error:
        _explain(error)


def _explain(error: Exception) -> NoReturn:
    """End with one line if the system is to blame; a programming error is shown whole, without secrets."""
    if getattr(error, "filename", None) == OUTPUT:
        drop_output()
    failure = system_failure(error)
    if failure is None or logging.getLogger().isEnabledFor(logging.DEBUG):
        click.echo(masked(traceback.format_exc()), err=True)
    if failure is None:
        sys.exit(1)
    _end(*failure)


def _end(words: str, code: int) -> NoReturn:
    click.echo(masked(without_error_numbers(f"ralm: {words}")), err=True)
    sys.exit(code)


if __name__ == "__main__":
    main()
