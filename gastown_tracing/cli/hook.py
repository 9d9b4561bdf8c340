"""`gt-trace hook`: what agents tell by their own hooks."""

from __future__ import annotations

import json
import os
from typing import TYPE_CHECKING, TypeVar

import click

from gastown_tracing.cli.paths import absolute
from gastown_tracing.cli.reading import Failure, Word, json_option, leave, say

if TYPE_CHECKING:
    from collections.abc import Callable

_Result = TypeVar("_Result")

settings_option = click.option(
    "--settings",
    type=Word(),
    metavar="FILE",
    help="The settings; default: settings.json in CLAUDE_CONFIG_DIR, else in ~/.claude.",
)


@click.group()
def command() -> None:
    """Let an agent tell by its own hooks what nobody else sees.

    Which run a session and its transcript belong to, a prime that goes past the shims, whether the
    agent works, waits or is idle.
    """


@command.group()
def claude() -> None:
    """Install hooks into Claude Code's settings, beside those of others, and remove them.

    They print nothing, take a few milliseconds, and do nothing outside a town that is traced.
    An agent that runs already has read its settings: it takes new ones when it starts again.
    """


@claude.command("install")
@settings_option
def install_hooks(settings: str | None) -> None:
    """Put our hooks into the settings. What was there stays as it was, and beside it as a backup.

    Exit codes: 0 installed, now or before; 1 these settings cannot be changed; 2 wrong options.
    """
    from gastown_tracing.hooks import install, launcher

    path, program = _settings(settings), launcher.place(os.environ)
    if settings is None:
        _try(path, lambda: os.makedirs(os.path.dirname(path), 0o700, exist_ok=True))
    new = _try(path, lambda: install.install(path, program))
    backup = path + install.BACKUP
    was = f"; what was there is in {os.path.basename(backup)}" if new and os.path.exists(backup) else ""
    say(f"the hooks are {f'installed in {path}' if new else f'in {path} already'}{was}\n")


@claude.command("remove")
@settings_option
def remove_hooks(settings: str | None) -> None:
    """Take our hooks out of the settings. What nobody has changed since becomes just what it was.

    Exit codes: 0 removed, or none were there; 1 these settings cannot be changed; 2 wrong options.
    """
    from gastown_tracing.hooks import install, launcher

    path = _settings(settings)
    program = launcher.place(os.environ) if settings is None else ""  # other settings may have it too
    gone = os.path.isdir(os.path.dirname(path)) and _try(path, lambda: install.remove(path, program))
    say(f"{path}: {'the hooks are removed' if gone else 'no hooks of ours are there'}\n")


@claude.command("status")
@settings_option
@json_option
def show_status(settings: str | None, as_json: bool) -> None:
    """Say whether our hooks are installed, and what keeps them from telling anything.

    Exit codes: 0 installed; 1 not, or something is wrong with them; 2 wrong options.
    """
    from gastown_tracing.hooks import install, launcher

    path, program = _settings(settings), launcher.place(os.environ)
    state = _try(path, lambda: install.look(path, program))
    if as_json:
        found = {"settings": path, "launcher": program, "state": state.word}
        say(json.dumps({**found, "hooks": state.commands, "problems": state.problems}) + "\n")
    else:
        hint = "" if state.word == "installed" else "; `gt-trace hook claude install` puts them there"
        say("".join(f"{line}\n" for line in (f"{path}: {state.word}{hint}", *state.problems)))
    if state.word != "installed":
        leave(1)


def _settings(given: str | None) -> str:
    from gastown_tracing.hooks import install

    return absolute(given) if given else install.default_settings(os.environ)


def _try(path: str, act: Callable[[], _Result]) -> _Result:
    """Return what an act on a file returns; what is wrong with the file is one line."""
    from gastown_tracing.hooks.settings import Unusable

    try:
        return act()
    except Unusable as error:
        raise Failure(f"{path}: {error}; it is left as it is") from error
    except OSError as error:
        raise Failure(f"{error.filename or path}: {error.strerror}") from error
