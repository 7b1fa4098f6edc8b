"""Service accounts change, are disabled and deleted, and have several secrets and keys at once."""

from datetime import datetime, timedelta, timezone
from typing import Any

import msgspec
import pytest
from cryptography.hazmat.primitives.asymmetric import ec

from functions.auth.domain import client_id, machines
from shared.audit import Actor
from shared.errors import Conflict, Error, Forbidden, Invalid, NotFound, OAuthError, Unauthenticated
from shared.identity import Verifier
from shared.keyring import public_jwk
from shared.store.bodies import from_body
from tests.tokens import ISSUER
from tests.unit.auth.machine_door import ACTOR, admin
from tests.unit.auth.suite import ACME, AUDIT, Suite, principal

pytestmark = pytest.mark.anyio

OWNER = principal("owner")
ED25519 = {"kty": "OKP", "crv": "Ed25519", "x": "11qYAYKxCrfVS_7TyWQHOg7hcvPapiMlrwIaaPcHURo"}


async def made(suite: Suite, *scopes: str) -> tuple[str, str, str]:
    """Account id, client id and secret."""
    client, secret = await suite.add_machine(*(scopes or ("usage:read",)))
    return client.partition(".")[2], client, secret


async def is_refused(suite: Suite, client: str, secret: str) -> bool:
    try:
        await suite.machine_token(client, secret)
    except OAuthError as refused:
        return (refused.status, refused.code) == (401, "invalid_client")
    return False


async def is_over(suite: Suite, token: str) -> bool:
    """To a process that knew nothing before."""
    try:
        await Verifier(suite.publishing, ISSUER, ISSUER, suite.clock).verify(token)
    except Unauthenticated:
        return True
    return False


async def test_two_secrets_work_side_by_side_and_the_old_one_until_exactly_its_deadline(suite: Suite) -> None:
    """K5"""
    do = suite.do.service_account_changes
    account, client, old = await made(suite)
    added = await do.add_secret(OWNER, ACTOR, account, None)
    (first, _) = (await suite.service_accounts.get(ACME, account)).secrets
    await do.expire(OWNER, ACTOR, account, "secrets", first.id, suite.clock() + timedelta(hours=1))

    suite.clock.move(3600 - 0.000_001)
    assert not await is_refused(suite, client, old)
    assert not await is_refused(suite, client, added.text)
    suite.clock.move(0.000_001)
    assert await is_refused(suite, client, old)
    assert not await is_refused(suite, client, added.text)


async def test_a_secret_that_is_made_with_a_deadline_keeps_to_it(suite: Suite) -> None:
    """K5, K9"""
    account, client, _ = await made(suite)
    soon = suite.clock() + timedelta(seconds=10)
    added = await suite.do.service_account_changes.add_secret(OWNER, ACTOR, account, soon)
    assert not await is_refused(suite, client, added.text)
    suite.clock.move(10)
    assert await is_refused(suite, client, added.text)


async def test_a_removed_secret_stops_at_once_and_the_other_goes_on(suite: Suite) -> None:
    do = suite.do.service_account_changes
    account, client, old = await made(suite)
    added = await do.add_secret(OWNER, ACTOR, account, None)
    (first, _) = (await suite.service_accounts.get(ACME, account)).secrets
    await do.remove(OWNER, ACTOR, account, "secrets", first.id)
    assert await is_refused(suite, client, old)
    assert not await is_refused(suite, client, added.text)
    for again in (first.id, "sec_unknown", "../x", ""):
        with pytest.raises(NotFound):
            await do.remove(OWNER, ACTOR, account, "secrets", again)


async def test_what_has_expired_is_not_brought_back_and_makes_room(suite: Suite) -> None:
    do = suite.do.service_account_changes
    account, client, old = await made(suite)
    (first,) = (await suite.service_accounts.get(ACME, account)).secrets
    later = suite.clock() + timedelta(minutes=1)
    await do.expire(OWNER, ACTOR, account, "secrets", first.id, later)
    for _ in range(4):
        await do.add_secret(OWNER, ACTOR, account, None)
    with pytest.raises(Conflict) as full:
        await do.add_secret(OWNER, ACTOR, account, None)
    assert full.value.code == "too_many_credentials"

    suite.clock.move(60)
    with pytest.raises(NotFound):
        await do.expire(OWNER, ACTOR, account, "secrets", first.id, later + timedelta(days=1))
    await do.add_secret(OWNER, ACTOR, account, None)
    secrets = (await suite.service_accounts.get(ACME, account)).secrets
    assert len(secrets) == 5
    assert first.id not in {secret.id for secret in secrets}
    assert await is_refused(suite, client, old)


