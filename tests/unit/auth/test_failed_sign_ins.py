"""Wrong passwords: counted on the account, within bounds, and nobody who knows the right one is kept out."""

import asyncio
import random
from collections.abc import AsyncIterator
from contextlib import suppress

import msgspec
import pytest

from functions.auth.domain import guessing
from functions.auth.domain import login as logins
from functions.auth.guessing.source import Source
from functions.auth.guessing.throttle import PER_TENANT
from shared.audit import AuditRecord
from shared.errors import Error, TooManyRequests, Unauthenticated, Unavailable
from shared.ids import new_id
from shared.store import Create
from shared.store.bodies import from_body
from tests.unit.auth.cheap_sign_in import WRONG, CheapSignIn
from tests.unit.auth.suite import ACME, AUDIT, OWNER, Suite

pytestmark = pytest.mark.anyio

EVENT = "security.sign_in_failures"


@pytest.fixture
async def cheap(suite: Suite) -> AsyncIterator[CheapSignIn]:
    cheap = CheapSignIn(suite)
    await cheap.add_user()
    yield cheap
    cheap.passwords.close()


async def audited(suite: Suite, action: str) -> list[AuditRecord]:
    page = await suite.store.tenant(ACME).query(AUDIT, limit=1000)
    found = [from_body(doc.body, AuditRecord) for doc in page.docs if doc.body.get("action") == action]
    return sorted(found, key=lambda record: int(record.detail.get("failures", 0)))


async def test_after_ten_failures_even_the_right_password_waits_and_then_signs_in(
    suite: Suite, cheap: CheapSignIn
) -> None:
    """L4, L6"""
    await cheap.wrong(9)
    assert await cheap.refused() is None
    await cheap.wrong(10)
    early = await cheap.refused()
    assert (type(early), early and early.code) == (Unauthenticated, "invalid_credentials")
    suite.clock.move(29)
    assert await cheap.refused() is not None
    suite.clock.move(1)
    assert await cheap.refused() is None
    assert await cheap.failures() == 0


async def test_a_thousand_wrong_passwords_buy_no_more_writes_than_tries_that_count(
    suite: Suite, cheap: CheapSignIn
) -> None:
    """L4: 1000 guesses from as many addresses within an hour."""
    before = len(suite.store.commits)
    for number in range(1000):
        with suppress(TooManyRequests):
            await cheap.wrong(ip=f"2001:db8:{number:x}::1")
        suite.clock.move(3.6)
    counted = await cheap.failures()
    records = await audited(suite, "sign_in.refuse")
    # Ten, and those after 30 s, 60 s … 1920 s; then the hour is over.
    assert counted == len(records) == 16
    assert [record.detail["failures"] for record in records] == [str(n) for n in range(1, 17)]
    # The tenant's bucket may sound an alarm six times in an hour.
    assert len(suite.store.commits) - before <= counted + 6 + len(suite.bus.events(EVENT))


async def test_tries_at_once_count_no_more_than_tries_one_by_one(suite: Suite, cheap: CheapSignIn) -> None:
    """L4: 64 wrong passwords at the same moment."""
    await asyncio.gather(*(cheap.wrong(ip=f"2001:db8:{number:x}::1") for number in range(64)))
    assert await cheap.failures() == 10
    assert len(await audited(suite, "sign_in.refuse")) == 10
    assert len(suite.bus.events(EVENT)) == 1


async def test_the_right_guess_among_many_at_once_is_worth_no_more_than_in_a_row(
    suite: Suite, cheap: CheapSignIn
) -> None:
    """L4: looked at while ten others fail, it is too early, for all that it is right."""

    async def meanwhile() -> None:
        found = await cheap.login_document()
        login = found.value
        for _ in range(10):
            login = logins.failed(login, None, suite.clock())
        marker = Create(suite.store.tenant(ACME).key("audit", new_id("aud")), {})
        await suite.store.inner.commit(marker, found.replace(login))

    suite.store.before_commit = meanwhile
    assert isinstance(await cheap.refused(), Unauthenticated)


