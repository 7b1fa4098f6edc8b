"""API keys: shown once, owned by the tenant, exchanged for five minutes, revoked for good."""

import logging
from datetime import timedelta

import pytest

from functions.auth.domain import api_key
from functions.auth.domain.api_key import Presented
from functions.auth.guessing.throttle import PER_ADDRESS
from functions.auth.machines.api_key_exchange import LIFETIME_SECONDS
from functions.auth.machines.api_keys import MadeKey
from functions.auth.oauth.tokens import Tokens
from shared.errors import Conflict, Error, Forbidden, Invalid, NotFound, OAuthError, Unauthenticated
from shared.identity import Verifier
from shared.logs import Formatter
from shared.store import Create
from tests.tokens import ISSUER
from tests.unit.auth.machine_door import ACTOR, MachineDoor, admin
from tests.unit.auth.suite import ACME, Suite, principal

pytestmark = pytest.mark.anyio

OWNER = principal("owner")
HERE = "192.0.2.7"
EXCHANGE = "/v1/auth/api-keys/token"
REQUEST = {"name": "nightly export", "scopes": ["usage:read"]}


async def make(suite: Suite, *scopes: str, **more: object) -> MadeKey:
    asked = list(scopes or ("usage:read",))
    return await suite.do.api_keys.create(OWNER, ACTOR, "nightly export", asked, **more)  # type: ignore[arg-type]


async def use(suite: Suite, text: str, address: str = HERE, scope: str | None = None) -> Tokens:
    return await suite.do.api_key_exchange.token(text, address, scope, "req_1")


async def refused(suite: Suite, text: str, address: str = HERE) -> Error:
    with pytest.raises(Error) as refusal:
        await use(suite, text, address)
    return refusal.value


async def is_over(suite: Suite, token: str) -> bool:
    """To a process that knew nothing before."""
    try:
        await Verifier(suite.publishing, ISSUER, ISSUER, suite.clock).verify(token)
    except Unauthenticated:
        return True
    return False


def forged(text: str, **changes: str) -> str:
    """With a checksum that is right again."""
    presented = api_key.read(text)
    assert presented is not None
    fields = {name: getattr(presented, name) for name in presented.__struct_fields__}
    return api_key.text(Presented(**(fields | changes)))


async def test_a_key_is_exchanged_for_a_token_of_five_minutes(suite: Suite) -> None:
    made = await make(suite, "usage:read", "tenant:read")
    tokens = await use(suite, made.text)
    assert (tokens.expires_in, tokens.scope) == (LIFETIME_SECONDS, "tenant:read usage:read")
    who = await suite.verifier.verify(tokens.access_token)
    assert (who.tenant_id, who.subject, who.client_id) == (ACME, made.key.id, f"{ACME}.{made.key.id}")
    assert (who.session_id, who.roles, who.expires_at - who.issued_at) == (None, (), timedelta(minutes=5))
    narrow = await use(suite, made.text, scope="usage:read")
    assert (await suite.verifier.verify(narrow.access_token)).scopes == {"usage:read"}
    with pytest.raises(OAuthError) as wide:
        await use(suite, made.text, scope="users:read")
    assert wide.value.code == "invalid_scope"
    suite.clock.move(LIFETIME_SECONDS)
    with pytest.raises(Unauthenticated):
        await suite.verifier.verify(tokens.access_token)


async def test_a_use_is_one_read_of_two_documents_and_an_hourly_write(suite: Suite) -> None:
    made = await make(suite)
    await use(suite, made.text)
    suite.store.reads.clear()
    suite.store.commits.clear()
    suite.clock.move(20)
    await use(suite, made.text)
    assert [len(keys) for keys in suite.store.reads] == [2]
    assert suite.store.commits == []

    first = (await suite.do.api_keys.get(ACME, made.key.id)).used_at
    suite.clock.move(3580)
    await use(suite, made.text)
    second = (await suite.do.api_keys.get(ACME, made.key.id)).used_at
    assert first is not None
    assert second == first + timedelta(hours=1)
    assert (await suite.audit()).count("api_key.use") == 2


