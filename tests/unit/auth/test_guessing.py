"""Guessing is slowed down more and more, never stopped for good; a known device has a count of its own."""

from datetime import timedelta

from functions.auth.domain import guessing
from functions.auth.domain import login as logins
from functions.auth.domain.guessing import NONE, Failures
from functions.auth.domain.known_device import LIFETIME, DeviceTokens, KnownDevice
from functions.auth.domain.people import Login
from functions.auth.domain.sealed import SealingKeys
from tests.tokens import NOW

LOGIN = Login("usr_1", "$hash")
DEVICE = KnownDevice("tnt_acme", "usr_1", "dev_1", NOW, "lgn_1")
KEYS = SealingKeys({1: b"k" * 32}, 1)


def test_ten_tries_are_free_and_the_wait_doubles_up_to_an_hour() -> None:
    """L4"""
    waits = [guessing.delay(count).total_seconds() for count in range(20)]
    assert waits == [0] * 10 + [30, 60, 120, 240, 480, 960, 1920, 3600, 3600, 3600]
    assert guessing.delay(10**9) == timedelta(hours=1)


def test_who_waits_is_looked_at_again_so_nobody_is_locked_out() -> None:
    """L4, L6: however often it failed."""
    tried, at = 0, NOW
    failures = NONE
    while at < NOW + timedelta(days=2):
        if guessing.may_try(failures, at):
            failures, tried = guessing.failed(failures, at), tried + 1
        at += timedelta(seconds=30)
    assert guessing.may_try(failures, at + timedelta(hours=1))
    # Ten at once, seven while the wait grows to an hour, one an hour from then on.
    assert tried == 10 + 7 + 46


def test_a_day_without_failures_is_a_new_start() -> None:
    many = Failures(30, NOW)
    assert guessing.failed(many, NOW + timedelta(hours=23)).count == 31
    assert guessing.failed(many, NOW + timedelta(hours=24)) == Failures(1, NOW + timedelta(hours=24))


def test_a_known_device_has_a_count_of_its_own() -> None:
    """L6: nothing that fails elsewhere counts for it, and nothing of it elsewhere."""
    login = LOGIN
    for _ in range(20):
        login = logins.failed(login, None, NOW)
    login = logins.failed(login, "dev_1", NOW)
    assert (logins.failures(login, None).count, logins.failures(login, "dev_1").count) == (20, 1)
    assert logins.succeeded(login, "dev_1", NOW) == Login("usr_1", "$hash", failures=Failures(20, NOW))
    assert logins.succeeded(login, None, NOW).failures == NONE
    assert logins.succeeded(LOGIN, None, NOW) is LOGIN


def test_only_so_many_devices_have_a_count_of_their_own_and_only_for_a_day() -> None:
    login = LOGIN
    for number in range(logins.MAX_DEVICES):
        login = logins.failed(login, f"dev_{number}", NOW)
    other = KnownDevice("tnt_acme", "usr_1", "dev_other", NOW, "lgn_1")
    assert logins.device_id(login, "tnt_acme", other, NOW) is None
    assert logins.device_id(login, "tnt_acme", DEVICE, NOW) == "dev_1"
    later = NOW + timedelta(days=1)
    assert logins.device_id(login, "tnt_acme", other, later) == "dev_other"
    assert list(logins.failed(login, "dev_other", later).device_failures) == ["dev_other"]


def test_a_device_is_known_to_its_own_person_only() -> None:
    """L20"""
    assert logins.device_id(LOGIN, "tnt_acme", DEVICE, NOW) == "dev_1"
    assert logins.device_id(LOGIN, "tnt_other", DEVICE, NOW) is None
    assert logins.device_id(Login("usr_2", "$hash"), "tnt_acme", DEVICE, NOW) is None
    assert logins.device_id(LOGIN, "tnt_acme", None, NOW) is None


def test_a_new_password_forgets_failures_and_devices() -> None:
    """L18"""
    later = NOW + timedelta(seconds=1)
    renewed = logins.with_password(logins.failed(LOGIN, "dev_1", NOW), "$new", later)
    assert renewed == Login("usr_1", "$new", password_set_at=later)
    assert logins.device_id(renewed, "tnt_acme", DEVICE, later) is None
    again = KnownDevice("tnt_acme", "usr_1", "dev_1", later + timedelta(microseconds=1), "lgn_1")
    assert logins.device_id(renewed, "tnt_acme", again, later) == "dev_1"


def test_a_device_token_is_ours_or_nothing_and_ends_after_thirty_days() -> None:
    tokens = DeviceTokens(KEYS)
    text = tokens.text(DEVICE)
    assert text.startswith("dev1_")
    assert tokens.read(text, NOW + LIFETIME - timedelta(microseconds=1)) == DEVICE
    assert tokens.read(text, NOW + LIFETIME) is None
    assert DeviceTokens(SealingKeys({1: b"x" * 32}, 1)).read(text, NOW) is None
    for broken in (
        None,
        "",
        "dev1_",
        text[:-1],
        text + "=",
        text.replace("dev1_", "rt1_"),
        "dev1_" + "A" * 600,
    ):
        assert tokens.read(broken, NOW) is None
