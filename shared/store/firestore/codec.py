"""Converts bodies to Firestore values and back, on raw protobuf messages: proto-plus is ten times slower."""

from datetime import datetime, timedelta
from typing import Any

import msgspec

from shared.google_rpc.messages import Value
from shared.store import MAX_DOCUMENT_BYTES, Body, Doc, DocumentTooLarge, Key, Stale, Version
from shared.store.firestore.layout import (
    BODY,
    EXPIRES,
    EXPIRING,
    HELD,
    MADE_BY,
    NESTED,
    shown_name,
    stored_name,
)

_encoder = msgspec.json.Encoder()
_decoder = msgspec.json.Decoder()
_MAX_SECONDS = 253_402_300_800
"""The year 10000, where Firestore's timestamps end."""


def put(fields: Any, body: Body) -> None:
    """Puts a checked body into a message's map of fields. Raises ValueError for text that is not UTF-8."""
    for name, value in body.items():
        slot = fields[stored_name(name)]
        kind = type(value)
        if kind is str:
            slot.string_value = value
        elif kind is int:
            slot.integer_value = value
        elif kind is bool:
            slot.boolean_value = value
        elif value is None:
            slot.null_value = 0
        else:
            slot.map_value.fields[NESTED].string_value = _encoder.encode(value).decode()


def put_body(document: Any, body: Body) -> None:
    """Sets the body of a document, also an empty one. Raises ValueError and `DocumentTooLarge`."""
    stored = held(document)[BODY].map_value
    stored.SetInParent()
    put(stored.fields, body)
    if stored.ByteSize() + len(body) > MAX_DOCUMENT_BYTES:  # Firestore counts an integer as 8 bytes
        raise DocumentTooLarge(f"a document of {stored.ByteSize()} bytes")


def body_of(document: Any) -> Body:
    """The body; empty for a document that an `Add` of nothing created."""
    fields = held(document)
    if BODY not in fields:
        return {}
    return {shown_name(name): _shown(value) for name, value in fields[BODY].map_value.fields.items()}


def maker_of(document: Any) -> str | None:
    """The attempt that created the document; None if an `Add` created it."""
    return held(document)[MADE_BY].string_value or None


def held(document: Any) -> Any:
    """The fields of the map that holds the document's content (`layout`)."""
    return document.fields[HELD].map_value.fields


def doc_of(document: Any, key: Key) -> Doc:
    return Doc(key, body_of(document), version_of(document.update_time))


def operand(value: str | int | bool | None) -> Any:
    """The Firestore value of a query's operand."""
    if isinstance(value, str):
        return Value(string_value=value)
    if isinstance(value, bool):
        return Value(boolean_value=value)
    return Value(integer_value=value)


def version_of(time: Any) -> Version:
    return f"{time.seconds}.{time.nanos:09d}"


def put_time(timestamp: Any, version: Version) -> None:
    """Sets the time of a version. Raises `Stale` for a text that is no version of ours."""
    seconds, _, nanos = version.partition(".")
    if not (version.isascii() and seconds.isdecimal() and nanos.isdecimal() and len(nanos) == 9):
        raise Stale
    if len(seconds) > 12 or int(seconds) >= _MAX_SECONDS:
        raise Stale
    timestamp.seconds, timestamp.nanos = int(seconds), int(nanos)


def put_expiry(document: Any, kind: str, fields: Body) -> None:
    """Sets the document's expiry, if collection (`EXPIRING`) and fields have one. Raises ValueError."""
    name = EXPIRING.get(kind)
    if name is None or fields.get(name) is None:
        return
    time = datetime.fromisoformat(fields[name])
    if time.utcoffset() != timedelta(0):
        raise ValueError(f"{name} is no time in UTC")
    document.fields[EXPIRES].timestamp_value.FromDatetime(time)


def _shown(value: Any) -> Any:
    kind = value.WhichOneof("value_type")
    if kind == "string_value":
        return value.string_value
    if kind == "integer_value":
        return value.integer_value
    if kind == "boolean_value":
        return value.boolean_value
    if kind == "null_value":
        return None
    return _decoder.decode(value.map_value.fields[NESTED].string_value)
