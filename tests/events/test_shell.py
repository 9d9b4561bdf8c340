"""Words of a shell's command line, taken apart and put together as the standard library does."""

from __future__ import annotations

import shlex

from hypothesis import given
from hypothesis import strategies as st

from gastown_tracing.events.shell import quote, split

WORDS = st.text("ab'\"\\ \t\n$`é=-")


@given(WORDS)
def test_a_word_is_quoted_where_a_shell_needs_that(word: str) -> None:
    assert quote(word) == shlex.quote(word)


@given(st.lists(WORDS))
def test_what_was_quoted_comes_back(words: list[str]) -> None:
    """Each word with the place where it ends in the line."""
    line = " ".join(map(quote, words))
    found = list(split(line))
    assert [word for word, _ in found] == words
    assert [line[end : end + 1] for _, end in found[:-1]] == [" "] * (len(words) - 1 if words else 0)


@given(WORDS, st.sampled_from("'\""))
def test_a_quote_that_is_never_closed_is_told(word: str, sign: str) -> None:
    """The words before it are whole; the place of the last one is none."""
    *whole, last = list(split(f"{quote(word)} {sign}a b"))
    assert [word for word, _ in whole] == [word]
    assert last == ("a b", -1)
