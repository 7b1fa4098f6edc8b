"""Strings as SQLite holds them: nothing is cut off at a NUL, and their order stays."""

from hypothesis import given, settings
from hypothesis import strategies as st

from shared.store.sqlite.codec import decoded, encoded, hidden

texts = st.text(st.sampled_from(["\0", "\x01", "\x02", "a", "é"]), max_size=6)
values = texts | st.lists(texts, max_size=3) | st.dictionaries(texts, texts, max_size=2)


@given(texts, texts)
@settings(database=None, derandomize=True)
def test_hidden_strings_sort_as_the_strings_themselves(one: str, other: str) -> None:
    assert (hidden(one) < hidden(other)) == (one < other)  # type: ignore[operator]
    assert (hidden(one) == hidden(other)) == (one == other)


@given(
    st.dictionaries(texts, texts | st.lists(texts, max_size=3) | st.dictionaries(texts, texts, max_size=2))
)
@settings(database=None, derandomize=True)
def test_bodies_come_back_and_no_top_level_string_holds_a_nul(body: dict[str, object]) -> None:
    text = encoded(body)
    assert decoded(text) == body
    flat = {name: value for name, value in body.items() if isinstance(value, str) and "\0" not in name}
    assert "\\u0000" not in encoded(flat)
