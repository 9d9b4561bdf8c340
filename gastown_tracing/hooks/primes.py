"""Whether a session's start also runs `gt prime` past the shims.

gt writes its own absolute path into the hooks of its agents, or puts directories before PATH; the shim, which
records a prime otherwise, never sees those.
"""

import posix

from gastown_tracing.journal.layout import load_json, read_text
from gastown_tracing.shims.plan import encode
from gastown_tracing.shims.real import is_shim

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping, Sequence

#: Settings of the whole machine.
MANAGED = "/etc/claude-code/managed-settings.json"
#: How a word ends behind which a shell takes the next one for a command.
BEFORE = ("&&", "||", ";", "|", "&", "(", "{", "exec", "then")


def past_shims(source: str, words: "Sequence[str]", env: "Mapping[str, str]") -> bool:
    """Say whether Claude Code, started with these `words`, primes where no shim sees it.

    `source` is how its session starts, `env` the environment of its hooks.
    """
    return any(is_past(command, env) for text in _settings(words, env) for command in _commands(text, source))


def _settings(words: "Sequence[str]", env: "Mapping[str, str]") -> "Iterator[str]":
    """Yield the settings that are in force, as text: managed, of the command line, project's, user's."""
    for option, value in zip(words, [*words[1:], ""], strict=True):
        name, equals, inline = option.partition("=")
        if name == "--settings":
            given = inline if equals else value
            yield given if given.lstrip()[:1] == "{" else read_text(given) or ""
    home = env.get("CLAUDE_CONFIG_DIR") or env.get("HOME", "") + "/.claude"
    project = env.get("CLAUDE_PROJECT_DIR", "")
    local = [f"{project}/.claude/{name}.json" for name in ("settings", "settings.local")] if project else []
    for path in (MANAGED, *local, home + "/settings.json"):
        yield read_text(path) or ""


def _commands(text: str, source: str) -> "Iterator[str]":
    settings = load_json(text) if "prime" in text else None
    hooks = settings.get("hooks") if isinstance(settings, dict) else None
    groups = hooks.get("SessionStart") if isinstance(hooks, dict) else None
    for group in groups if isinstance(groups, list) else ():
        if isinstance(group, dict) and _matches(group.get("matcher"), source):
            inner = group.get("hooks")
            for hook in inner if isinstance(inner, list) else ():
                if isinstance(hook, dict) and isinstance(hook.get("command"), str):
                    yield hook["command"]


def _matches(matcher: object, source: str) -> bool:
    """Say whether a matcher, a regular expression or nothing, is one of this source."""
    if matcher in (None, "", "*") or not isinstance(matcher, str):
        return True
    if matcher.replace("|", "").isalpha():
        return source in matcher.split("|")
    import re  # gt writes none

    try:
        return re.fullmatch(matcher, source) is not None
    except re.error:
        return False


def is_past(command: str, env: "Mapping[str, str]") -> bool:
    """Say whether a shell's command line runs `gt prime`, and not by way of a shim."""
    if "prime" not in command:
        return False
    from gastown_tracing.events.cleaning import parts  # a long list of words, for who primes at all

    words, path = parts(command)[0], env.get("PATH", "")
    for index, word in enumerate(words):
        if word.startswith("PATH="):
            path = _expanded(word[5:], env, path)
        runs = not index or "=" in words[index - 1] or words[index - 1].endswith(BEFORE)
        if runs and word.rpartition("/")[2] == "gt" and words[index + 1 : index + 2] == ["prime"]:
            file = _expanded(word, env, path) if "/" in word else _find(word, path)
            return _is_program(file) and not is_shim(encode(file))
    return False


def _expanded(text: str, env: "Mapping[str, str]", path: str) -> str:
    """Return a shell's word with the variables that gt uses in place."""
    home = env.get("HOME", "")
    for name, value in (("PATH", path), ("HOME", home)):
        text = text.replace(f"${{{name}}}", value).replace(f"${name}", value)
    return home + text[1:] if text.startswith("~/") else text


def _find(name: str, path: str) -> str:
    for directory in path.split(":"):
        file = f"{directory or '.'}/{name}"
        if _is_program(file):
            return file
    return ""


def _is_program(file: str) -> bool:
    try:
        return posix.access(file, posix.X_OK) and posix.stat(file).st_mode & 0o170000 == 0o100000
    except OSError:
        return False
