"""Every envelope that is sent to us is read, and nothing else gets further than `BadEnvelope`."""

from datetime import UTC, datetime
from typing import Any

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from shared.envelope import MAX_EVENT_BYTES, BadEnvelope, Delivery, event_of, parse
from tests.unit.events.deliveries import BINARY, EVENT, delivery, encoded, event_bytes, message, push

LIMIT = 100_000
STRUCTURED = {"content-type": "application/cloudevents+json; charset=utf-8"}
WHOLE = Delivery(
    message_id="17",
    data=event_bytes(),
    attributes={"type": "t"},
    subscription="projects/p/subscriptions/billing-events-push",
    topic="billing-events",
    publish_time=datetime(2026, 3, 4, 12, 0, 0, 123000, tzinfo=UTC),
    attempt=2,
)


def structured(**changes: Any) -> bytes:
    whole = {
        "specversion": "1.0",
        "type": BINARY["ce-type"],
        "source": BINARY["ce-source"],
        "id": "17",
        "data": msgspec.Raw(push()),
        **changes,
    }
    return msgspec.json.encode({name: value for name, value in whole.items() if value is not ...})


def refusal(headers: dict[str, str], body: bytes) -> str:
    with pytest.raises(BadEnvelope) as refused:
        parse(headers, body, LIMIT)
    return refused.value.reason


def test_a_binary_cloudevent_is_read_whole() -> None:
    assert parse(BINARY, push(), LIMIT) == WHOLE


def test_a_structured_cloudevent_is_read_whole() -> None:
    assert parse(STRUCTURED, structured(), LIMIT) == WHOLE


def test_a_structured_cloudevent_may_carry_its_data_in_base64() -> None:
    assert parse(STRUCTURED, structured(data=..., data_base64=encoded(push())), LIMIT) == WHOLE


def test_a_bare_push_is_read_but_does_not_know_its_topic() -> None:
    found = parse({"content-type": "application/json"}, push(), LIMIT)
    assert found == msgspec.structs.replace(WHOLE, topic="")


def test_snake_case_ids_alone_are_enough() -> None:
    body = push(messageId=..., publishTime=..., message_id="17", publish_time="2026-03-04T12:00:00.123Z")
    assert parse(BINARY, body, LIMIT) == WHOLE


def test_both_spellings_together_are_read() -> None:
    body = push(message_id="17", publish_time="2026-03-04T12:00:00.123Z")
    assert parse(BINARY, body, LIMIT) == WHOLE


def test_an_unwrapped_push_takes_its_metadata_from_headers_and_no_header_of_the_caller() -> None:
    headers = {
        "authorization": "Bearer secret",
        "content-type": "text/plain",
        "x-goog-pubsub-message-id": "17",
        "x-goog-pubsub-subscription-name": "projects/p/subscriptions/s",
        "eventtype": "SECRET_ROTATE",
    }
    assert parse(headers, b"\x00\xff payload", LIMIT) == Delivery(
        message_id="17",
        data=b"\x00\xff payload",
        attributes={"eventType": "SECRET_ROTATE"},
        subscription="projects/p/subscriptions/s",
    )


@pytest.mark.parametrize("data", [..., "", None])
def test_a_message_of_attributes_only_has_no_data(data: Any) -> None:
    """P4."""
    found = parse(BINARY, push(data=data, attributes={"eventType": "TOPIC_CONFIGURED"}), LIMIT)
    assert (found.data, found.attributes) == (b"", {"eventType": "TOPIC_CONFIGURED"})


def test_a_message_without_attributes_has_none() -> None:
    assert parse(BINARY, push(attributes=...), LIMIT).attributes == {}


def test_members_that_nobody_knows_are_passed_over() -> None:
    body = push(**{"@type": "type.googleapis.com/google.pubsub.v1.PubsubMessage", "orderingKey": "k"})
    assert parse(BINARY, body, LIMIT) == WHOLE


