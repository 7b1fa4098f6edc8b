"""Base64url has one spelling: two texts never mean the same bytes."""

import pytest

from shared import base64url


@pytest.mark.parametrize("size", range(9))
def test_what_was_encoded_is_read_back(size: int) -> None:
    raw = bytes(range(251, 251 - size, -1))
    text = base64url.encode(raw)
    assert "=" not in text
    assert base64url.decode(text) == raw


@pytest.mark.parametrize(
    "text",
    [
        pytest.param("+/+/", id="the other alphabet"),
        pytest.param("AAE=", id="padding"),
        pytest.param("AAF", id="spare bits"),
        pytest.param("A", id="too short"),
        pytest.param("AA AA", id="a space"),
        pytest.param("AAAA\n", id="a line's end"),
        pytest.param("AAAÄ", id="not ASCII"),
        pytest.param("AAA\ud800", id="a lone surrogate"),
    ],
)
def test_no_other_spelling_is_read(text: str) -> None:
    with pytest.raises(ValueError):  # noqa: PT011 - the library's own texts
        base64url.decode(text)
