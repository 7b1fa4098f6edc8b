"""Audit records: what their ids are made of."""

from datetime import UTC, datetime, timedelta

from shared import audit
from shared.audit import Actor
from tests.documents import Documents

AT = datetime(2026, 11, 23, 12, tzinfo=UTC)


def _id(at: datetime, once: str = "") -> str:
    actor = Actor("user", "usr_1", "tnt_1")
    made = audit.record(
        Documents(), "tnt_1", actor=actor, action="session.refresh", target="ses_1", at=at, once=once
    )
    assert made.body["id"] == made.key.id
    return made.key.id


def test_ids_are_in_the_order_of_their_times() -> None:
    times = [
        AT + timedelta(milliseconds=step) for step in (0, 1, 255, 256, 86_400_000, 20 * 365 * 86_400_000)
    ]
    ids = [_id(at) for at in times]
    assert ids == sorted(ids)
    assert {len(each) for each in ids} == {36}


def test_records_of_one_instant_have_ids_of_their_own() -> None:
    assert len({_id(AT) for _ in range(1000)}) == 1000


def test_what_is_recorded_once_has_one_id_whenever_it_comes() -> None:
    ids = {_id(AT + timedelta(days=days), once="//billing/evt_1") for days in range(3)}
    assert len(ids) == 1
    assert _id(AT, once="//billing/evt_2") not in ids