async def test_a_use_that_cannot_be_noted_is_answered_all_the_same(suite: Suite) -> None:
    made = await make(suite)

    async def faster() -> None:
        await use(suite, made.text)

    suite.store.before_commit = faster
    assert (await use(suite, made.text)).access_token
    assert (await suite.audit()).count("api_key.use") == 1


async def test_what_is_no_key_of_ours_is_refused_without_a_read(suite: Suite) -> None:
    """K1"""
    text = (await make(suite)).text
    suite.store.reads.clear()
    flipped = text[:-1] + ("0" if text[-1] != "0" else "1")
    for wrong in (
        "",
        "x",
        flipped,
        text[:-1],
        text.upper(),
        text + " ",
        forged(text, environment="production"),
    ):
        answer = await refused(suite, wrong)
        assert (answer.status, answer.code) == (401, "invalid_api_key")
    assert suite.store.reads == []


async def test_unknown_foreign_wrong_expired_early_and_misplaced_keys_are_one_answer(suite: Suite) -> None:
    """K2, K7, K9: nor does who has the secret learn more."""
    await suite.add_tenant("tnt_globex", "globex")
    now = suite.clock()
    good = await make(suite)
    tried = [
        (forged(good.text, secret="0" * 22), HERE),
        (forged(good.text, tenant_id="tnt_globex"), HERE),
        (forged(good.text, tenant_id="tnt_nobody"), HERE),
        (forged(good.text, tenant_id="__x__"), HERE),
        (forged(good.text, key_id="key_" + "0" * 32), HERE),
        (forged(good.text, key_id=(await make(suite)).key.id), HERE),
        ((await make(suite, not_before=now + timedelta(days=1))).text, HERE),
        ((await make(suite, expires_at=now + timedelta(microseconds=1))).text, HERE),
        ((await make(suite, ip_ranges=["192.0.2.8/29", "2001:db8::/32"])).text, HERE),
        ("junk", HERE),
    ]
    suite.clock.move(1)
    answers = set()
    for text, address in tried:
        answer = await refused(suite, text, address)
        answers.add((answer.status, answer.code, answer.detail, tuple(answer.headers)))
    assert len(answers) == 1
    assert {status for status, *_ in answers} == {401}
    assert (await use(suite, good.text)).access_token


async def test_wrong_secrets_are_limited_where_they_come_from_and_lock_nobody_out(suite: Suite) -> None:
    """K2: nor does a wrong one write more than how many they were, or an outage count."""
    made = await make(suite)
    suite.store.commits.clear()
    suite.store.down = True
    for _ in range(PER_ADDRESS.burst + 1):
        assert (await refused(suite, made.text, "2001:db8::1")).status == 503
    suite.store.down = False
    wrong = [
        await refused(suite, forged(made.text, secret=api_key.secret_of(n.to_bytes(16))), f"2001:db8::{n:x}")
        for n in range(PER_ADDRESS.burst + 1)
    ]
    assert [answer.status for answer in wrong] == [401] * PER_ADDRESS.burst + [429]
    assert int(wrong[-1].headers["Retry-After"]) == PER_ADDRESS.seconds
    assert (await refused(suite, made.text, "2001:db8:0:ff::1")).status == 429, "the same prefix of 56 bits"
    recorded = [write.body["detail"]["refusals"] for writes in suite.store.commits for write in writes
                if isinstance(write, Create) and "/audit/" in write.key.path]  # fmt: skip
    assert recorded == ["1", "10", "100"]
    assert (await use(suite, made.text)).access_token
    suite.clock.move(PER_ADDRESS.seconds)
    assert (await use(suite, made.text, "2001:db8::1")).access_token


async def test_a_right_secret_that_is_over_counts_against_nobody(suite: Suite) -> None:
    over = await make(suite, expires_at=suite.clock() + timedelta(seconds=1))
    made = await make(suite)
    suite.clock.move(1)
    for _ in range(PER_ADDRESS.burst + 1):
        assert (await refused(suite, over.text)).code == "invalid_api_key"
    assert (await use(suite, made.text)).access_token


