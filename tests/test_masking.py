"""What a record may show of a command line: known words, values that are harmless, and nothing else."""

from __future__ import annotations

import re
import shlex
import subprocess
import sys
from collections.abc import Callable, Iterable
from pathlib import Path

import pytest
from hypothesis import assume, given
from hypothesis import strategies as st

import gastown_tracing
from gastown_tracing import words
from gastown_tracing.events.cleaning import asked, parts, shown
from gastown_tracing.masking import command_words, is_id, masked, opened, subcommand, without_credentials
from tests.corpus import CANARIES, command_lines, with_canary


@pytest.mark.parametrize("canary", CANARIES)
@pytest.mark.parametrize("program", ["bd", "git", "gt", "tmux"])
def test_a_canary_in_any_position_is_not_shown(program: str, canary: str) -> None:
    """At every place, in every form of an argument, in every command line of a town."""
    lines = command_lines(program)
    assert len(lines) > 50
    for line in lines:
        for spoiled in with_canary(line, canary):
            name, shown = masked("bd", spoiled)
            seen = f"{name}\n{shown}\n{command_words(program, spoiled)}\n{subcommand(program, spoiled)[1]}"
            assert canary not in seen, spoiled


SHOWN = {
    "version": "version",
    "prime": "prime",
    "show de-1tr --json": "show de-1tr --json",
    "show --json de-1tr": "show --json de-1tr",
    "show hq-wisp-nn64": "show hq-wisp-nn64",
    "show de-demo-polecat-rust --json": "show ‹20 bytes› --json",
    "show __health_check_nonexistent__ --json": "show ‹28 bytes› --json",
    "list --json --status=hooked --assignee=demo/polecats/rust --limit=0 --flat": (
        "list --json --status=hooked --assignee=‹18 bytes› --limit=0 --flat"
    ),
    "list --label gt:message --label cc:demo/witness --json --limit 0 --flat": (
        "list --label gt:message --label cc:‹12 bytes› --json --limit 0 --flat"
    ),
    "list --json --status=all --priority=0 --parent=de-wisp-bjtd --limit=0 --flat": (
        "list --json --status=all --priority=0 --parent=de-wisp-bjtd --limit=0 --flat"
    ),
    "list --type=convoy --status=open --json": "list --type=convoy --status=open --json",
    "list --status=open --tag=escalation --json": "list --status=open --tag=escalation --json",
    "kv list --json": "kv list --json",
    "cook mol-polecat-work": "cook mol-polecat-work",
    "mol wisp mol-polecat-work --var feature=Fix search --var issue=de-1tr --var base_branch=main --json": (
        "mol wisp mol-polecat-work --var feature=‹10 bytes› --var issue=de-1tr --var base_branch=‹4 bytes› "
        "--json"
    ),
    "mol bond de-wisp-bjtd de-1tr --json": "mol bond de-wisp-bjtd de-1tr --json",
    "update de-1tr --status=hooked --assignee=demo/polecats/rust": (
        "update de-1tr --status=hooked --assignee=‹18 bytes›"
    ),
    "update de-demo-polecat-rust --add-label=done-intent:COMPLETED:1795215905": (
        "update ‹20 bytes› --add-label=done-intent:COMPLETED:‹10 bytes›"
    ),
    "update hq-7b5 --add-label=severity:high --add-label=escalation:hq-wisp-ksg": (
        "update hq-7b5 --add-label=severity:high --add-label=escalation:hq-wisp-ksg"
    ),
    "comments add de-1tr MR created: de-wisp-r9p": "comments add de-1tr ‹23 bytes›",
    "comment de-22l hello": "comment de-22l ‹5 bytes›",
    "close de-22l --reason done --json": "close de-22l --reason ‹4 bytes› --json",
    "close nosuch-1": "close ‹8 bytes›",
    "label add hq-wisp-739 delivery:acked": "label add hq-wisp-739 delivery:acked",
    "label add hq-wisp-739 delivery-acked-by:mayor/": "label add hq-wisp-739 delivery-acked-by:‹6 bytes›",
    "config get status.custom": "config get status.custom",
    "dep add de-22l de-1tr": "dep add de-22l de-1tr",
    "create New from human -t bug -p 0 -d A secret description --json": (
        "create ‹14 bytes› -t bug -p 0 -d ‹20 bytes› --json"
    ),
    "create --assignee mayor/ -d Which login? --priority 2 --labels gt:message,from:demo/witness,"
    "msg-type:notification,delivery:pending,thread:thread-62678220cacc --actor demo/witness --ephemeral "
    "-- Question": (
        "create --assignee ‹6 bytes› -d ‹12 bytes› --priority 2 --labels gt:message,from:‹12 bytes›,"
        "msg-type:notification,delivery:pending,thread:‹19 bytes› --actor ‹12 bytes› --ephemeral -- ‹8 bytes›"
    ),
    "create --nosuchflag": "create ‹12 bytes›",
    "nosuch": "‹6 bytes›",
}