async def test_a_known_device_signs_in_whatever_others_try(suite: Suite, cheap: CheapSignIn) -> None:
    """L6: an attacker fails at the victim's account for an hour, from anywhere."""
    device = (await cheap.right()).device_token
    assert device is not None
    for minute in range(60):
        for number in range(8):
            with suppress(TooManyRequests):
                await cheap.wrong(ip=f"2001:db8:{minute * 8 + number:x}::1")
        if minute % 20 == 19:
            assert isinstance(await cheap.refused(), Error)
            device = (await cheap.right(device)).device_token
        suite.clock.move(60)
    # Nor has its success given the attacker ten more tries.
    assert await cheap.failures() > 10


async def test_a_stolen_device_token_has_ten_tries_of_its_own(suite: Suite, cheap: CheapSignIn) -> None:
    device = (await cheap.right()).device_token
    await cheap.wrong(10, device)
    assert isinstance(await cheap.refused(device), Unauthenticated)
    assert await cheap.failures() == 0
    assert await cheap.refused() is None
    suite.clock.move(30)
    assert (await cheap.right(device)).device_token is not None
    assert (await cheap.login_document()).value.device_failures == {}


async def test_another_persons_device_is_an_unknown_one(suite: Suite, cheap: CheapSignIn) -> None:
    await cheap.add_user("bob@acme.test")
    bobs = (await cheap.right(email="bob@acme.test")).device_token
    await cheap.wrong(10)
    assert isinstance(await cheap.refused(bobs), Unauthenticated)


async def test_a_device_token_is_given_to_who_asks_and_stays_one_device(
    suite: Suite, cheap: CheapSignIn
) -> None:
    signed_in = await cheap.sign_in.login("acme", OWNER, "correct horse battery staple", Source("192.0.2.1"))
    assert getattr(signed_in, "device_token", "") is None
    first = (await cheap.right()).device_token
    suite.clock.move(1)
    second = (await cheap.right(first)).device_token
    devices = (await suite.do.keys.current()).devices
    one, other = devices.read(first, suite.clock()), devices.read(second, suite.clock())
    assert one is not None
    assert other is not None
    assert (one.id, one.user_id) == (other.id, other.user_id)
    assert one.seen_at < other.seen_at


async def test_two_tenants_count_for_themselves(suite: Suite, cheap: CheapSignIn) -> None:
    """L20"""
    await suite.add_tenant("tnt_globex", "globex")
    await cheap.add_user(OWNER, "tnt_globex")
    await cheap.wrong(10)
    assert isinstance(await cheap.refused(), Unauthenticated)
    assert (await cheap.right(slug="globex")).tokens
    assert await cheap.failures(OWNER, "tnt_globex") == 0


async def test_every_refusal_pauses_once_and_writes_nothing_that_shows(
    suite: Suite, cheap: CheapSignIn
) -> None:
    """L1, L2: the same reads, one hash and one pause for unknown, wrong, too early and disabled."""
    await cheap.add_user("early@acme.test")
    await cheap.wrong(10, email="early@acme.test")
    costs = []
    for email, password, slug in (
        (OWNER, WRONG, "acme"),
        ("eve@acme.test", WRONG, "acme"),
        (OWNER, WRONG, "nobody-has-this"),
        ("early@acme.test", WRONG, "acme"),
        ("early@acme.test", "correct horse battery staple", "acme"),
    ):
        suite.pauses = 0
        suite.store.reads.clear()
        cheap.passwords.verified = 0
        with pytest.raises(Unauthenticated) as refusal:
            await cheap.sign_in.login(slug, email, password, Source("192.0.2.1"))
        said = (refusal.value.code, refusal.value.detail, tuple(refusal.value.headers))
        reads = [len(keys) for keys in suite.store.reads]
        costs.append((said, cheap.passwords.verified, reads, suite.pauses))
    assert costs == [costs[0]] * 5
    assert costs[0][1:] == (1, [1, 2, 1], 1)