async def test_a_key_ends_at_its_deadline_and_begins_at_its_start(suite: Suite) -> None:
    """K5, K9"""
    start, end = suite.clock() + timedelta(minutes=1), suite.clock() + timedelta(minutes=2)
    made = await make(suite, not_before=start, expires_at=end)
    assert (await refused(suite, made.text)).code == "invalid_api_key"
    suite.clock.move(60)
    assert (await use(suite, made.text)).access_token
    suite.clock.move(60)
    assert (await refused(suite, made.text)).code == "invalid_api_key"


async def test_a_revoked_key_is_refused_at_once_and_its_tokens_within_30_s(suite: Suite) -> None:
    """K6: the bound is the verifier's."""
    made = await make(suite)
    token = (await use(suite, made.text)).access_token
    await suite.verifier.verify(token)
    await suite.do.api_keys.revoke(OWNER, ACTOR, made.key.id)
    assert (await refused(suite, made.text)).code == "invalid_api_key"
    assert await is_over(suite, token)
    suite.clock.move(30)
    with pytest.raises(Unauthenticated):
        await suite.verifier.verify(token)


async def test_a_key_that_is_revoked_while_it_is_used_gives_no_token_that_lasts(suite: Suite) -> None:
    """K6: the use had read the key, the revocation was committed, then the token was signed."""
    made = await make(suite)

    async def revoked_meanwhile() -> None:
        await suite.do.api_keys.revoke(OWNER, ACTOR, made.key.id)
        suite.clock.move(20)

    suite.store.after_read = revoked_meanwhile
    token = (await use(suite, made.text)).access_token
    assert await is_over(suite, token)
    assert (await refused(suite, made.text)).code == "invalid_api_key"
    with pytest.raises(NotFound):
        await suite.do.api_keys.get(ACME, made.key.id)


async def test_a_use_noted_during_a_revocation_does_not_undo_it(suite: Suite) -> None:
    """K6, the other way round: the note is written first, the revocation decides again."""
    made = await make(suite)

    async def used_meanwhile() -> None:
        await use(suite, made.text)

    suite.store.before_commit = used_meanwhile
    await suite.do.api_keys.revoke(OWNER, ACTOR, made.key.id)
    assert (await refused(suite, made.text)).code == "invalid_api_key"


async def test_a_suspended_tenants_key_is_refused_at_once(suite: Suite) -> None:
    """K8, T10, T11"""
    made = await make(suite)
    token = (await use(suite, made.text)).access_token
    await suite.set_status("suspended")
    answer = await refused(suite, made.text)
    assert (answer.status, answer.code) == (403, "tenant_suspended")
    assert (await refused(suite, forged(made.text, secret="0" * 22))).code == "invalid_api_key"
    suite.clock.move(60)
    await suite.set_status("active")
    assert (await use(suite, made.text)).access_token
    assert await is_over(suite, token)


async def test_no_key_has_more_than_its_creator_and_keys_make_no_stronger_ones(suite: Suite) -> None:
    """K8"""
    made = await make(suite, "api_keys:write", "service_accounts:write", "usage:read")
    door = MachineDoor(suite, (await use(suite, made.text)).access_token)
    strong = await make(suite, "users:read")
    for path in ("/v1/api-keys", "/v1/service-accounts"):
        answer = await door.ask("POST", path, REQUEST | {"scopes": ["users:read"]})
        assert (answer.status_code, answer.json()["code"]) == (403, "scope_not_grantable")
        assert (await door.ask("POST", path, REQUEST)).status_code == 201
    assert (await door.ask("GET", "/v1/api-keys")).status_code == 403
    longer = {"expires_at": "2026-12-01T00:00:00Z"}
    answer = await door.ask("PATCH", f"/v1/api-keys/{strong.key.id}", longer)
    assert (answer.status_code, answer.json()["code"]) == (403, "scope_not_grantable")
    with pytest.raises(Forbidden):
        await make(suite, "platform:tenants:read")
    assert "api_key" in {record.split(".")[0] for record in await suite.audit()}


