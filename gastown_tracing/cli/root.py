"""The commands by name, each a module of its own that is imported when its command is run or described."""

import importlib

import click

from gastown_tracing._version import VERSION
from gastown_tracing.shims.exec import USAGE

#: The exit code of a command that Ctrl-C ended, as a shell has it.
INTERRUPTED = 130

#: The commands in the order of their help: what one does first comes first.
COMMANDS = {
    "demo": "Run a small town and show its waterfall.",
    "env": "Print the shell lines that switch telemetry on.",
    "session": "Start, stop and list agent sessions.",
    "exec": "Run a command and record it as one span.",
    "ls": "List sessions.",
    "view": "Show a session's waterfall.",
    "stats": "Count operations, errors and percentiles.",
    "purge": "Remove a run from the journal.",
}


class Commands(click.Group):
    """A group whose commands are modules of `gastown_tracing.cli`."""

    def list_commands(self, ctx: click.Context) -> list[str]:  # noqa: ARG002  # click's signature
        """Return the names in the order of the help."""
        return list(COMMANDS)

    def get_command(self, ctx: click.Context, cmd_name: str) -> click.Command | None:  # noqa: ARG002  # click's signature
        """Return a command, None for an unknown name."""
        if cmd_name not in COMMANDS:
            return None
        if cmd_name == "exec":
            return click.Command("exec", help=USAGE, short_help=COMMANDS["exec"])
        module = importlib.import_module(f"gastown_tracing.cli.{cmd_name}")
        command: click.Command = module.command
        return command

    def format_commands(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:  # noqa: ARG002  # click's signature
        """Write the list of commands without importing one."""
        with formatter.section("Commands"):
            formatter.write_dl(list(COMMANDS.items()))


@click.group(cls=Commands, context_settings={"help_option_names": ["-h", "--help"]})
@click.version_option(VERSION, message="gt-trace %(version)s")
def cli() -> None:
    """See every agent session of a Gas Town as one distributed trace."""


def run() -> int:
    """Run the command that this process's arguments name; return the exit code.

    What is wrong with the arguments is one line on stderr, with where to read on.
    """
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
