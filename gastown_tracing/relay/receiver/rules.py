"""What decides whether a text may pass: words and forms that are harmless, and the gate of all others."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass, field

PROMPTS, AGENT, BD, MAIL = (
    "GT_LOG_PROMPT_KEYS",
    "GT_LOG_AGENT_OUTPUT",
    "GT_LOG_BD_OUTPUT",
    "GT_LOG_MAIL_BODY",
)
#: The gate of who uses an agent: without it such attributes are left out, a mask would say nothing.
WHO = "GT_LOG_USER_ID"


@dataclass(frozen=True)
class Rule:
    """One attribute's rule.

    A text passes that is one of `words` or has the whole of the form `like`. Any other passes with `gate`
    alone, cut at `limit` bytes, or at what `limit_setting` says. Without its gate it becomes its length, or
    the attribute is left out (`omit`). `clean` takes the credentials out of a URL.
    """

    words: frozenset[str] = frozenset()
    like: re.Pattern[str] | None = None
    gate: str = ""
    limit: int = 4096
    limit_setting: str = ""
    omit: bool = False
    clean: bool = False
    #: Whether it is a command line, which is shown as our own are.
    command: bool = False

    def harmless(self, text: str) -> bool:
        """Return whether a text may pass as it is."""
        return text in self.words or (self.like is not None and self.like.fullmatch(text) is not None)


@dataclass(frozen=True)
class Rules:
    """The rules of a program, by attribute. `rest` is the rule of every other one; None lets it pass.

    `prefixes` are the rules of whole families of attributes. `names` is the form that the names of the
    program's spans, events and metrics have; None for any.
    """

    exact: Mapping[str, Rule]
    prefixes: Mapping[str, Rule] = field(default_factory=dict)
    rest: Rule | None = None
    names: re.Pattern[str] | None = None

    @property
    def known(self) -> bool:
        """Return whether the program is known: nothing of it passes that has no rule."""
        return self.rest is not None

    def of(self, key: str) -> Rule | None:
        """Return the rule of an attribute."""
        rule = self.exact.get(key)
        if rule is not None:
            return rule
        for prefix, found in self.prefixes.items():
            if key.startswith(prefix):
                return found
        return self.rest


def like(pattern: str, gate: str = "") -> Rule:
    """Return the rule that texts of a form pass."""
    return Rule(like=re.compile(pattern), gate=gate)


def one_of(words: str, gate: str = "") -> Rule:
    """Return the rule that these words pass."""
    return Rule(frozenset(words.split()), gate=gate)


def by_name(table: Mapping[str, Rule]) -> dict[str, Rule]:
    """Return the rule of each name, of a table whose keys are names with blanks between them."""
    return {name: rule for names, rule in table.items() for name in names.split()}


MASKED = Rule()
PROMPT = Rule(frozenset(("<REDACTED>", "")), gate=PROMPTS, limit=256)
OUTPUT = Rule(
    frozenset(("<REDACTED>", "")), gate=AGENT, limit=512, limit_setting="GT_LOG_AGENT_CONTENT_LIMIT"
)
BD_OUTPUT = Rule(gate=BD, limit=2048, limit_setting="GT_LOG_BD_CONTENT_LIMIT")
COMMAND = Rule(gate=BD, command=True)
BODY = Rule(gate=MAIL, limit=256)
PERSON = Rule(gate=WHO, limit=256, omit=True)
URL = Rule(clean=True)
NUMBER = like(r"-?\d{1,19}(\.\d{1,9})?")
FLAG = one_of("true false")
UUID = like(r"[0-9a-fA-F]{8}-([0-9a-fA-F]{4}-){3}[0-9a-fA-F]{12}")
TIME = like(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d(\.\d{1,9})?(Z|[+-]\d\d:\d\d)")
VERSION = like(r"v?\d{1,4}(\.\d{1,6}){1,3}([-+](alpha|beta|rc|dev|next)?[.\d]{0,12})?")
MODEL = like(
    r"(([a-z]{2,6}\.)?anthropic[./])?claude-[a-z0-9.:@-]{1,60}(\[1m\])?|"
    r"(gpt|gemini|glm|kimi|deepseek|qwen|mistral|grok|llama)-?[a-z0-9.:-]{1,40}|<synthetic>"
)
#: What the environment says about the session, which our own records say as well.
GIVEN = like(r"[^\x00-\x1f\x7f]{0,256}")
