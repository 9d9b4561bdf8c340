"""What git says of a working directory: the question, how it is asked, and what is kept of the answer."""

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Mapping

#: Seconds that git has for an answer.
SECONDS = 5
#: What would lead git elsewhere: a spawner's own, that of a hook of git's say.
ELSEWHERE = ("GIT_DIR", "GIT_WORK_TREE")


def question(work_dir: str) -> list[str]:
    """Return the words behind `git` that ask for the commit and the branch of a working directory."""
    return ["-C", work_dir or ".", "rev-parse", "HEAD", "--abbrev-ref", "HEAD"]


def read(said: str) -> dict[str, str]:
    """Return git_commit and git_branch of git's answer, only what it says."""
    words = said.split()
    if len(words) != 2:
        return {}
    commit, branch = words
    return {"git_commit": commit, **({"git_branch": branch} if branch != "HEAD" else {})}


def git_head(env: "Mapping[str, str]", work_dir: str) -> dict[str, str]:
    """Return git_branch and git_commit of the working directory, only what can be read."""
    import subprocess  # a shim asks without it

    plain = {name: value for name, value in env.items() if name not in ELSEWHERE}
    command = ["git", *question(work_dir)]
    try:
        answer = subprocess.run(
            command, env=plain, capture_output=True, text=True, timeout=SECONDS, check=True
        )
    except (OSError, subprocess.SubprocessError, ValueError):
        return {}
    return read(answer.stdout)
