"""The port's writes as Firestore's messages: what is set, what goes, on which condition."""

from datetime import UTC, datetime
from typing import Any

import pytest

from shared.store import (
    MAX_COMMIT_BYTES,
    Add,
    Check,
    Create,
    Delete,
    Doc,
    DocumentTooLarge,
    Key,
    OutOfRange,
    Replace,
    Update,
    Write,
)
from shared.store.bodies import stamp
from shared.store.firestore.counting import counted, is_blind
from shared.store.firestore.writes import commit_request, is_conditional

KEY = Key("tenants/t/things/x")
EXPIRING = Key("tenants/t/idempotency/x")
VERSION = "7.000000008"
AT = datetime(2026, 11, 23, 12, 0, 0, 250_000, UTC)


def message(write: Write) -> Any:
    (made,) = commit_request("projects/p/databases/d", "att_1", [write]).writes
    return made


def mask(write: Write) -> list[str]:
    return sorted(message(write).update_mask.field_paths)


def held(made: Any) -> Any:
    return made.update.fields["doc"].map_value.fields


def test_a_create_says_who_made_it_and_stands_only_where_nothing_does() -> None:
    made = message(Create(KEY, {"n": 1}))
    assert made.update.name == "projects/p/databases/d/documents/tenants/t/things/x"
    assert held(made)["made_by"].string_value == "att_1"
    assert made.current_document.HasField("exists")
    assert not made.current_document.exists
    assert not made.HasField("update_mask")


@pytest.mark.parametrize("write", [Replace(KEY, {}, VERSION), Update(KEY, {}, VERSION), Add(KEY, {"n": 1})])
def test_each_later_write_has_a_token_of_its_own_and_leaves_the_maker(write: Write) -> None:
    made = message(write)
    assert held(made)["rev"].string_value == "att_1"
    assert "doc.rev" in made.update_mask.field_paths
    assert not any("made_by" in path or path == "doc" for path in made.update_mask.field_paths)


def test_a_replace_names_the_whole_body_and_an_update_its_fields() -> None:
    assert mask(Replace(KEY, {"a": 1}, VERSION)) == ["doc.body", "doc.rev"]
    assert mask(Update(KEY, {"a": 1, "b.c": 2}, VERSION)) == ["doc.body.`b.c`", "doc.body.a", "doc.rev"]


def test_an_add_counts_and_sets_in_one_write_without_a_condition() -> None:
    made = message(Add(KEY, {"n": 5, "m.o": -1}, {"a": "b"}))
    counted = {one.field_path: one.increment.integer_value for one in made.update_transforms}
    assert counted == {"doc.body.n": 5, "doc.body.`m.o`": -1}
    assert sorted(made.update_mask.field_paths) == ["doc.body.a", "doc.rev"]
    assert not made.HasField("current_document")


def test_a_check_has_an_empty_mask_which_is_not_the_same_as_none() -> None:
    made = message(Check(KEY, VERSION))
    assert made.HasField("update_mask")
    assert not made.update_mask.field_paths
    assert not made.update.fields


@pytest.mark.parametrize(
    "write",
    [Replace(KEY, {}, VERSION), Update(KEY, {}, VERSION), Check(KEY, VERSION), Delete(KEY, VERSION)],
    ids=lambda write: type(write).__name__,
)
def test_a_conditional_write_names_the_version_to_the_nanosecond(write: Write) -> None:
    time = message(write).current_document.update_time
    assert (time.seconds, time.nanos) == (7, 8)
    assert is_conditional(write)


@pytest.mark.parametrize(
    "write", [Create(KEY, {}), Add(KEY, {}), Delete(KEY)], ids=lambda write: type(write).__name__
)
def test_the_others_cannot_be_stale(write: Write) -> None:
    assert not is_conditional(write)


def expiry(write: Write) -> datetime | None:
    fields = message(write).update.fields
    if "expires" not in fields:
        return None
    expires: datetime = fields["expires"].timestamp_value.ToDatetime(tzinfo=UTC)
    return expires


@pytest.mark.parametrize(
    "write",
    [
        Create(EXPIRING, {"expires_at": stamp(AT)}),
        Replace(EXPIRING, {"expires_at": stamp(AT)}, VERSION),
        Update(EXPIRING, {"expires_at": stamp(AT)}, VERSION),
        Add(EXPIRING, {"n": 1}, {"expires_at": stamp(AT)}),
    ],
    ids=lambda write: type(write).__name__,
)
def test_a_time_to_go_is_stored_as_a_timestamp_in_step_with_the_body(write: Write) -> None:
    assert expiry(write) == AT
    assert isinstance(write, Create) or "expires" in mask(write)


def test_a_time_to_go_goes_with_the_field_it_came_from_and_stays_where_that_is_not_named() -> None:
    for gone in (Replace(EXPIRING, {}, VERSION), Update(EXPIRING, {"expires_at": None}, VERSION)):
        assert expiry(gone) is None
        assert "expires" in mask(gone)
    for kept in (Update(EXPIRING, {"n": 1}, VERSION), Add(EXPIRING, {"n": 1})):
        assert "expires" not in mask(kept)


def test_elsewhere_a_field_of_that_name_is_a_field() -> None:
    write = Create(KEY, {"expires_at": "whenever", "": "nothing"})
    assert expiry(write) is None


@pytest.mark.parametrize("at", ["soon", "2026-11-23T12:00:00", "2026-11-23T12:00:00+01:00", ""])
def test_a_time_to_go_that_is_none_is_refused(at: str) -> None:
    with pytest.raises(ValueError, match=r".+"):
        message(Create(EXPIRING, {"expires_at": at}))


def test_a_request_has_its_limit() -> None:
    half = {"text": "x" * 900_000}
    count = MAX_COMMIT_BYTES // 900_000
    fits = [Create(Key(f"things/{number}"), half) for number in range(count - 1)]
    commit_request("projects/p/databases/d", "att_1", fits)
    with pytest.raises(DocumentTooLarge):
        commit_request(
            "projects/p/databases/d", "att_1", [*fits, *(Create(Key(f"things/x{n}"), half) for n in "ab")]
        )


@pytest.mark.parametrize(
    ("amounts", "blind"),
    [
        ({"n": 2**48}, True),
        ({"n": -(2**48)}, True),
        ({"n": 2**48 + 1}, False),
        ({"m": 1, "n": -(2**48) - 1}, False),
        ({f"n{number}": 1 for number in range(500)}, True),
        ({f"n{number}": 1 for number in range(501)}, False),
        ({}, True),
    ],
)
def test_small_amounts_in_few_fields_are_counted_blindly(amounts: dict[str, int], blind: bool) -> None:
    assert is_blind(Add(KEY, amounts)) is blind


def test_what_is_missing_is_made_by_a_careful_count() -> None:
    assert counted(Add(KEY, {"n": 2**50}, {"a": 1}), None) == Create(KEY, {"a": 1, "n": 2**50})
    ends = {"n": 2**63 - 1, "m": -(2**63)}
    assert counted(Add(KEY, ends), None) == Create(KEY, ends)


def test_a_careful_count_holds_only_for_what_was_read() -> None:
    doc = Doc(KEY, {"n": 5, "m": "5", "o": True, "p": 1}, VERSION)
    add = Add(KEY, {"n": 2**50, "m": 1, "o": 2}, {"a": 1})
    assert counted(add, doc) == Update(KEY, {"a": 1, "n": 2**50 + 5, "m": 1, "o": 2}, VERSION)
    with pytest.raises(OutOfRange):
        counted(Add(KEY, {"n": 2**63 - 5}), doc)