async def test_what_is_counted_is_on_record_and_where_waiting_begins_is_an_event(
    suite: Suite, cheap: CheapSignIn
) -> None:
    await cheap.wrong(9)
    assert suite.bus.events(EVENT) == []
    await cheap.wrong(3)
    record = (await audited(suite, "sign_in.refuse"))[-1]
    user_id = (await cheap.login_document()).value.user_id
    assert (record.target, record.result, record.actor.kind) == (user_id, "refused", "anonymous")
    assert (record.actor.ip, record.actor.request_id) == ("198.51.100.1", "req_2")
    assert record.detail == {"failures": "10", "known_device": "", "user_agent": "curl"}
    (event,) = suite.bus.events(EVENT)
    assert event.subject == ACME
    assert msgspec.json.decode(event.data) == {"about": "user", "user_id": user_id, "failures": 10}


async def test_a_tenant_under_attack_hears_of_it_once(suite: Suite, cheap: CheapSignIn) -> None:
    """L5: one password on 10 000 accounts, from as many addresses."""
    turned_away = 0
    before = len(suite.store.commits)
    for number in range(PER_TENANT.burst + 50):
        try:
            await cheap.wrong(ip=f"2001:db8:{number:x}::1", email=f"user{number}@acme.test")
        except TooManyRequests:
            turned_away += 1
    assert turned_away == 50
    (record,) = await audited(suite, "sign_in.throttle")
    assert (record.target, record.result) == (ACME, "refused")
    (event,) = suite.bus.events(EVENT)
    assert msgspec.json.decode(event.data) == {"about": "tenant"}
    # One commit, and the outbox entry's end.
    assert len(suite.store.commits) - before == 2
    assert suite.pauses == PER_TENANT.burst + 1


async def test_of_a_tenant_that_is_none_nothing_is_written(suite: Suite, cheap: CheapSignIn) -> None:
    """And for the alarm of none there is a pause, too."""
    before = len(suite.store.commits)
    for slug in ("nobody-has-this", "../acme"):
        for number in range(PER_TENANT.burst + 5):
            with suppress(TooManyRequests):
                await cheap.wrong(ip=f"2001:db8:{number:x}::1", slug=slug)
    assert len(suite.store.commits) == before
    assert suite.pauses == 2 * (PER_TENANT.burst + 1)


async def test_who_is_told_to_wait_has_cost_nothing(suite: Suite, cheap: CheapSignIn) -> None:
    """L5, L16: neither a read nor a hash."""
    for number in range(100):
        await cheap.wrong(email=f"user{number}@acme.test")
    suite.store.reads.clear()
    cheap.passwords.verified = 0
    with pytest.raises(TooManyRequests):
        await cheap.wrong()
    assert (suite.store.reads, cheap.passwords.verified) == ([], 0)


async def test_a_failure_that_cannot_be_counted_is_refused_all_the_same(
    suite: Suite, cheap: CheapSignIn, caplog: pytest.LogCaptureFixture
) -> None:
    """L1: a store that takes no writes does not tell which accounts there are."""

    async def down() -> None:
        raise Unavailable("store_unavailable", "The store did not answer.")

    suite.store.before_commit = down
    await cheap.wrong()
    assert "is not counted" in caplog.text
    assert OWNER not in caplog.text


async def test_any_order_of_tries_keeps_within_the_rules(suite: Suite, cheap: CheapSignIn) -> None:
    """A walk by chance, from one seed, of guessers, the person at two devices, and time."""
    chance = random.Random(7)
    device = (await cheap.right()).device_token
    last_write = suite.clock()
    for step in range(300):
        ip = f"2001:db8:{step:x}::1"
        choice = chance.random()
        if choice < 0.6:
            counted = await cheap.failures()
            await cheap.wrong(ip=ip)
            if await cheap.failures() != counted:
                wait = guessing.delay(counted)
                assert suite.clock() >= last_write + wait
                last_write = suite.clock()
        elif choice < 0.8:
            device = (await cheap.right(device, ip=ip)).device_token
        else:
            suite.clock.move(chance.choice([1, 60, 1800]))
    assert await cheap.failures() >= 10
