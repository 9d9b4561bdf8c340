"""The commands by name, each a module of its own that is imported when its command is run or described."""

from __future__ import annotations

import importlib
import os
import sys
from typing import TYPE_CHECKING

import click

from gastown_tracing._version import VERSION
from gastown_tracing.cli import EVENT_COMMANDS
from gastown_tracing.cli.reading import INTERRUPTED, PIPE_CLOSED, leave

if TYPE_CHECKING:
    from types import TracebackType

#: The commands in the order of their help: what one does first comes first.
COMMANDS = {
    "demo": "Run a small town and show its waterfall.",
    "env": "Print the shell lines that switch telemetry on.",
    "shims": "See what an unmodified town does.",
    "session": "Start, stop and list agent sessions.",
    "exec": "Run a command and record it as one span.",
    "event": "Record an event of the data model.",
    "mail": "Record an operation on mail.",
    "sling": "Record that work was handed to an agent.",
    "nudge": "Record that an agent was pushed to go on.",
    "done": "Record that work has ended, and how long it took.",
    "prime": "Say what is worked on from now on.",
    "hook": "Let an agent tell by its own hooks.",
    "relay": "Ship what is recorded.",
    "ls": "List sessions.",
    "view": "Show a session's waterfall.",
    "watch": "Poll a queue and print what it holds.",
    "stats": "Count operations, errors and percentiles.",
    "purge": "Remove a run from the journal.",
    "doctor": "Check what is set up, and say what to do.",
}


class Context(click.Context):
    """A context that a wrong use in it names; click's parser leaves that open for a missing value."""

    def __exit__(
        self,
        exc_type: type[BaseException] | None,
        exc_value: BaseException | None,
        tb: TracebackType | None,
    ) -> bool | None:
        """Leave the context, its mark on the error."""
        if isinstance(exc_value, click.UsageError):
            exc_value.ctx = exc_value.ctx or self
        return super().__exit__(exc_type, exc_value, tb)


class Commands(click.Group):
    """A group whose commands are modules of `gastown_tracing.cli`."""

    def list_commands(self, ctx: click.Context) -> list[str]:  # noqa: ARG002  # click's signature
        """Return the names in the order of the help."""
        return list(COMMANDS)

    def get_command(self, ctx: click.Context, cmd_name: str) -> click.Command | None:  # noqa: ARG002  # click's signature
        """Return a command, None for an unknown name."""
        if cmd_name not in COMMANDS:
            return None
        if cmd_name == "exec" or cmd_name in EVENT_COMMANDS:
            return click.Command(cmd_name, help=fast_help(cmd_name), short_help=COMMANDS[cmd_name])
        module = importlib.import_module(f"gastown_tracing.cli.{cmd_name}")
        command: click.Command = module.command
        named(command)
        return command

    def format_commands(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:  # noqa: ARG002  # click's signature
        """Write the list of commands without importing one."""
        with formatter.section("Commands"):
            formatter.write_dl(list(COMMANDS.items()))


def named(command: click.Command) -> None:
    """Let a command, and all below it, be named by a wrong use in it."""
    command.context_class = Context
    for below in getattr(command, "commands", {}).values():
        named(below)


def fast_help(name: str) -> str:
    """Return the help of a command of the fast path, which is no command of click's when it runs."""
    if name == "exec":
        from gastown_tracing.shims.options import HELP

        return HELP
    from gastown_tracing.shims.help import text

    return text(name)


@click.group(cls=Commands, context_settings={"help_option_names": ["-h", "--help"]})
@click.version_option(VERSION, message="gt-trace %(version)s")
def cli() -> None:
    """See every agent session of a Gas Town as one distributed trace."""


def run() -> int:
    """Run the command that this process's arguments name; return the exit code.

    What is wrong with the arguments is one line on stderr, with where to read on; what the system refuses to
    do is one line too, and exit code 1.
    """
    _hold_descriptors()
    try:
        return int(cli.main(prog_name="gt-trace", standalone_mode=False) or 0)
    except click.exceptions.NoArgsIsHelpError as error:
        error.show()
        return error.exit_code
    except click.UsageError as error:
        path = error.ctx.command_path if error.ctx else "gt-trace"
        message = error.format_message().rstrip(".")
        click.echo(f"{path}: {message[:1].lower()}{message[1:]}; see {path} --help", err=True)
        return error.exit_code
    except click.ClickException as error:
        click.echo(f"gt-trace: {error.format_message()}", err=True)
        return error.exit_code
    except click.Abort:
        return INTERRUPTED
    except BrokenPipeError:
        leave(PIPE_CLOSED)
    except OSError as error:
        leave(1, f"gt-trace: {error.filename or 'cannot go on'}: {error.strerror or error}")


def _hold_descriptors() -> None:
    """Open the standard streams that the caller has closed: nothing to read, and nothing that can be written.

    The next file to be opened would get their numbers, and what we print would end up in it.
    """
    while (descriptor := os.open(os.devnull, os.O_RDONLY)) <= 2:
        os.set_inheritable(descriptor, True)
    os.close(descriptor)
    sys.stdin = sys.stdin or os.fdopen(0)
    sys.stdout = sys.stdout or os.fdopen(1, "w")
