"""What a pane shows without what steers a terminal: it can be searched, and is inert where it is shown."""

from __future__ import annotations

import unicodedata

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from gastown_tracing.events.screen import without_escapes

modest = settings(max_examples=300, deadline=None, database=None)


@pytest.mark.parametrize(
    ("text", "shown"),
    [
        ("plain\n\ttext é 漢 🎯", "plain\n\ttext é 漢 🎯"),
        ("\x1b[31mred\x1b[0m", "red"),
        ("\x1b[1;38;2;1;2;3mrgb\x1b[m", "rgb"),
        ("\x1b[38:2::1:2:3mcolon", "colon"),
        ("\x1b[?25lhidden\x1b[?25h", "hidden"),
        ("\x1b[2J\x1b[Hcleared\x1b[10;20H", "cleared"),
        ("\x1b[3 qcursor\x1b[!p", "cursor"),
        ("\x1b[200~pasted\x1b[201~", "pasted"),
        ("\x1b]0;title\x07text", "text"),
        ("\x1b]0;title\x1b\\text", "text"),
        ("\x1b]8;;https://x\x1b\\link\x1b]8;;\x1b\\", "link"),
        ("\x1b]52;c;c2VjcmV0\x07clip", "clip"),
        ("\x1bPq#0;2;0;0;0~\x1b\\sixel", "sixel"),
        ("\x1bP\x1b[31minside\x1b\\after", "after"),
        ("\x1b_apc\x1b\\\x1b^pm\x1b\\\x1bXsos\x1b\\rest", "rest"),
        ("\x1b(B\x1b)0charset\x1b%G", "charset"),
        ("\x1b7saved\x1b8\x1b=\x1b>\x1bM", "saved"),
        ("\x1b#8aligned", "aligned"),
        ("a\rb\x08c\x07d\x00e\x7ff", "abcdef"),
        ("\x9b31mc1\x85\x9d0;t\x9c", "31mc10;t"),
        ("cut\x1b", "cut"),
        ("cut\x1b[", "cut"),
        ("cut\x1b[31", "cut"),
        ("cut\x1b]0;title", "cut"),
        ("cut\x1bP never ended", "cut"),
        ("\x1b\x1b[31mtwice", "twice"),
        ("\x1b[31\nbroken", "\nbroken"),
        ("50% [done] ]x", "50% [done] ]x"),
    ],
)
def test_what_is_left_of_a_text(text: str, shown: str) -> None:
    """Sequences go as a whole, also one that the end cuts off; what they stand between stays."""
    assert without_escapes(text) == shown


controls = st.sampled_from(
    [
        "\x1b",
        "\x1b[",
        "\x1b]",
        "\x1bP",
        "\x1b\\",
        "\x07",
        "\x9b",
        "\x9c",
        "\r",
        "\x00",
        "31m",
        ";",
        "?",
        " ",
        "(",
        "m",
    ]
)
hostile = st.lists(st.one_of(controls, st.text(max_size=6)), max_size=30).map("".join)
plain = st.text(st.characters(exclude_categories=["Cc"], include_characters="\n\t"), max_size=80)


@modest
@given(hostile)
def test_nothing_is_left_that_steers_a_terminal(text: str) -> None:
    """No control character but newlines and tabs, whatever comes in; and no character that was not there."""
    shown = without_escapes(text)
    assert not [sign for sign in shown if unicodedata.category(sign) == "Cc" and sign not in "\n\t"]
    rest = iter(text)
    assert all(sign in rest for sign in shown)


@modest
@given(hostile)
def test_a_second_time_changes_nothing(text: str) -> None:
    """What is clean stays as it is."""
    once = without_escapes(text)
    assert without_escapes(once) == once


@modest
@given(plain)
def test_plain_text_is_left_alone(text: str) -> None:
    """What no terminal would act upon is there to the last character."""
    assert without_escapes(text) == text


@modest
@given(
    st.lists(plain, min_size=1, max_size=6),
    st.sampled_from(["\x1b[0m", "\x1b]0;t\x07", "\x1b(B", "\x1b7", "\x1bPx\x1b\\"]),
)
def test_only_the_sequences_go(pieces: list[str], sequence: str) -> None:
    """Text between whole sequences stays in place."""
    assert without_escapes(sequence.join(pieces)) == "".join(pieces)