async def test_a_deadline_lies_ahead(suite: Suite) -> None:
    do = suite.do.service_account_changes
    account, _, _ = await made(suite)
    (first,) = (await suite.service_accounts.get(ACME, account)).secrets
    for attempt in (
        do.expire(OWNER, ACTOR, account, "secrets", first.id, suite.clock()),
        do.add_secret(OWNER, ACTOR, account, suite.clock() - timedelta(days=1)),
        do.add_secret(OWNER, ACTOR, account, datetime.max.replace(tzinfo=timezone(-timedelta(hours=14)))),
        do.add_secret(OWNER, ACTOR, account, datetime.min.replace(tzinfo=timezone(timedelta(hours=14)))),
        do.add_key(OWNER, ACTOR, account, ED25519, suite.clock()),
    ):
        with pytest.raises(Invalid) as refused:
            await attempt
        assert refused.value.fields[0].path == "/expires_at"


async def test_a_disabled_account_gets_no_token_and_its_tokens_end_within_30_s(suite: Suite) -> None:
    """K6 for accounts"""
    do = suite.do.service_account_changes
    account, client, secret = await made(suite)
    token = await suite.machine_token(client, secret)
    await suite.verifier.verify(token)
    await do.update(OWNER, ACTOR, account, status="disabled")
    assert await is_refused(suite, client, secret)
    assert await is_over(suite, token)
    suite.clock.move(30)
    with pytest.raises(Unauthenticated):
        await suite.verifier.verify(token)

    await do.update(OWNER, ACTOR, account, status="active")
    suite.clock.move(machines.STILL_ISSUING.total_seconds())
    assert not await is_over(suite, await suite.machine_token(client, secret))
    assert await is_over(suite, token), "what was ended stays over"


async def test_a_token_that_was_being_made_while_its_account_ended_is_over_too(suite: Suite) -> None:
    """K6: a request that read the account before its end answers after it."""
    account, client, secret = await made(suite)

    async def deleted_meanwhile() -> None:
        await suite.do.service_account_changes.delete(OWNER, ACTOR, account)
        suite.clock.move(20)

    suite.store.after_read = deleted_meanwhile
    token = await suite.machine_token(client, secret)
    assert await is_over(suite, token)


async def test_a_deleted_account_is_unknown_from_then_on(suite: Suite) -> None:
    do = suite.do.service_account_changes
    account, client, secret = await made(suite)
    token = await suite.machine_token(client, secret)
    await do.delete(OWNER, ACTOR, account)
    assert await is_refused(suite, client, secret)
    assert await is_over(suite, token)
    assert (await suite.service_accounts.page(ACME, 20, None)).items == []
    assert "service_account.delete" in await suite.audit()


async def test_foreign_unknown_and_deleted_accounts_are_the_same_404(suite: Suite) -> None:
    """K7, T1, T3"""
    await suite.add_tenant("tnt_globex", "globex")
    foreign = (await suite.add_machine("usage:read", tenant_id="tnt_globex"))[0].partition(".")[2]
    gone, _, _ = await made(suite)
    await suite.do.service_account_changes.delete(OWNER, ACTOR, gone)
    door = await admin(suite)
    answers = set()
    for account in (foreign, gone, "sa_unknown", "__x__", "x" * 65, "%20"):
        path = f"/v1/service-accounts/{account}"
        for method, tail, body in [
            ("GET", "", None),
            ("PATCH", "", {"name": "x"}),
            ("DELETE", "", None),
            ("POST", "/secrets", {}),
            ("PATCH", "/secrets/sec_1", {"expires_at": "2030-01-01T00:00:00Z"}),
            ("DELETE", "/secrets/sec_1", None),
            ("POST", "/keys", {"jwk": ED25519}),
            ("PATCH", "/keys/k1", {"expires_at": "2030-01-01T00:00:00Z"}),
            ("DELETE", "/keys/k1", None),
        ]:
            answer = await door.ask(method, path + tail, body, X_Request_Id="req_same")
            answers.add((answer.status_code, answer.content))
    assert len(answers) == 1
    assert {status for status, _ in answers} == {404}
    assert (await suite.service_accounts.get("tnt_globex", foreign)).status == "active"


async def test_nobody_gives_more_than_he_has(suite: Suite) -> None:
    """K8: neither as scopes, nor by a secret or a key to an account that may more."""
    do = suite.do.service_account_changes
    strong, client, _ = await made(suite, "users:read", "service_accounts:write")
    weak = await admin(suite, "service_accounts:write", "usage:read")
    path = f"/v1/service-accounts/{strong}"
    for method, tail, body in [
        ("PATCH", "", {"scopes": ["users:read"]}),
        ("PATCH", "", {"scopes": ["usage:read"]}),
        ("POST", "/secrets", {}),
        ("POST", "/keys", {"jwk": ED25519}),
    ]:
        answer = await weak.ask(method, path + tail, body)
        assert (answer.status_code, answer.json()["code"]) == (403, "scope_not_grantable")
    await do.update(OWNER, ACTOR, strong, scopes=["usage:read"])
    assert (await weak.ask("POST", f"{path}/secrets", {})).status_code == 201
    with pytest.raises(Forbidden):
        await do.update(OWNER, ACTOR, strong, scopes=["platform:tenants:read"])
    assert (await suite.service_accounts.get(ACME, strong)).scopes == ("usage:read",)
    assert client == client_id.of(ACME, strong)


