"""Bodies as Firestore's values: whole again afterwards, and nothing in them that Firestore refuses."""

import re
from typing import Any

import pytest
from google.cloud.firestore_v1.types import document as types
from hypothesis import given, settings
from hypothesis import strategies as st

from shared.store import MAX_DOCUMENT_BYTES, Body, DocumentTooLarge, Stale
from shared.store.firestore.codec import body_of, held, maker_of, put_body, put_time, version_of
from shared.store.firestore.layout import body_path, shown_name, stored_name

Document = types.Document.meta.pb

texts = st.text(st.characters(exclude_categories=["Cs"]), max_size=6)
plain = st.none() | st.booleans() | st.integers(-(2**63), 2**63 - 1) | texts
values = st.recursive(
    plain, lambda inner: st.lists(inner, max_size=3) | st.dictionaries(texts, inner, max_size=3)
)
names = texts | st.sampled_from(["", "__x__", "__x", "%", "%25", "a.b", "`", "\\", "json", "\0", "é"])

_QUOTED = re.compile(r"doc\.body\.`(?:[^`\\]|\\.)+`", re.DOTALL)
_UNQUOTED = re.compile(r"doc\.body\.[A-Za-z_][A-Za-z0-9_]*")


def through(body: Body) -> Body:
    document = Document()
    put_body(document, body)
    return body_of(Document.FromString(document.SerializeToString()))


@given(st.dictionaries(names, values, max_size=5))
@settings(database=None, derandomize=True, deadline=None)
def test_a_body_comes_back_whole(body: Body) -> None:
    assert through(body) == body


@given(st.dictionaries(names, values, max_size=5))
@settings(database=None, derandomize=True, deadline=None)
def test_no_value_is_nested_and_no_name_is_one_that_firestore_refuses(body: Body) -> None:
    document = Document()
    put_body(document, body)
    for name, value in held(document)["body"].map_value.fields.items():
        assert 1 <= len(name.encode()) <= 1500
        assert not re.fullmatch(r"__.*__", name, re.DOTALL)
        assert value.WhichOneof("value_type") != "array_value"
        if value.WhichOneof("value_type") == "map_value":
            assert list(value.map_value.fields) == ["json"]


@given(names, names)
@settings(database=None, derandomize=True)
def test_a_name_comes_back_and_two_names_stay_two(one: str, other: str) -> None:
    assert shown_name(stored_name(one)) == one
    assert (stored_name(one) == stored_name(other)) == (one == other)
    assert _UNQUOTED.fullmatch(body_path(one)) or _QUOTED.fullmatch(body_path(one))


def test_types_that_look_alike_stay_apart() -> None:
    body = through({"one": 1, "true": True, "text": "1", "none": None, "list": [1, True], "max": 2**63 - 1})
    assert [type(value) for _, value in sorted(body.items())] == [list, int, type(None), int, str, bool]
    assert [type(value) for value in body["list"]] == [int, bool]


def test_a_document_that_holds_no_body_is_an_empty_one() -> None:
    assert body_of(Document()) == {}
    assert maker_of(Document()) is None


@pytest.mark.parametrize(
    ("body", "fits"),
    [
        ({"t": "x" * (MAX_DOCUMENT_BYTES - 20)}, True),
        ({"t": "x" * MAX_DOCUMENT_BYTES}, False),
        ({"t": ["x" * (MAX_DOCUMENT_BYTES - 40)]}, True),
        ({"t": ["x" * MAX_DOCUMENT_BYTES]}, False),
        ({f"{n:05}": 0 for n in range(60_000)}, True),
        ({f"{n:05}": 0 for n in range(75_000)}, False),
    ],
    ids=lambda value: str(value) if isinstance(value, bool) else "",
)
def test_a_body_is_measured_as_firestore_measures_it(body: Body, fits: bool) -> None:
    """An integer has 8 bytes there, however small."""
    size = sum(
        len(name) + 1 + (8 if isinstance(value, int) else len(str(value))) for name, value in body.items()
    )
    assert size < 1_048_576 or not fits
    if fits:
        put_body(Document(), body)
    else:
        with pytest.raises(DocumentTooLarge):
            put_body(Document(), body)


@pytest.mark.parametrize(
    "version",
    ["", "gone", "1", "1.", ".1", "1.5", "1.0000000001", "-1.000000000", "1.00000000x", "٣.000000000",
     "253402300800.000000000", "9" * 5000 + ".000000000", "1_0.000000000", " 1.000000000"],
)  # fmt: skip
def test_what_was_never_a_version_is_stale(version: str) -> None:
    with pytest.raises(Stale):
        put_time(Document().update_time, version)


@pytest.mark.parametrize(
    ("seconds", "nanos"), [(0, 1), (1_795_433_816, 123_456_789), (253_402_300_799, 999_999_999)]
)
def test_a_version_is_a_time_with_its_nanoseconds(seconds: int, nanos: int) -> None:
    document: Any = Document()
    document.update_time.seconds, document.update_time.nanos = seconds, nanos
    again: Any = Document()
    put_time(again.update_time, version_of(document.update_time))
    assert again.update_time == document.update_time