@pytest.mark.parametrize("text", SHOWN)
def test_how_lines_of_a_town_are_shown(text: str) -> None:
    """Who reads a town's bd calls masked can tell what was asked."""
    (line,) = [line for line in command_lines("bd") if " ".join(line) == text]
    assert masked("bd", line)[1] == SHOWN[text]


@pytest.mark.parametrize(
    ("line", "shown"),
    [
        (["update", "-p1", "-t", "bug", "-sopen"], "update -p1 -t bug -sopen"),
        (["update", "-p=1", "-p=9", "-phunter"], "update -p=1 -p=‹1 bytes› -p‹6 bytes›"),
        (["list", "--status=open,in_progress,x"], "list --status=open,in_progress,‹1 bytes›"),
        (["list", "-n5", "--limit", "1234567890"], "list -n5 --limit ‹10 bytes›"),
        (["list", "--limit", "-1", "--limit", "٣"], "list --limit ‹2 bytes› --limit ‹2 bytes›"),
        (["list", "--json=true", "--json=yes"], "list --json=true --json=‹3 bytes›"),
        (["purge", "--older-than", "7d", "--older-than="], "purge --older-than 7d --older-than=‹0 bytes›"),
        (["create", "--deps", "blocks:de-1tr,x:de-1tr,de-1"], "create --deps blocks:de-1tr,‹8 bytes›,de-1"),
        (["create", "-e", "60", "-e", "A_1=x", "--env=é=x"], "create -e 60 -e A_1=‹1 bytes› --env=‹4 bytes›"),
        (["create", "-e", "a=x", f"-e{'A' * 40}=", f"-e{'A' * 41}=", "-e=1=x"],
         f"create -e ‹3 bytes› -e{'A' * 40}=‹0 bytes› -e‹42 bytes› -e=‹3 bytes›"),
        (["update", "--set-metadata", "team=x"], "update --set-metadata ‹6 bytes›"),
        (["mol", "wisp", "x", "--var=base_branch=x", "--var", "k=v"],
         "mol wisp ‹1 bytes› --var=base_branch=‹1 bytes› --var ‹3 bytes›"),
        (["close", "-r", "-x", "de-1tr", "de-2.1.3"], "close -r ‹2 bytes› de-1tr de-2.1.3"),
        (["close", "--", "de-1tr", "--json", "--"], "close -- de-1tr ‹6 bytes› ‹2 bytes›"),
        (["label", "add", "de-1tr", "read", "de-1tr"], "label add de-1tr read ‹6 bytes›"),
        (["priority", "de-1tr", "P0"], "priority de-1tr P0"),
        (["mol", "--json", "wisp"], "mol --json ‹4 bytes›"),
        (["show", "show", "list"], "show ‹4 bytes› ‹4 bytes›"),
        (["--actor", "de-1tr", "--db=x", "de-1", "show"], "--actor ‹6 bytes› --db=‹1 bytes› ‹4 bytes› show"),
        (["--", "list"], "-- ‹4 bytes›"),
        (["\udcff", ""], "‹3 bytes› ‹0 bytes›"),
    ],
)  # fmt: skip
def test_the_forms_of_arguments(line: list[str], shown: str) -> None:
    """Glued, behind `=`, as a list, behind `--`: each value is matched by what its flag or place takes."""
    assert masked("bd", line)[1] == shown