async def test_who_has_less_may_name_and_disable_an_account_and_not_bring_it_back(suite: Suite) -> None:
    """K8: what works again is worth what its account may."""
    account, _, _ = await made(suite, "users:read")
    weak = await admin(suite, "service_accounts:write", "usage:read")
    path = f"/v1/service-accounts/{account}"
    for body in ({"name": "export"}, {"status": "disabled"}, {"name": "old export"}):
        assert (await weak.ask("PATCH", path, body)).status_code == 200, body
    refused = await weak.ask("PATCH", path, {"status": "active"})
    assert (refused.status_code, refused.json()["code"]) == (403, "scope_not_grantable")
    found = await suite.service_accounts.get(ACME, account)
    assert (found.status, found.name) == ("disabled", "old export")


async def test_an_account_with_a_role_gets_secrets_from_that_role_only(suite: Suite) -> None:
    """K8: an operator's account, and somebody who has an operator's scopes and not the role."""
    client, _ = await suite.operators.bootstrap()
    account = client.partition(".")[2]
    operator = principal("operator", "platform")
    do = suite.do.service_account_changes
    await do.add_secret(operator, ACTOR, account, None)
    with pytest.raises(Forbidden):
        await do.add_secret(msgspec.structs.replace(operator, roles=()), ACTOR, account, None)


async def test_fewer_scopes_end_the_tokens_that_have_more(suite: Suite) -> None:
    account, client, secret = await made(suite, "usage:read", "tenant:read")
    before = await suite.machine_token(client, secret)
    suite.clock.move(2)
    do = suite.do.service_account_changes
    await do.update(OWNER, ACTOR, account, scopes=["usage:read", "tenant:read", "users:read"])
    assert not await is_over(suite, before), "more scopes end nothing"
    await do.update(OWNER, ACTOR, account, scopes=["usage:read"])
    suite.clock.move(1)
    assert await is_over(suite, before)
    who = await suite.verifier.verify(await suite.machine_token(client, secret))
    assert who.scopes == {"usage:read"}


async def test_a_token_that_is_given_while_scopes_go_ends_by_the_event(suite: Suite) -> None:
    """R8: another process looks the account up after the time of the change and before its commit."""
    account, client, secret = await made(suite, "usage:read", "tenant:read")
    elsewhere = Suite(suite.folder, suite.store.inner, suite.clock)
    await elsewhere.assemble()
    given: list[str] = []

    async def meanwhile() -> None:
        suite.clock.move(1)
        given.append(await elsewhere.machine_token(client, secret))

    suite.store.before_commit = meanwhile
    await suite.do.service_account_changes.update(OWNER, ACTOR, account, scopes=["usage:read"])
    suite.clock.move(1)
    assert not await is_over(suite, given[0])
    for _ in range(2):
        await suite.deliver_published("service_account.updated")
    suite.clock.move(1)
    assert await is_over(suite, given[0])
    assert not await is_over(suite, await suite.machine_token(client, secret))
    elsewhere.passwords.close()


@pytest.mark.parametrize("change", [{"scopes": ["usage:read", "tenant:read"]}, {"name": "other"}])
async def test_what_takes_nothing_away_ends_nothing_by_its_event(
    suite: Suite, change: dict[str, Any]
) -> None:
    account, client, secret = await made(suite, "usage:read")
    token = await suite.machine_token(client, secret)
    await suite.do.service_account_changes.update(OWNER, ACTOR, account, **change)
    await suite.deliver_published("service_account.updated")
    suite.clock.move(1)
    assert not await is_over(suite, token)


async def test_each_change_is_an_audit_record_and_an_event_and_no_change_is_none(suite: Suite) -> None:
    do = suite.do.service_account_changes
    account, _, _ = await made(suite)
    await do.update(OWNER, ACTOR, account, name=" nightly export ", status="active")
    assert suite.bus.events("service_account.updated") == []

    await do.update(OWNER, ACTOR, account, name="export")
    await do.add_secret(OWNER, ACTOR, account, None)
    await do.add_key(OWNER, ACTOR, account, ED25519, None)
    await do.update(OWNER, ACTOR, account, status="disabled")
    await do.delete(OWNER, ACTOR, account)
    told = [from_body(doc.body, dict) for doc in (await suite.store.tenant(ACME).query(AUDIT)).docs]
    changed = [record["detail"].get("changed", "") for record in told if record["target"] == account]
    assert sorted(changed) == ["", "", "keys", "name", "secrets", "status"]
    assert len(suite.bus.events("service_account.created")) == 1
    assert len(suite.bus.events("service_account.updated")) == 4
    assert len(suite.bus.events("service_account.deleted")) == 1


