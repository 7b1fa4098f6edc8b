"""Queries and forms are decoded as `urllib` does it, in a time that nobody notices."""

import time
from urllib.parse import parse_qsl

import pytest
from hypothesis import given
from hypothesis import strategies as st

from shared.errors import BadRequest
from shared.http.urlencoded import MAX_ESCAPES, MAX_FIELDS, pairs_of

PIECES = st.sampled_from(["&", "=", "+", "%", "%4", "%41", "%C3%A9", "%26", "%zz", "é", "a", ";", " ", "\0"])


@given(st.lists(PIECES, max_size=30).map("".join))
def test_it_is_read_as_a_library_reads_it(text: str) -> None:
    expected = parse_qsl(text, keep_blank_values=True, errors="strict", separator="&")
    assert pairs_of(text.encode(), "malformed_form") == expected


@pytest.mark.parametrize("raw", [b"a=%ff", b"a=\xff", b"\xff", b"a=%C3", b"a=%C3&%A9=b"])
def test_what_is_not_utf_8_is_refused(raw: bytes) -> None:
    with pytest.raises(BadRequest) as refused:
        pairs_of(raw, "malformed_form")
    assert refused.value.code == "malformed_form"


@pytest.mark.parametrize(
    ("piece", "most"), [(b"%41", MAX_ESCAPES), (b"%", MAX_ESCAPES), (b"&a", MAX_FIELDS - 1)]
)
def test_there_is_an_end_to_what_takes_time_to_decode(piece: bytes, most: int) -> None:
    """22 000 escapes have room in a form; `%%%` took 20 ms."""
    assert pairs_of(b"a" + piece * most, "malformed_form")
    with pytest.raises(BadRequest, match="Send at most"):
        pairs_of(b"a" + piece * (most + 1), "malformed_form")


def test_what_is_not_all_ascii_takes_no_longer() -> None:
    """A form of 64 KiB like this took 13 ms and takes 0.2 ms."""
    raw = b"a=" + "éa".encode() * 21_800 + b"%41"

    def seconds() -> float:
        began = time.process_time()
        assert len(pairs_of(raw, "malformed_form")) == 1
        return time.process_time() - began

    assert min(seconds() for _ in range(10)) < 0.004