@pytest.mark.parametrize(
    "text",
    ["de-1tr", "hq-7b5", "hq-cv-mqruw", "de-wisp-bjtd", "gt-mr-001", "a1-42", "abc-a1b2c3", "de-1tr.2.10.1"],
)
def test_ids(text: str) -> None:
    """The ids of a town's beads, wisps, convoys, merge requests and children are known by their form."""
    assert is_id(text)


@pytest.mark.parametrize(
    "text",
    [
        *CANARIES,
        *("", "-", "de-", "-1tr", "d-1tr", "1d-1tr", "De-1tr", "de-1TR", "de-ab", "de-a1b2c3d", "de-1tr-2"),
        *("de-cv-", "de-xx-1tr", "de-wisp-wisp-1tr", "de_1tr", "de-1tr.", "de-1tr.x", "de-1tr.1.2.3.4"),
        *("de-1tr.1234", "de-٣٣٣", "de-1tr\n", " de-1tr", "de-é12", "rust-1tr", "d!e-1tr", "de-1t!r"),
    ],
)
def test_no_ids(text: str) -> None:
    """What is longer, or made of other characters, is none."""
    assert not is_id(text)


@pytest.mark.parametrize(
    ("program", "line", "words"),
    [
        ("gt", ["mail", "send", "mayor/", "-s", "x"], "mail send"),
        ("gt", ["nudge", "hunter", "wake up"], "nudge"),
        ("gt", ["--token", "s3cret", "mail", "inbox"], "mail inbox"),
        ("git", ["-C", "/home", "push", "origin"], "push"),
        ("gt", [], ""),
        ("sh", ["list"], ""),
    ],
)
def test_the_words_of_a_command(program: str, line: list[str], words: str) -> None:
    """The program's own words, however options stand before them, and no argument."""
    assert command_words(program, line) == words


def _known() -> set[str]:
    """Return every word of the lists, those of flags with their dashes."""
    tables = [
        words.SUBCOMMANDS,
        words.NESTED,
        words.FLAGS,
        words.ENUMERATIONS,
        words.LABEL_KEYS,
        words.VARIABLES,
    ]
    texts = [text for table in tables for text in table.values()]
    return {word for text in [*texts, words.DEPENDENCIES, words.LABELS, words.DONE] for word in text.split()}


KNOWN = sorted(_known())
FLAGS = [word for word in KNOWN if word[0] == "-"]
#: What may be shown, written down a second time: a known word, a number, an id, a mask, and what joins them.
MASK = r"‹\d+ bytes›"
BEAD = r"[a-z][a-z0-9]{1,2}-((cv|mol|mr|wisp)-)?([a-z0-9]{3,6}|[0-9]{1,2})(\.[0-9]{1,3}){0,3}"
VALUE = f"({MASK}|{BEAD}|[0-9]{{1,9}}[smhdw]?|{'|'.join(map(re.escape, KNOWN))})"
LIST = f"({VALUE}[:=])*{VALUE}(,({VALUE}[:=])*{VALUE})*"
FLAG = f"({'|'.join(FLAGS)})=|-[A-Za-z]=?"
HARMLESS = re.compile(f"({FLAG})?({LIST}|[A-Z_][A-Z0-9_]{{0,39}}={MASK})|-[A-Za-z]|--")
PIECES = re.compile(f"({MASK}|[^ ])+")


odd = st.text("abz019-.,:= ‹›é\n", max_size=12)
lines = st.lists(
    st.one_of(
        st.sampled_from(KNOWN),
        st.text(),
        odd,
        st.builds("{}={}".format, st.sampled_from(FLAGS), odd),
        st.builds("{}{}".format, st.sampled_from(FLAGS), odd),
        st.builds("{}:{}".format, st.sampled_from(KNOWN), odd),
    ),
    max_size=8,
)