async def test_two_changes_at_once_are_both_made(suite: Suite) -> None:
    do = suite.do.service_account_changes
    account, _, _ = await made(suite)

    async def another() -> None:
        await do.add_secret(OWNER, ACTOR, account, None)

    suite.store.before_commit = another
    await do.update(OWNER, ACTOR, account, name="renamed")
    found = await suite.service_accounts.get(ACME, account)
    assert (found.name, len(found.secrets)) == ("renamed", 2)


async def test_a_caller_whose_tenant_was_suspended_just_now_changes_nothing(suite: Suite) -> None:
    """T10: the door may still let him in."""
    do = suite.do.service_account_changes
    account, _, _ = await made(suite)
    before = await suite.service_accounts.get(ACME, account)
    await suite.set_status("suspended")
    for attempt in (
        do.update(OWNER, ACTOR, account, name="x"),
        do.add_secret(OWNER, ACTOR, account, None),
        do.add_key(OWNER, ACTOR, account, ED25519, None),
        do.delete(OWNER, ACTOR, account),
    ):
        with pytest.raises(Error) as refused:
            await attempt
        assert refused.value.code == "tenant_suspended"
    assert await suite.service_accounts.get(ACME, account) == before


async def test_a_repeated_secret_is_one_and_is_shown_once(suite: Suite) -> None:
    """K4, G1"""
    account, client, _ = await made(suite)
    door = await admin(suite)
    path = f"/v1/service-accounts/{account}"
    first = await door.ask("POST", f"{path}/secrets", {}, Idempotency_Key="k-1")
    again = await door.ask("POST", f"{path}/secrets", {}, Idempotency_Key="k-1")
    assert (first.status_code, again.status_code) == (201, 201)
    assert again.headers["idempotency-replayed"] == "true"
    secret = first.json()["client_secret"]
    assert "client_secret" not in again.json()
    assert "add another" in again.json()["notice"]
    assert not await is_refused(suite, client, secret)
    shown = (await door.ask("GET", path)).json()
    assert [set(known) for known in shown["secrets"]] == [{"id", "created_at", "expires_at"}] * 2
    assert again.json()["id"] == shown["secrets"][1]["id"]
    files = b"".join(file.read_bytes() for file in suite.folder.glob("store.db*"))
    events = b"".join(message.data for _, message in suite.bus.messages)
    assert secret.encode() not in files + events


async def test_a_key_is_kept_by_its_kid_until_its_deadline(suite: Suite) -> None:
    account, _, _ = await made(suite)
    door = await admin(suite)
    path = f"/v1/service-accounts/{account}/keys"
    pair = ec.generate_private_key(ec.SECP256R1())
    jwk = public_jwk(pair.public_key()) | {"kid": "build-1", "use": "sig", "alg": "ES256"}
    first = await door.ask("POST", path, {"jwk": jwk}, Idempotency_Key="k-1")
    again = await door.ask("POST", path, {"jwk": jwk}, Idempotency_Key="k-1")
    assert (first.status_code, first.content) == (201, again.content)
    assert first.json()["jwk"] == {name: jwk[name] for name in ("kty", "crv", "x", "y")}
    taken = await door.ask("POST", path, {"jwk": ED25519 | {"kid": "build-1"}})
    assert (taken.status_code, taken.json()["code"]) == (409, "credential_exists")
    deadline = {"expires_at": "2026-03-04T12:01:00+00:00"}
    changed = await door.ask("PATCH", f"{path}/build-1", deadline)
    assert changed.json()["keys"][0]["expires_at"] == "2026-03-04T12:01:00Z"
    suite.clock.move(60)
    door = await admin(suite)
    assert (await door.ask("DELETE", f"{path}/build-1")).status_code == 404
    assert (await door.ask("POST", path, {"jwk": ED25519 | {"kid": "build-1"}})).status_code == 201
    assert (await door.ask("DELETE", f"{path}/build-1")).status_code == 204


async def test_an_account_outlives_who_made_it(suite: Suite) -> None:
    client, secret = await suite.add_machine("usage:read")
    account = await suite.service_accounts.get(ACME, client.partition(".")[2])
    assert account.created_by == Actor("user", "usr_test", ACME).id, "somebody whom no document knows"
    assert not await is_refused(suite, client, secret)
