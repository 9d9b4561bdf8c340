"""git's command lines by hand: which are an operation, on what repository, path and branch."""

from __future__ import annotations

import shlex

import pytest

from gastown_tracing.config import Config
from gastown_tracing.events.registry import EVENTS
from gastown_tracing.events.values import recordable
from gastown_tracing.shims.lines.classify import classify


@pytest.mark.parametrize(
    ("line", "attributes"),
    [
        ("clone --depth 1 -b main https://h/r.git dir", ("clone", "https://h/r.git", "dir", "main")),
        ("clone https://h/r.git", ("clone", "https://h/r.git", "", "")),
        ("-C /a clone r b", ("clone", "r", "/a/b", "")),
        ("-C a -C b fetch", ("fetch", "", "a/b", "")),
        ("-C a -C /b fetch", ("fetch", "", "/b", "")),
        ("--git-dir=/r.git fetch origin", ("fetch", "origin", "", "")),
        ("--git-dir /r.git fetch", ("fetch", "/r.git", "", "")),
        ("-c a.b=c -p --no-pager fetch -q --prune origin", ("fetch", "origin", "", "")),
        ("fetch origin main", ("fetch", "origin", "", "main")),
        ("fetch origin +refs/heads/main:refs/remotes/origin/main", ("fetch", "origin", "", "main")),
        ("fetch origin refs/heads/*:refs/remotes/origin/*", ("fetch", "origin", "", "")),
        ("fetch origin main dev", ("fetch", "origin", "", "")),
        ("fetch --depth 5 origin refs/tags/v1", ("fetch", "origin", "", "")),
        ("pull --rebase origin main", ("pull", "origin", "", "main")),
        ("pull", ("pull", "", "", "")),
        ("push origin main", ("push", "origin", "", "main")),
        ("push -u origin HEAD", ("push", "origin", "", "")),
        ("push origin HEAD:refs/heads/polecat/rust/de-1@x", ("push", "origin", "", "polecat/rust/de-1@x")),
        ("push origin :old", ("push", "origin", "", "old")),
        ("push --delete origin old", ("push", "origin", "", "old")),
        ("push -o ci.skip --force-with-lease origin main", ("push", "origin", "", "main")),
        ("push", ("push", "", "", "")),
        ("ls-remote --heads origin main", ("ls-remote", "origin", "", "main")),
        ("ls-remote origin v1", ("ls-remote", "origin", "", "")),
        ("checkout -b new origin/main", ("checkout", "", "", "new")),
        ("checkout -qb new", ("checkout", "", "", "new")),
        ("checkout -Bnew", ("checkout", "", "", "new")),
        ("checkout --orphan new", ("checkout", "", "", "new")),
        ("checkout -q main", ("checkout", "", "", "main")),
        ("checkout v1.2", ("checkout", "", "", "v1.2")),
        ("checkout -- main", ("checkout", "", "", "")),
        ("checkout main -- file", ("checkout", "", "", "")),
        ("checkout README.md", ("checkout", "", "", "")),
        ("checkout .", ("checkout", "", "", "")),
        ("checkout -", ("checkout", "", "", "")),
        ("checkout 0f2d97a7bc", ("checkout", "", "", "")),
        ("checkout --detach main", ("checkout", "", "", "")),
        ("checkout HEAD~1", ("checkout", "", "", "")),
        ("switch -c new", ("switch", "", "", "new")),
        ("switch main", ("switch", "", "", "main")),
        ("worktree add -b new ../w main", ("worktree", "", "../w", "new")),
        ("-C /r worktree add w main", ("worktree", "", "/r/w", "main")),
        ("worktree add --detach w main", ("worktree", "", "w", "")),
        ("--git-dir=/r.git worktree remove /w --force", ("worktree", "/r.git", "/w", "")),
        ("worktree move a b", ("worktree", "", "b", "")),
        ("worktree prune --expire now", ("worktree", "", "", "")),
        ("worktree repair", ("worktree", "", "", "")),
        ("remote -v update --prune", ("remote", "", "", "")),
        ("remote prune origin", ("remote", "origin", "", "")),
        ("submodule --quiet update --init --depth 1 sub", ("submodule", "", "", "")),
    ],
)
def test_an_operation_says_what_it_is_about(line: str, attributes: tuple[str, str, str, str]) -> None:
    """As far as its arguments tell; a path or a commit is no branch."""
    seen = classify("git", shlex.split(line))
    assert seen is not None
    assert seen.event == "git.operation"
    found = tuple(seen.attributes.get(name, "") for name in ("operation", "repo", "path", "branch"))
    assert found == attributes


@pytest.mark.parametrize(
    "line",
    [
        "",
        "--version",
        "--help fetch",
        "-h",
        "--exec-path",
        "rev-parse HEAD",
        "status",
        "remote",
        "remote -v",
        "remote get-url origin",
        "remote add origin url",
        "worktree list --porcelain",
        "worktree lock w",
        "worktree",
        "submodule status",
        "submodule add url",
        "branch -D main",
        "config --get fetch.prune",
        "-c fetch",
        "-C fetch",
        "--git-dir fetch",
        "grep push",
        "co main",
        "stash push",
        "commit -m push",
    ],
)
def test_every_other_command_is_not_seen(line: str) -> None:
    """Also where one of the words is one that would be; what an alias means only git knows."""
    assert classify("git", shlex.split(line)) is None


@pytest.mark.parametrize(
    "line",
    [
        "clone https://me:CANARY@h/r.git?token=CANARY",
        "push https://me:CANARY@h/r.git main",
        "fetch me:CANARY@h:r.git",
        "push origin https://me:CANARY@h/r.git",
        "-C https://me:CANARY@h/x fetch",
        "checkout https://me:CANARY@h/x",
        "clone -b https://me:CANARY@h/x r",
        "worktree add https://me:CANARY@h/x",
    ],
)
def test_no_credentials_are_recorded(line: str) -> None:
    """The registry cleans what is an address, and nothing else can be one."""
    seen = classify("git", shlex.split(line))
    assert seen is not None
    recorded = recordable(EVENTS["git.operation"], seen.attributes, Config({}), lambda _: None)
    assert "CANARY" not in str(recorded)