async def test_foreign_unknown_and_revoked_keys_are_the_same_404(suite: Suite) -> None:
    """K7, T1, T3"""
    await suite.add_tenant("tnt_globex", "globex")
    foreigner = principal("owner", "tnt_globex")
    foreign = await suite.do.api_keys.create(foreigner, ACTOR, "x", ["usage:read"])
    gone = await make(suite)
    await suite.do.api_keys.revoke(OWNER, ACTOR, gone.key.id)
    door = await admin(suite)
    answers = set()
    for key_id in (foreign.key.id, gone.key.id, "key_unknown", "x" * 65, "__x__"):
        for method, body in (("GET", None), ("PATCH", {"name": "x"}), ("DELETE", None)):
            answer = await door.ask(method, f"/v1/api-keys/{key_id}", body, X_Request_Id="req_same")
            answers.add((answer.status_code, answer.content))
    assert len(answers) == 1
    assert {status for status, _ in answers} == {404}
    assert (await use(suite, foreign.text)).access_token
    assert [key["id"] for key in (await door.ask("GET", "/v1/api-keys")).json()["items"]] == []


async def test_a_key_is_renamed_moved_and_ended_but_not_revived(suite: Suite) -> None:
    made = await make(suite)
    do, now = suite.do.api_keys, suite.clock()
    changed = await do.update(OWNER, ACTOR, made.key.id, name="x", ip_ranges=["2001:db8::/32"])
    assert (changed.name, changed.expires_at) == ("x", made.key.expires_at)
    assert (await refused(suite, made.text)).code == "invalid_api_key"
    assert (await use(suite, made.text, "2001:db8::1")).access_token
    before = len(suite.bus.events("api_key.updated"))
    await do.update(OWNER, ACTOR, made.key.id, name="x")
    assert len(suite.bus.events("api_key.updated")) == before == 1
    for wrong in (now, now + timedelta(days=365, seconds=1)):
        with pytest.raises(Invalid):
            await do.update(OWNER, ACTOR, made.key.id, expires_at=wrong)
    await do.update(OWNER, ACTOR, made.key.id, expires_at=now + timedelta(seconds=5))
    suite.clock.move(5)
    with pytest.raises(Conflict):
        await do.update(OWNER, ACTOR, made.key.id, expires_at=now + timedelta(days=1))
    assert (await do.page(ACME, 20, None)).items[0].name == "x"


async def test_the_key_is_in_the_header_or_in_the_body_once_and_never_in_the_address(
    suite: Suite, caplog: pytest.LogCaptureFixture
) -> None:
    """K10"""
    text = (await make(suite)).text
    door = MachineDoor(suite)
    for headers, body in (
        ({"X_Api_Key": text}, None),
        ({}, {"api_key": text}),
        ({"X_Api_Key": text}, {"scope": "usage:read"}),
    ):
        answer = await door.ask("POST", EXCHANGE, body, **headers)
        assert (answer.status_code, answer.headers["cache-control"]) == (200, "no-store")
        assert set(answer.json()) == {"access_token", "token_type", "expires_in", "scope"}
    both = await door.ask("POST", EXCHANGE, {"api_key": text}, X_Api_Key=text)
    neither = await door.ask("POST", EXCHANGE, {"scope": "usage:read"})
    assert {answer.json()["code"] for answer in (both, neither)} == {"one_api_key"}
    assert (await door.ask("POST", EXCHANGE)).status_code == 415
    assert (await door.ask("POST", EXCHANGE, X_Api_Key="x")).status_code == 401

    with caplog.at_level(logging.DEBUG):
        for query in (f"api_key={text}", f"key={text}", text, f"x={text}&x=1", "a=%ff"):
            answer = await door.ask("POST", f"{EXCHANGE}?{query}", X_Api_Key=text)
            assert (answer.status_code, answer.json()["code"]) == (400, "query_not_allowed")
            assert text[60:] not in answer.text
        answer = await (await admin(suite)).ask("GET", f"/v1/api-keys?api_key={text}")
        assert answer.status_code == 422
    assert text in caplog.text, "the client's own lines have it"
    written = "".join(Formatter().format(record) for record in caplog.records)
    assert "[redacted]" in written
    assert text[-28:] not in written + str(door.logged)