@given(lines)
def test_only_what_is_harmless_survives(line: list[str]) -> None:
    """Whatever the arguments are: each shown word is known, harmless by its form, or a length."""
    name, shown = masked("bd", line)
    assert name in line or not name
    pieces = [found[0] for found in PIECES.finditer(shown)]
    assert len(pieces) == len(line)
    assert [piece for piece in pieces if not HARMLESS.fullmatch(piece)] == []


@pytest.mark.parametrize(
    ("url", "shown"),
    [
        ("https://user:pass@host.example:8443/o/r.git?token=x#y", "https://host.example:8443/o/r.git"),
        ("https://token@host", "https://host"),
        ("https://user:p@ss@host/x", "https://host/x"),
        ("https://host#x/y?z", "https://host"),
        ("http://localhost:4318/v1/traces", "http://localhost:4318/v1/traces"),
        ("http://u@[::1]:80/x?a", "http://[::1]:80/x"),
        ("ssh://git@host:22/x.git", "ssh://host:22/x.git"),
        ("git+ssh://u:p@host/x", "git+ssh://host/x"),
        ("git@host:o/r.git", "git@host:o/r.git"),
        ("me@host:o/r.git", "host:o/r.git"),
        ("host:o/r.git", "host:o/r.git"),
        ("file:///home/op/x@y", "file:///home/op/x@y"),
        ("/home/op/x@y", "/home/op/x@y"),
        ("../x@y", "../x@y"),
        ("origin", "origin"),
        ("", ""),
    ],
)
def test_urls_lose_their_credentials(url: str, shown: str) -> None:
    """Userinfo, query and fragment go, host and path stay."""
    assert without_credentials(url) == shown


@pytest.mark.parametrize(
    "url",
    [
        *("https://u:pa/ss@host/x", "https://u:12/3@host", "https://u:p?a@host", "https://u:1#2@host/"),
        *("https://u:p@s/s@host/", "u:p@host", "u:p@ss@host:x", "u@host/x", "//u:p@host/x", "a/b@host:x"),
        *("file://u:p/w@host/x", "fatal: 'https://u:p@host/x'", "x::https://u:p@host/", "://", "https://"),
        *("ext::sh -c secret", "x::secret"),
        *("u@h ost:x", "@", "\udcff@", "https://hé/x"),
    ],
)
def test_what_may_hold_a_password_in_no_clear_place_is_masked_whole(url: str) -> None:
    """Where it is not clear that something is a host or path, nothing of it is shown."""
    length = len(url.encode("utf-8", "surrogatepass"))
    assert without_credentials(url) == f"‹{length} bytes›"


@given(
    st.text("ab1@:/?#[].%~ é-", max_size=20), st.sampled_from(["", "https://", "ssh://", "file://", "x://"])
)
def test_no_password_survives_in_a_url(text: str, scheme: str) -> None:
    """Whatever the text is: what is shown of it before its path has no `@` but that of `git@`."""
    shown = without_credentials(scheme + text)
    rest = shown.removeprefix("git@").partition("://")[2] if "://" in shown else shown.removeprefix("git@")
    assert "@" not in rest or scheme == "file://" or shown[:1] in ("/", ".", "~")


@given(st.text("abc:@/?#9", min_size=1), st.text("abc/", max_size=5))
def test_no_userinfo_survives(userinfo: str, path: str) -> None:
    """Whatever a user and a password are made of, no part of them is shown."""
    secret = userinfo.upper()
    shown = without_credentials(f"https://{secret}@host/{path}")
    assert not set("ABC") & set(shown)


