"""git's command lines: operations on a network, a branch or a working directory are `git.operation`.

What an alias stands for only git knows: none is an operation here.
"""

from gastown_tracing.shims.lines import git_table
from gastown_tracing.shims.lines.saying import said
from gastown_tracing.shims.lines.seen import Seen

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

#: What no branch has in its name, and what stands where one does but is none (git-check-ref-format(1)).
_NO_BRANCH = ("..", "@{", "//", "~", "^", ":", "?", "*", "[", "\\", " ", "\x7f")
_OTHER = ("-", "@", "HEAD", "FETCH_HEAD", "ORIG_HEAD", ".")
_HEADS = "refs/heads/"


class Words:
    """git's words: those of the command and its options, taken apart.

    `directory` and `git_dir` are of the options before the command, "" for none. `options` are those behind
    it, with their value or "", `words` what is no option, `before` how many of them stand before a `--`.
    """

    __slots__ = ("before", "directory", "git_dir", "operation", "options", "words")

    def __init__(self, arguments: "Sequence[str]") -> None:
        self.directory = self.git_dir = self.operation = ""
        self.options: dict[str, str] = {}
        self.words: list[str] = []
        self.before = -1
        rest = self._command(list(arguments))
        if self.operation in git_table.OPERATIONS:
            self._options(rest, frozenset(git_table.VALUES.get(self.operation, "").split()))

    def _command(self, rest: list[str]) -> list[str]:
        """Read what stands before the command, and the command; return what follows."""
        values, ends = git_table.GLOBAL_VALUES.split(), git_table.GLOBAL_ENDS.split()
        place = 0
        while place < len(rest):
            word = rest[place]
            place += 1
            if word[:1] != "-":
                self.operation = word
                break
            option, equals, value = word.partition("=")
            if word in ends:
                break
            if not equals and option in values:
                value = rest[place] if place < len(rest) else ""
                place += 1
            if option in ("-C", "--work-tree"):
                self.directory = joined(self.directory, value)
            elif option == "--git-dir":
                self.git_dir = value
        return rest[place:]

    def _options(self, rest: list[str], values: frozenset[str]) -> None:
        place = 0
        while place < len(rest):
            word = rest[place]
            place += 1
            if word == "--":
                self.before = len(self.words)
                self.words += rest[place:]
                return
            if word[:1] != "-" or word == "-":
                self.words.append(word)
                continue
            option, equals, value = word.partition("=") if word[:2] == "--" else _letters(word, values)
            if not equals and option in values:
                value = rest[place] if place < len(rest) else ""
                place += 1
            self.options[option] = value

    def value(self, *names: str) -> str:
        """Return the value of the first of these options that is given."""
        return next((self.options[name] for name in names if name in self.options), "")


def _letters(word: str, values: frozenset[str]) -> tuple[str, str, str]:
    """Return (option, "" or what says that its value is here, value) of `-b`, `-bNAME` or `-qb`."""
    for place in range(1, len(word)):
        option = f"-{word[place]}"
        if option in values:
            return option, word[place + 1 : place + 2], word[place + 1 :]
    return word, "", ""


def classify(arguments: "Sequence[str]") -> Seen | None:
    """Return what a command line of git is, None where nobody wants to see it. Never raises."""
    words = Words(arguments)
    behind = git_table.OPERATIONS.get(words.operation)
    if behind is None:
        return None
    if behind and (not words.words or words.words[0] not in behind.split()):
        return None
    facts = RULES[words.operation](words)
    known = {
        "repo": words.git_dir,
        "path": words.directory,
        **{key: value for key, value in facts.items() if value},
    }
    return Seen("git.operation", said({"operation": words.operation, **known}))


def joined(directory: str, path: str) -> str:
    """Return a path as seen from the directory that git is told to work in."""
    return path if not path or not directory or path[0] in "/~" else f"{directory.rstrip('/')}/{path}"


def branch(word: str) -> str:
    """Return a branch that a word names, "" for what is or can be none."""
    word = word.removeprefix(_HEADS)
    if word in _OTHER or word[:1] in ("", "-", ".", "/") or word.startswith("refs/"):
        return ""
    if word.endswith(("/", ".", ".lock")) or any(part in word for part in _NO_BRANCH):
        return ""
    return word if word.isprintable() else ""


def _checked_out(word: str) -> str:
    """Return a branch where a path or a commit may stand as well: only git can tell, but not these two."""
    ending = word.rpartition("/")[2].rpartition(".")[2] if "." in word.rpartition("/")[2] else ""
    is_commit = 7 <= len(word) <= 64 and not word.strip("0123456789abcdef")
    return "" if ending.isalpha() or is_commit else branch(word)


def _clone(words: Words) -> dict[str, str]:
    repo, path = [*words.words, "", ""][:2]
    return {
        "repo": repo,
        "path": joined(words.directory, path),
        "branch": branch(words.value("--branch", "-b")),
    }


def _remote(words: Words, *, to: bool) -> dict[str, str]:
    """Return what an exchange with a remote is about: of one refspec the branch there."""
    repo = words.value("--repo") or (words.words or [""])[0]
    refs = words.words[1:]
    if len(refs) != 1:
        return {"repo": repo}
    source, colon, target = refs[0].removeprefix("+").partition(":")
    return {"repo": repo, "branch": branch(target if to and colon else source)}


def _from_remote(words: Words) -> dict[str, str]:
    return _remote(words, to=False)


def _push(words: Words) -> dict[str, str]:
    return _remote(words, to=True)


def _ls_remote(words: Words) -> dict[str, str]:
    heads = {"--heads", "--branches", "-h", "-b"} & words.options.keys()
    found = _remote(words, to=False)
    return found if heads else {"repo": found["repo"]}


def _checkout(words: Words) -> dict[str, str]:
    made = words.value("-b", "-B", "--orphan", "-c", "-C", "--create", "--force-create")
    if made:
        return {"branch": branch(made)}
    if words.options.keys() & {"--detach", "-d"} or len(words.words) != 1 or words.before == 0:
        return {}
    word = words.words[0]
    return {"branch": branch(word) if words.operation == "switch" else _checked_out(word)}


def _behind(words: Words) -> dict[str, str]:
    """Return what `git remote update` and `git remote prune` are about."""
    names = words.words[1:]
    return {"repo": names[0]} if words.words[0] == "prune" and len(names) == 1 else {}


def _worktree(words: Words) -> dict[str, str]:
    paths = words.words[1:]
    if words.words[0] == "move":
        return {"path": joined(words.directory, paths[1])} if len(paths) == 2 else {}
    found = {"path": joined(words.directory, paths[0])} if paths else {}
    if words.words[0] == "add":
        made = words.value("-b", "-B")
        of = paths[1] if len(paths) == 2 and "--detach" not in words.options else ""
        found["branch"] = branch(made) if made else _checked_out(of)
    return found


def _nothing(words: Words) -> dict[str, str]:  # noqa: ARG001  # as the others
    return {}


#: What an operation is about, from its words.
RULES: "dict[str, Callable[[Words], dict[str, str]]]" = {
    "checkout": _checkout,
    "clone": _clone,
    "fetch": _from_remote,
    "ls-remote": _ls_remote,
    "pull": _from_remote,
    "push": _push,
    "remote": _behind,
    "submodule": _nothing,
    "switch": _checkout,
    "worktree": _worktree,
}