@pytest.mark.parametrize(
    ("body", "reason"),
    [
        (b'{"context":{"eventId":"FORGED","eventType":"t"},"data":{}}', "envelope_bad_field"),
        (b'{"context":[1]}', "envelope_bad_field"),
        (b'{"message":null}', "envelope_bad_field"),
        (b'{"message":"text"}', "envelope_bad_field"),
        (b'{"message":[]}', "envelope_bad_field"),
        (b"{}", "envelope_bad_field"),
        (b"[1]", "envelope_bad_field"),
        (b'"x"', "envelope_bad_field"),
        (b"null", "envelope_bad_field"),
        (b"", "envelope_empty"),
        (b"{", "envelope_not_json"),
        (push() + b"x", "envelope_not_json"),
        (b'{"message":{"messageId":"1"},"a":NaN}', "envelope_not_json"),
        (b'{"message":{"messageId":"1"},"a":Infinity}', "envelope_not_json"),
        (b'{"message":{"messageId":"1"},"message":{"messageId":"2"}}', "envelope_duplicate_key"),
        (b'{"message":{"messageId":"1","messageId":"2"}}', "envelope_duplicate_key"),
        (b"\xef\xbb\xbf" + push(), "envelope_byte_order_mark"),
        (push().decode().encode("utf-16"), "envelope_byte_order_mark"),
        (b'{"message":{"messageId":"\xff"}}', "envelope_not_utf8"),
        (b'{"message":{"messageId":"\\ud800"}}', "envelope_not_json"),
        (b'{"message":{"messageId":"a\\u0000"}}', "envelope_nul_character"),
        (b'{"a":' * 100_000 + b"1" + b"}" * 100_000, "too_large"),
        (b"[" * 40_000 + b"]" * 40_000, "envelope_too_many_containers"),
        (push(messageId=""), "envelope_bad_field"),
        (push(messageId=...), "envelope_bad_field"),
        (push(messageId=None), "envelope_bad_field"),
        (push(messageId={"a": 1}), "envelope_bad_field"),
        (push(messageId=17), "envelope_bad_field"),
        (push(messageId="1" * 257), "envelope_bad_field"),
        (push(message_id="18"), "envelope_bad_field"),
        (push(publish_time="2026-03-04T12:00:01Z"), "envelope_bad_field"),
        (push(publishTime="yesterday"), "envelope_bad_field"),
        (push(publishTime="2026-03-04T12:00:00"), "envelope_bad_field"),
        (push(publishTime="9999-12-31T23:59:59-01:00"), "envelope_bad_field"),
        (push(attributes={"a": 1}), "envelope_bad_field"),
        (push(attributes=[]), "envelope_bad_field"),
        (push(data={"a": 1}), "envelope_bad_field"),
        (push(data="no base64!"), "not_base64"),
        (push(data="YQ"), "not_base64"),
        (push(data="YQ==\n"), "not_base64"),
        (push(data="_-8="), "not_base64"),
        (push(data="é"), "not_base64"),
        (b'{"message":{"messageId":"1"},"deliveryAttempt":-1}', "envelope_bad_field"),
        (b'{"message":{"messageId":"1"},"deliveryAttempt":1e400}', "envelope_not_json"),
        (b'{"message":{"messageId":"1"},"subscription":{}}', "envelope_bad_field"),
    ],
)
@pytest.mark.parametrize("headers", [BINARY, {}], ids=["binary", "push"])
def test_what_holds_no_message_is_a_bad_envelope(headers: dict[str, str], body: bytes, reason: str) -> None:
    """P2, P3, P5, P6; H6 to H9."""
    assert refusal(headers, body) == reason


@pytest.mark.parametrize(
    ("changes", "reason"),
    [
        ({"ce-specversion": "0.3"}, "envelope_bad_field"),
        ({"ce-id": ""}, "envelope_bad_field"),
        ({"ce-source": ""}, "envelope_bad_field"),
        ({"ce-type": "ai.energent.tenant.created.v1"}, "unknown_envelope"),
        ({"ce-type": ""}, "unknown_envelope"),
        ({"content-type": "application/cloudevents-batch+json"}, "unknown_envelope"),
        ({"content-type": "application/cloudevents+protobuf"}, "unknown_envelope"),
    ],
)
def test_a_cloudevent_that_is_no_pubsub_message_is_a_bad_envelope(
    changes: dict[str, str], reason: str
) -> None:
    assert refusal({**BINARY, **changes}, push()) == reason


@pytest.mark.parametrize(
    ("body", "reason"),
    [
        (structured(data=...), "envelope_bad_field"),
        (structured(data_base64=encoded(push())), "envelope_bad_field"),
        (structured(data=..., data_base64="!"), "not_base64"),
        (structured(data=..., data_base64=encoded(b'{"a":1,"a":2}')), "envelope_duplicate_key"),
        (structured(data={"context": {}}), "envelope_bad_field"),
        (structured(specversion="1.1"), "envelope_bad_field"),
        (structured(type="x"), "unknown_envelope"),
        (structured(id=""), "envelope_bad_field"),
        (structured(source=7), "envelope_bad_field"),
        (msgspec.json.encode([EVENT]), "envelope_bad_field"),
    ],
)
def test_a_structured_cloudevent_that_is_none_is_a_bad_envelope(body: bytes, reason: str) -> None:
    assert refusal(STRUCTURED, body) == reason


def test_an_unwrapped_message_without_an_id_is_a_bad_envelope() -> None:
    assert refusal({"x-goog-pubsub-message-id": ""}, b"x") == "envelope_bad_field"


@given(st.binary(max_size=200), st.sampled_from([BINARY, STRUCTURED, {}]))
def test_no_bytes_cause_anything_but_a_bad_envelope(body: bytes, headers: dict[str, str]) -> None:
    with pytest.raises(BadEnvelope):
        parse(headers, body, LIMIT)


JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False) | st.text(max_size=5),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=5), inner, max_size=3),
    max_leaves=8,
)


