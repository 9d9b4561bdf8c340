"""Keeping a journal in order: dead sessions are closed, runs that are done with are moved, old ones go."""

from __future__ import annotations

import os
import threading
from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import TYPE_CHECKING

from gastown_tracing.relay.living import living
from gastown_tracing.relay.moving import Mover
from gastown_tracing.relay.retention import Retention
from gastown_tracing.relay.tidying import Tidier

if TYPE_CHECKING:
    from gastown_tracing.journal.layout import Journal
    from gastown_tracing.relay.feed import Feed
    from gastown_tracing.relay.files import Files
    from gastown_tracing.relay.finding import Finder
    from gastown_tracing.relay.living import Living
    from gastown_tracing.relay.settings import Settings
    from gastown_tracing.relay.sources import Sources
    from gastown_tracing.sessions.liveness import Inspector
    from gastown_tracing.sessions.reaping import Found

#: Seconds between two looks at which sessions live, at what can be moved, at what has to go, at the rest.
REAPED, MOVED, RETAINED, TIDIED = 15.0, 10.0, 60.0, 86_400.0


class Keeper:
    """Keeps one journal in order, in the thread that calls `tick`; sessions are asked in one of their own.

    `feeds` returns what the workers read that have an endpoint: only what all of them have taken counts as
    shipped. It returns None while one of these workers is not there: everything waits. `env` is the
    environment for tmux. `log` takes one line.
    """

    def __init__(
        self,
        journal: Journal,
        files: Files,
        sources: Sources,
        *,
        settings: Settings,
        feeds: Callable[[], Iterable[Feed] | None],
        env: Mapping[str, str],
        log: Callable[[str], None],
    ) -> None:
        self._journal = journal
        self._sources = sources
        self._settings = settings
        self._feeds = feeds
        self._env = env
        self._log = log
        self._mover = Mover(journal, files, sources, feeds, log)
        self._retention = Retention(journal, files, sources, feeds, log)
        self._tidier = Tidier(journal, files, log)
        self._due: dict[str, float] = {}
        self._reaper: threading.Thread | None = None
        self._problem = ""
        self._live: list[Living] | None = None
        self._reaped = 0
        self._started = False
        self._finder: Finder | None = None
        self._found = 0

    def restore(self, now: float) -> None:
        """Go on where the last relay stopped; before the sources' first scan, `now` in monotonic seconds."""
        self._mover.restore(now)

    def reconfigure(self, settings: Settings) -> None:
        """Take these settings from now on."""
        self._settings = settings

    def tick(self, now: float) -> bool:
        """Do what is due, a fifth of a second or so; say whether there is more to do at once.

        `now` is in monotonic seconds. Never raises for what the world does.
        """
        if not self._started:
            self._started = True
            self._forget_what_is_gone()
        try:
            return self._do_what_is_due(now)
        except OSError as error:
            self._say(f"cannot keep the journal in order: {error}")
            return False

    def _do_what_is_due(self, now: float) -> bool:
        more = False
        if self._is_due("reap", now, REAPED):
            self._reap()
        if self._is_due("move", now, MOVED):
            more = self._again("move", self._mover.tick(now))
        if self._is_due("retain", now, RETAINED):
            self._tidier.dead_letters()
            more = self._again("retain", self._retention.tick(now, self._settings)) or more
        if self._is_due("tidy", now, TIDIED):
            self._tidier.daily()
        return more

    def stop(self, deadline: float) -> None:
        """Wait for at most `deadline` seconds until nobody is asked any more."""
        if self._reaper is not None:
            self._reaper.join(deadline)

    def live(self) -> list[Living] | None:
        """Return the sessions that lived a few seconds ago; None where nobody has looked yet."""
        return self._live

    def status(self) -> dict[str, object]:
        """Return how the journal is, as JSON has it."""
        return {
            "live_sessions": len(self._live or ()),
            "closed_sessions": self._reaped,
            "found_sessions": self._found,
            **self._mover.status(),
            **self._retention.status(),
            "dropped_dead_letters": self._tidier.dropped,
            "problem": self._problem or None,
        }

    def _is_due(self, what: str, now: float, interval: float) -> bool:
        if now < self._due.get(what, now):
            return False
        self._due[what] = now + interval
        return True

    def _again(self, what: str, more: bool) -> bool:
        if more:
            del self._due[what]
        return more

    def _reap(self) -> None:
        """Look at the sessions aside: a tmux server that hangs keeps nothing else waiting."""
        if self._reaper is None or not self._reaper.is_alive():
            self._reaper = threading.Thread(target=self._look_at_sessions, name="sessions", daemon=True)
            self._reaper.start()

    def _look_at_sessions(self) -> None:
        from gastown_tracing.sessions.liveness import Inspector  # once there is a thread for it
        from gastown_tracing.sessions.reaping import reap

        problems: list[OSError] = []
        env = self._environment()
        inspector = Inspector(env)
        try:
            found = reap(self._journal, env, inspector, problems)
        except (OSError, ValueError, KeyError, TypeError) as error:  # files that somebody else has made
            self._say(f"cannot look at the sessions: {type(error).__name__}: {error}")
            return
        self._live = [living(item.run) for item in found if item.liveness.state == "live"]
        for item in found:
            if item.reaped:
                self._reaped += 1
                self._log(f"closed run {item.run.trace_id}, which ended unseen: {item.liveness.evidence}")
        try:
            self._find(inspector, found, env)
        except (OSError, ValueError, KeyError, TypeError) as error:  # or what a session says of itself
            self._say(f"cannot look for sessions: {type(error).__name__}: {error}")
            return
        self._say(f"cannot record what sessions did unseen: {problems[0]}" if problems else "")

    def _find(self, inspector: Inspector, found: Sequence[Found], env: Mapping[str, str]) -> None:
        """Look for the sessions of which nobody has told the journal."""
        from gastown_tracing.relay.finding import Finder  # the same
        from gastown_tracing.sessions.reaping import why_not_recorded

        if why_not_recorded(self._journal, env):
            return
        self._finder = self._finder or Finder(self._journal, self._log)
        self._found += self._finder.look(inspector, found, env)

    def _environment(self) -> dict[str, str]:
        """Return the environment for tmux: the relay's, and where config.json says that its sockets are."""
        directory = self._settings.file.get("TMUX_TMPDIR", "")
        return {**self._env, **({"TMUX_TMPDIR": directory} if directory else {})}

    def _say(self, problem: str) -> None:
        if problem and problem != self._problem:
            self._log(problem)
        self._problem = problem

    def _forget_what_is_gone(self) -> None:
        """Let the workers forget the files of directories that went, or were let go, while no relay ran."""
        for feed in self._feeds() or ():
            for path in {file.rpartition("/")[0] for file in feed.offsets()}:
                there = not path.startswith("closed/") and os.path.lexists(f"{self._journal.root}/{path}")
                if self._sources.place(path) is None and not there:
                    feed.gone(path)