async def test_a_key_is_shown_once_and_its_secret_is_nowhere(
    suite: Suite, caplog: pytest.LogCaptureFixture
) -> None:
    """K3, K4, G1: neither in documents, free pages and log of the store, nor in events, lists, log lines."""
    door = await admin(suite)
    with caplog.at_level(logging.DEBUG):
        first = await door.ask("POST", "/v1/api-keys", REQUEST, Idempotency_Key="k-1")
        again = await door.ask("POST", "/v1/api-keys", REQUEST, Idempotency_Key="k-1")
        assert (first.status_code, again.status_code) == (201, 201)
        made, repeated = first.json(), again.json()
        assert "revoke this key" in repeated.pop("notice")
        text = made.pop("api_key")
        assert (repeated, again.headers["idempotency-replayed"]) == (made, "true")
        path = f"/v1/api-keys/{made['id']}"
        await use(suite, text)
        await refused(suite, forged(text, secret="0" * 22))
        shown = [
            await door.ask("GET", path),
            await door.ask("GET", "/v1/api-keys"),
            await door.ask("PATCH", path, {"name": "y"}),
        ]
        assert (await door.ask("DELETE", path)).status_code == 204
    secret = text[-28:]
    files = b"".join(file.read_bytes() for file in suite.folder.glob("store.db*"))
    events = b"".join(message.data for _, message in suite.bus.messages)
    assert made["id"].encode() in files
    assert made["id"].encode() in events
    seen = files + events + caplog.text.encode() + b"".join(answer.content for answer in shown)
    assert secret[:22].encode() not in seen
    assert {answer.status_code for answer in shown} == {200}
    told = [name for name in await suite.audit() if name.startswith("api_key")]
    verbs = [name.removeprefix("api_key.") for name in told]
    assert sorted(verbs) == ["create", "refuse", "revoke", "update", "use"]
    assert [len(suite.bus.events(f"api_key.{what}")) for what in ("created", "updated", "revoked")] == [
        1,
        1,
        1,
    ]


@pytest.mark.parametrize(
    ("changed", "path"),
    [
        ({"scopes": []}, "/scopes"),
        ({"scopes": ["nonsense"]}, "/scopes/0"),
        ({"name": "\n"}, "/name"),
        ({"ip_ranges": ["10.0.0.1/8"]}, "/ip_ranges/0"),
        ({"ip_ranges": ["10.0.0.0/8"] * 21}, "/ip_ranges"),
        ({"expires_at": "2026-03-04T12:00:00Z"}, "/expires_at"),
        ({"expires_at": "2027-03-04T12:00:01Z"}, "/expires_at"),
        ({"expires_at": "2026-04-01T00:00:00"}, "/expires_at"),
        ({"expires_at": "0001-01-01T00:00:00+14:00"}, "/expires_at"),
        ({"expires_at": "9999-12-31T23:59:59-14:00"}, "/expires_at"),
        ({"not_before": "2026-06-02T12:00:00Z"}, "/not_before"),
        ({"not_before": "9999-12-31T23:59:59-14:00"}, "/not_before"),
        ({"id": "key_1"}, "/id"),
    ],
)
async def test_a_wrong_field_is_named(suite: Suite, changed: dict[str, object], path: str) -> None:
    answer = await (await admin(suite)).ask("POST", "/v1/api-keys", REQUEST | changed)
    assert answer.status_code == 422, answer.text
    assert [error["path"] for error in answer.json()["errors"]] == [path]


@pytest.mark.parametrize("start", ["2026-03-04T12:00:00Z", "0001-01-01T00:00:00+14:00"])
async def test_a_start_that_has_passed_is_none(suite: Suite, start: str) -> None:
    door = await admin(suite)
    made = (await door.ask("POST", "/v1/api-keys", REQUEST | {"not_before": start})).json()
    assert made["not_before"] is None
    assert (await use(suite, made["api_key"])).access_token


async def test_a_caller_whose_tenant_was_suspended_just_now_makes_and_changes_no_key(suite: Suite) -> None:
    """T10: the door may still let him in."""
    made = await make(suite)
    await suite.set_status("suspended")
    do = suite.do.api_keys
    for attempt in (
        make(suite),
        do.update(OWNER, ACTOR, made.key.id, name="x"),
        do.revoke(OWNER, ACTOR, made.key.id),
    ):
        with pytest.raises(Error) as refusal:
            await attempt
        assert refusal.value.code == "tenant_suspended"
    assert [key.name for key in (await do.page(ACME, 20, None)).items] == ["nightly export"]
