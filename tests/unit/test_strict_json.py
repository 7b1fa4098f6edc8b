"""Strict JSON: what is refused, and agreement with a slow reference."""

import contextlib
import json
import math
import re
import time
from typing import Any

import msgspec
import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from shared.strict_json import Malformed, decode, loads


@pytest.mark.parametrize(
    ("raw", "reason"),
    [
        (b"", "empty"),
        (b" ", "not_json"),
        (b"\xef\xbb\xbf{}", "byte_order_mark"),
        ('{"a":1}'.encode("utf-16"), "byte_order_mark"),
        ('{"a":1}'.encode("utf-16-le"), "not_json"),
        (b'{"a":"\xff"}', "not_utf8"),
        (b'{"a":"\xed\xa0\x80"}', "not_utf8"),
        (b'{"a":"\\ud800"}', "not_json"),
        (b'{"a":"\\udc00\\ud800"}', "not_json"),
        (b'{"a":NaN}', "not_json"),
        (b'{"a":Infinity}', "not_json"),
        (b'{"a":-Infinity}', "not_json"),
        (b'{"a":1e999}', "not_json"),
        (b'{"a":-1e999}', "not_json"),
        (b'{"a":' + b"1" * 5000 + b"}", "not_json"),
        (b'{"a":1} x', "not_json"),
        (b'{"a":1}{"a":1}', "not_json"),
        (b'{"a":1,}', "not_json"),
        (b"{'a':1}", "not_json"),
        (b'{"a":01}', "not_json"),
        (b'{"a":"\n"}', "not_json"),
        (b'{"a":1}\0', "not_json"),
        (b'{"a":"\\u0000"}', "nul_character"),
        (b'{"\\u0000":1}', "nul_character"),
        (b'{"a":"\\\\\\u0000"}', "nul_character"),
        (b'{"a":1,"a":2}', "duplicate_key"),
        (b'{"a":1,"\\u0061":2}', "duplicate_key"),
        (b'{"a":1,"a":2,"b":"\\u003a"}', "duplicate_key"),
        (b'{"a:b":1,"a:b":":"}', "duplicate_key"),
        (b'[[{"x":[{"a":1,"b":2,"a":1}]}]]', "duplicate_key"),
        (b'{"a":{"b":1},"a":{"c":{"d":":"}}}', "duplicate_key"),
        (b"[" * 33 + b"]" * 33, "too_deep"),
        (b'{"a":' * 33 + b"1" + b"}" * 33, "too_deep"),
        ((b"[" + b" " * 16) * 100_000 + b"]" * 100_000, "too_deep"),
        (b'{"a":              ' * 100_000, "too_deep"),
        (b"[" * 100_000 + b"]" * 100_000, "too_many_containers"),
        (b'{"a":' * 100_000, "too_many_containers"),
        (b"[" + b"1e300," * 16 + b"1e300]", "too_many_exponents"),
        (b'{"a":[' + b"-2.5E-308 ,\n" * 17 + b'"1"]}', "too_many_exponents"),
        (b'["\\"",' + b"1e009," * 17 + b'"]', "too_many_exponents"),
        (b"[" + b"[]," * 999 + b"[]]", "too_many_containers"),
        (b"[" + b"[[[[[]]]]]," * 5_000 + b"1]", "too_many_containers"),
    ],
)
def test_what_two_parsers_could_read_differently_is_refused(raw: bytes, reason: str) -> None:
    """H5 H6 H7 H8 H9."""
    with pytest.raises(Malformed) as refused:
        loads(raw)
    assert refused.value.reason == reason


@pytest.mark.parametrize(
    ("raw", "value"),
    [
        (b"[" * 32 + b"]" * 32, None),
        (b'{"a":":","b":"[[[[{{{{\\"","c":"\\\\u0000"}', {"a": ":", "b": '[[[[{{{{"', "c": "\\u0000"}),
        (b'[{"a":1},{"a":1}]', [{"a": 1}, {"a": 1}]),
        (b'{"a":{"a":{"a":":"}}}', {"a": {"a": {"a": ":"}}}),
        (b' {"\xc3\xa9" : "\\ud83d\\ude00"} \n', {"é": "😀"}),
        (b"123456789012345678901234567890", 123456789012345678901234567890),
        (b"[" + b"2.5e-07," * 500 + b"1e99]", [2.5e-07] * 500 + [1e99]),
        (b"[" + b"[]," * 998 + b"{}]", [[]] * 998 + [{}]),
        (b"[" + b'{"a":"123456789"},' * 2_000 + b"1]", [{"a": "123456789"}] * 2_000 + [1]),
        (b'["' + b'[{\\"' * 2_000 + b'"]', ['[{"' * 2_000]),
    ],
)
def test_plain_json_is_read(raw: bytes, value: Any) -> None:
    loaded = loads(raw)
    assert value is None or loaded == value


def test_a_depth_of_its_own_can_be_asked_for() -> None:
    assert loads(b'{"a":[]}', max_depth=2) == {"a": []}
    with pytest.raises(Malformed, match="too_deep"):
        loads(b'{"a":[]}', max_depth=1)
    assert loads(b"1", max_depth=0) == 1


def test_a_refusal_never_quotes_the_input() -> None:
    """G1."""
    for raw in (b'{"password":hunter2}', b'{"hunter2":1,"hunter2":2}', b'{"a":"hunter2\xff"}'):
        with pytest.raises(Malformed) as refused:
            loads(raw)
        assert "hunter2" not in str(refused.value)


