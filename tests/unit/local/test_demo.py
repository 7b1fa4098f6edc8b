"""The demo's own arithmetic, and that it cannot pass when something is off."""

import io
import random
from datetime import UTC, date, datetime
from decimal import Decimal
from pathlib import Path

from rich.console import Console

from local.demo import report, usage
from local.demo.screen import Screen
from local.demo.usage import Event


def _screen() -> Screen:
    return Screen(Console(file=io.StringIO()))


def _event(number: int, quantity: str) -> Event:
    return Event(f"e-{number}", datetime(2026, 10, 1, tzinfo=UTC), "agent_minutes", quantity)


def test_a_claim_that_does_not_hold_is_counted_as_failed() -> None:
    screen = _screen()
    assert screen.check("two and two", 4, 2 + 2)
    assert not screen.check("two and two", 5, 2 + 2)
    assert [check.claim for check in screen.failed] == ["two and two"]


def test_the_report_says_what_failed_and_lets_no_text_become_markup(tmp_path: Path) -> None:
    screen = _screen()
    screen.check("<script>alert(1)</script>", "<b>", "</b>")
    page = tmp_path / "report.html"
    report.write(page, screen, "<p title='x'>\"invoice\"</p>")
    text = page.read_text()
    assert "1 of 1 checks failed" in text
    assert "<script" not in text
    assert "srcdoc='&lt;p title=&#x27;x&#x27;&gt;" in text


def test_every_event_counts_once_however_often_it_is_sent() -> None:
    events = [_event(1, "0.1"), _event(2, "0.2"), _event(1, "0.1")]
    assert usage.sums(events) == {"agent_minutes": Decimal("0.3")}


def test_half_a_cent_is_rounded_away_from_zero() -> None:
    assert [usage.cents(Decimal(text)) for text in ("0.005", "0.004", "1.015", "2.675")] == [1, 0, 102, 268]


def test_messages_hold_every_event_and_exactly_the_duplicates_asked_for() -> None:
    dice = random.Random(1)
    events = usage.make(dice, "x", 300, date(2026, 2, 1))
    sent = [event for message in usage.messages(dice, events, 30) for event in message]
    assert len(sent) == 330
    assert {event.id for event in sent} == {event.id for event in events}
    assert all(event.time.month == 2 and event.time.year == 2026 for event in events)


def test_months_follow_each_other_over_the_turn_of_the_year() -> None:
    assert usage.month_before(date(2026, 1, 31)) == date(2025, 12, 1)
    assert usage.month_after(date(2025, 12, 1)) == date(2026, 1, 1)
    assert usage.period(date(2025, 12, 1)) == "2025-12"
