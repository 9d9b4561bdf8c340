"""git's commands that are events, and the options that stand before a command: data.

`classify` reads it, and the shell's table is made of it. Option names are those of git 2.39 and later.
"""

#: The commands that are events, with the words behind them that make them one; "" for any.
OPERATIONS = {
    "checkout": "",
    "clone": "",
    "fetch": "",
    "ls-remote": "",
    "pull": "",
    "push": "",
    "remote": "prune update",
    "submodule": "update",
    "switch": "",
    "worktree": "add move prune remove repair",
}

#: Options before the command that take the next word as their value (handle_options in git.c).
GLOBAL_VALUES = """
    --attr-source --config-env --git-dir --namespace --shallow-file --super-prefix --work-tree -C -c
    """
#: Options before the command after which git runs none: it prints something, and ends.
GLOBAL_ENDS = "--exec-path --help --html-path --info-path --man-path --version -h -v"

#: Options behind a command, or its word, that take the next word as their value.
VALUES = {
    "checkout": "--conflict --orphan --pathspec-from-file -B -b",
    "clone": """
        --branch --bundle-uri --config --depth --filter --jobs --origin --ref-format --reference
        --reference-if-able --revision --separate-git-dir --server-option --shallow-exclude --shallow-since
        --template --upload-pack -b -c -j -o -u
        """,
    "fetch": """
        --deepen --depth --filter --jobs --negotiation-tip --refmap --server-option --shallow-exclude
        --shallow-since --submodule-prefix --upload-pack -j -o
        """,
    "ls-remote": "--exec --server-option --sort --upload-pack -o",
    "pull": """
        --cleanup --deepen --depth --filter --jobs --negotiation-tip --refmap --server-option
        --shallow-exclude --shallow-since --strategy --strategy-option --upload-pack -X -j -o -s
        """,
    "push": "--exec --push-option --receive-pack --recurse-submodules --repo -o",
    "submodule": "--depth --filter --jobs --reference -j",
    "switch": "--conflict --create --force-create --orphan -C -c",
    "worktree": "--expire --reason -B -b",
}