@pytest.mark.parametrize(
    "raw",
    [
        b"[" + b"2e-308," * 9_000 + b"1]",
        b"[" + b"1e300," * 10_000 + b"1]",
        b'["' + b",1e300" * 10_000 + b'"]',
        b"[" + b",1e3" * 100 + b'"' + b'\\"' * 30_000,
        b"[" + b",1e3" * 100 + b'"' + b'\\"' * 30_000 + b"\\",
        b"[" + b", " * 30_000,
        b"[" + b"," + b" " * 60_000,
        b"[" + b"," + b"1" * 60_000,
    ],
)
def test_no_text_keeps_the_process_busy_for_longer_than_a_request_takes(raw: bytes) -> None:
    """H5: 64 KB of such numbers, which anybody may send, took a fifth of a second."""
    started = time.process_time()
    with contextlib.suppress(Malformed):
        loads(raw)
    assert time.process_time() - started < 0.02


def test_numbers_in_strings_and_a_few_outside_are_nobodys_business() -> None:
    few = b"[" + b"1e300," * 15 + b'1e300,"' + b",1e5" * 1000 + b'","\\",1e5"]'
    assert loads(few)[:2] == [1e300, 1e300]


class _Person(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    name: str
    age: int = 0


def test_decode_tells_malformed_from_wrong_fields() -> None:
    assert decode(b'{"name":"a"}', _Person) == _Person("a")
    with pytest.raises(Malformed, match="duplicate_key"):
        decode(b'{"name":"a","name":"b"}', _Person)
    for raw in (b'{"name":1}', b'{"name":"a","x":1}', b"[]", b'{"name":"a","age":1.5}'):
        with pytest.raises(msgspec.ValidationError):
            decode(raw, _Person)


def _reference(raw: bytes) -> Any:
    """The same rules, slowly: ValueError where `loads` must refuse."""

    def unique(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
        value = dict(pairs)
        if len(value) != len(pairs):
            raise ValueError("duplicate")
        return value

    def constant(name: str) -> Any:
        raise ValueError(name)

    with_exponent: list[str] = []

    def finite(text: str) -> float:
        with_exponent.extend([text] if re.search("[eE][+-]?[0-9]{3}", text) else [])
        number = float(text)
        if not math.isfinite(number) or len(with_exponent) > 16:
            raise ValueError(text)
        return number

    value = json.loads(raw.decode(), object_pairs_hook=unique, parse_constant=constant, parse_float=finite)
    _check(value, 0)
    return value


def _check(value: Any, depth: int) -> None:
    if isinstance(value, str):
        value.encode()
        if "\0" in value:
            raise ValueError("NUL")
    elif isinstance(value, (dict, list)):
        if depth == 32:
            raise ValueError("too deep")
        for name in value if isinstance(value, dict) else ():
            _check(name, depth)
        for item in value.values() if isinstance(value, dict) else value:
            _check(item, depth + 1)


_TEXT = st.text(alphabet='ab:"\\{}[],\0\u00e9\U0001f600 ', max_size=6)
_SCALARS = (
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False, allow_infinity=False) | _TEXT
)


class _Members(list[tuple[str, Any]]):
    """An object as pairs, so that a name can come twice."""


def _written(value: Any, ascii_only: bool) -> str:
    if isinstance(value, _Members):
        members = (f"{_written(name, ascii_only)}:{_written(item, ascii_only)}" for name, item in value)
        return "{" + ",".join(members) + "}"
    if isinstance(value, list):
        return "[" + ", ".join(_written(item, ascii_only) for item in value) + "]"
    return json.dumps(value, ensure_ascii=ascii_only)


_TREES = st.recursive(
    _SCALARS,
    lambda inner: st.lists(inner, max_size=4) | st.lists(st.tuples(_TEXT, inner), max_size=5).map(_Members),
    max_leaves=25,
)


@st.composite
def _documents(draw: st.DrawFn) -> bytes:
    text = _written(draw(_TREES), draw(st.booleans()))
    if draw(st.booleans()):
        text = text.replace(":", "\\u003a", draw(st.integers(0, 2)))
    levels = draw(st.sampled_from([0, 0, 0, 30, 32, 33]))
    raw = ("[" * levels + text + "]" * levels).encode()
    for position, byte in draw(st.lists(st.tuples(st.integers(0, 200), st.binary(max_size=2)), max_size=2)):
        at = position % (len(raw) + 1)
        raw = raw[:at] + byte + raw[at + draw(st.integers(0, 1)) :]
    return raw


@settings(max_examples=500, deadline=None)
@given(_documents())
@example(b'{"a":1,"a":"\\u003a"}')
@example(b'{"":0,"":":"}')
@example(b'{"a":1,"a":"\\u003A"}')
@example(b'{"a":1,"a":"\\\\u003a"}')
@example(b'{"a":1,"a":"\\\\\\u003a"}')
@example(b'{"a":"\\\\\\\\u003a\\u003A\\\\\\u003a:\\u003a\\u003b"}')
def test_it_agrees_with_a_slow_reference(raw: bytes) -> None:
    try:
        expected = _reference(raw)
    except (ValueError, RecursionError):
        with pytest.raises(Malformed):
            loads(raw)
        return
    assert loads(raw) == expected