@pytest.mark.parametrize("canary", CANARIES)
@pytest.mark.parametrize("join", [shlex.join, " ".join], ids=["quoted", "not quoted"])
def test_a_canary_in_a_line_of_text_is_not_shown(join: Callable[[Iterable[str]], str], canary: str) -> None:
    """A command line given as one text, quoted as in a shell or not at all, shows no more than its words."""
    for line in command_lines("bd"):
        for spoiled in with_canary(line, canary):
            text = join(spoiled)
            assert canary not in f"{shown(text, whole=False)}\n{asked(text)}", text


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ('close de-1 --reason "password is pw-hunt3r now"', "close de-1 --reason ‹25 bytes›"),
        ("close de-1 --reason 'pw-hunt3r it\"s'", "close de-1 --reason ‹14 bytes›"),
        ("close de-1 --reason pw\\ de-2", "close de-1 --reason ‹7 bytes›"),
        ('close de-1 "" --json', "close de-1 ‹0 bytes› --json"),
        ('close de-1 --reason "pw-hunt3r de-2', "close ‹29 bytes›"),
        ("close de-1 --reason it's de-2", "close ‹23 bytes›"),
        ("close de-1 \\", "close ‹6 bytes›"),
        ('--title "close de-1', "‹19 bytes›"),
        ("", ""),
        (" \n", ""),
    ],
)
def test_text_is_taken_apart_as_in_a_shell(text: str, expected: str) -> None:
    """Quotes keep a value together; behind one that is never closed nothing is a word, opt-in or not."""
    assert shown(text, whole=False) == expected
    assert "‹" in shown(text, whole=True) or parts(text)[1] == ""


@given(st.lists(st.text(st.characters(exclude_categories=["Cs"]), max_size=8), max_size=6))
def test_what_a_shell_quotes_is_found_again(line: list[str]) -> None:
    """Whatever the words are; what shlex cannot take apart has a rest, and nothing raises."""
    assert parts(shlex.join(line)) == (line, "")


@given(st.text("ab '\"\\\n\t"))
def test_lines_are_split_as_shlex_does(text: str) -> None:
    """Blanks, both quotes and the backslash, in any order; a line that goes on below is not shlex's."""
    assume("\\\n" not in text)
    try:
        assert parts(text) == (shlex.split(text), "")
    except ValueError:
        assert parts(text) == ([], text)


@pytest.mark.parametrize(
    ("line", "expected"),
    [
        (["-e", "TOKEN=x y", "list"], "-e TOKEN=‹3 bytes› list"),
        (["--env", "token=x"], "--env token=‹1 bytes›"),
        (["--env=TOKEN=x=y", "-eT=x", "-e=T=x"], "--env=TOKEN=‹3 bytes› -eT=‹1 bytes› -e=T=‹1 bytes›"),
        (["create", "-e", "60", "-d", "all of it"], "create -e 60 -d all of it"),
        (["--url", "https://u:p@host/x?token=y"], "--url https://host/x"),
        (["--url=https://u:p@host/x?token=y"], "--url=https://host/x"),
        (["-d", "see https://u:p@host/x?y now\nand ssh://v@h/"], "-d see https://host/x now\nand ssh://h/"),
        (["--var", "repo=https://p@h/?x=y"], "--var repo=https://h/"),
        (["https://u:p/w@h/"], "‹16 bytes›"),
        (["-e", "https://u:p@h/"], "-e https://h/"),
    ],
)  # fmt: skip
def test_no_opt_in_shows_credentials(line: list[str], expected: str) -> None:
    """With GT_LOG_BD_OUTPUT all is shown but the values of variables, and userinfo and query of URLs."""
    assert opened(line) == expected


def test_masking_loads_nothing_but_its_words() -> None:
    """It stands on the path of every traced bd command, where `re` would cost as much as all the rest."""
    root = Path(gastown_tracing.__file__ or "").parent.parent
    code = (
        f"import sys; before = set(sys.modules); sys.path.insert(0, {str(root)!r})\n"
        "import gastown_tracing.masking\nprint(*sorted(set(sys.modules) - before))"
    )
    done = subprocess.run(
        [sys.executable, "-I", "-S", "-E", "-c", code], capture_output=True, text=True, check=True
    )
    assert done.stdout.split() == ["gastown_tracing", "gastown_tracing.masking", "gastown_tracing.words"]