@given(JSON, st.sampled_from(["data", "attributes", "messageId", "publishTime", "message_id"]))
def test_no_json_in_any_field_causes_anything_but_a_bad_envelope(value: Any, name: str) -> None:
    try:
        body = msgspec.json.encode({"message": message(**{name: value})})
    except UnicodeEncodeError:
        return
    try:
        parse(BINARY, body, LIMIT)
    except BadEnvelope:
        return


def test_an_event_is_read_from_a_delivery() -> None:
    event = event_of(delivery())
    assert (event.id, event.source, event.type, event.subject) == (
        "evt_1",
        "//energent/tenants",
        "ai.energent.tenant.created.v1",
        "tnt_acme",
    )
    assert event.time == datetime(2026, 3, 4, 12, tzinfo=UTC)
    assert msgspec.json.decode(event.data) == {"name": "Acme"}


def test_an_events_time_is_made_utc() -> None:
    event = event_of(delivery(event_bytes(time="2026-03-04T14:00:00+02:00")))
    assert event.time == datetime(2026, 3, 4, 12, tzinfo=UTC)
    assert event.time.tzinfo is UTC


@pytest.mark.parametrize(
    "changes",
    [
        {"subject": ""},
        {"subject": ...},
        {"data": ...},
        {"datacontenttype": "application/json; charset=utf-8"},
        {"datacontenttype": "application/json;" + "x" * 239},
        {"datacontenttype": ...},
        {"traceparent": "00-1-2-3", "extension": True},
        {"id": "x" * 256},
        {"time": "2026-03-04T12:00:00.123456Z"},
    ],
)
def test_an_event_may_leave_out_what_cloudevents_lets_it(changes: dict[str, Any]) -> None:
    assert event_of(delivery(event_bytes(**changes))).source == "//energent/tenants"


TRACE = "0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331"


@pytest.mark.parametrize(
    ("written", "read"),
    [
        (f"00-{TRACE}-01", f"00-{TRACE}-01"),
        (f"00-{TRACE}-01-more", None),
        (f"00-{TRACE}-01\n", None),
        (f"00-{TRACE.upper()}-01", None),
        ("00-1-2-3", None),
        ("", None),
        ("x" * 100_000, None),
        (None, None),
    ],
)
def test_a_trace_that_is_none_is_dropped_and_the_event_goes_on(written: str | None, read: str | None) -> None:
    assert event_of(delivery(event_bytes(traceparent=written))).traceparent == read


def test_an_event_may_hold_a_megabyte_of_data() -> None:
    assert len(event_of(delivery(event_bytes(data="x" * 1_000_000))).data) == 1_000_002


@pytest.mark.parametrize(
    "changes",
    [
        {"specversion": "0.3"},
        {"specversion": 1.0},
        {"id": ""},
        {"id": ...},
        {"id": 7},
        {"id": "x" * 257},
        {"source": ""},
        {"source": "x" * 257},
        {"type": ""},
        {"type": None},
        {"subject": "../tnt_b"},
        {"subject": "tnt_a/users/usr_b"},
        {"subject": "a" * 65},
        {"subject": None},
        {"time": ...},
        {"time": "2026-03-04T12:00:00"},
        {"time": "2026-03-04"},
        {"time": "0000-01-01T00:00:00Z"},
        {"time": "2026-06-30T23:59:60Z"},
        {"time": "9999-12-31T23:59:59-01:00"},
        {"time": "0001-01-01T00:00:00+01:00"},
        {"time": 1772625600},
        {"datacontenttype": "text/xml"},
        {"datacontenttype": "application/json;" + "x" * 240},
    ],
)
def test_an_event_with_a_wrong_field_is_a_bad_envelope(changes: dict[str, Any]) -> None:
    """P17."""
    with pytest.raises(BadEnvelope, match=r"^event_bad_field"):
        event_of(delivery(event_bytes(**changes)))


@pytest.mark.parametrize(
    ("data", "reason"),
    [
        (b"", "no_data"),
        (b"\xff\xfe\x00", "event_byte_order_mark"),
        (b'"\xff"', "event_not_utf8"),
        (b"hello", "event_not_json"),
        (b"[]", "event_bad_field"),
        (event_bytes()[:-1] + b',"id":"evt_2"}', "event_duplicate_key"),
        (event_bytes()[:-1] + b',"x":NaN}', "event_not_json"),
        (event_bytes()[:-1] + b',"x":"\\ud800"}', "event_not_json"),
        (event_bytes(data="x" * MAX_EVENT_BYTES), "too_large"),
        (b"x" * (MAX_EVENT_BYTES + 1), "too_large"),
        (b'{"data":' + b"[" * 50_000 + b"]" * 50_000 + b"}", "event_too_many_containers"),
    ],
)
def test_data_that_is_no_event_is_a_bad_envelope(data: bytes, reason: str) -> None:
    """P5; H6 to H9."""
    with pytest.raises(BadEnvelope) as refused:
        event_of(delivery(data))
    assert refused.value.reason == reason
