"""Passkeys: made and used by a software authenticator; what does not fit is refused, uniformly."""

import asyncio
from collections.abc import Callable
from datetime import timedelta
from typing import Any

import msgspec
import pytest

from functions.auth.domain.passkeys import MAX_PASSKEYS
from functions.auth.factors.factor_proofs import Answer
from functions.auth.factors.passkey_ceremonies import PasskeyCeremonies, Registration, challenge_of
from shared.audit import Actor
from shared.errors import Unauthenticated
from tests.authenticator import Authenticator, raw, text
from tests.unit.auth.second_factor import SOURCE, Person, assertion, loaded, person, refused
from tests.unit.auth.suite import ACME, Suite

pytestmark = pytest.mark.anyio

ACTOR = Actor("user", "usr_test", ACME)
Change = Callable[[Authenticator], None]


async def options(suite: Suite, slug: str = "acme") -> dict[str, Any]:
    return loaded(await suite.do.passkey_sign_in.options(slug))


async def passkey_sign_in(suite: Suite, given: dict[str, Any], slug: str = "acme") -> Any:
    return await suite.do.passkey_sign_in.login(slug, assertion(given), SOURCE)


async def with_passkey(suite: Suite, **kind: bool) -> tuple[Person, Authenticator]:
    ada, authenticator = await person(suite), Authenticator(**kind)
    await ada.enrol_passkey(authenticator)
    return ada, authenticator


async def test_a_passkey_is_made_for_a_user_who_is_verified(suite: Suite) -> None:
    ada = await person(suite)
    caller = await ada.principal()
    asked = await ada.creation_options(caller)
    assert asked["rp"]["id"] == "api.example.test"
    assert raw(asked["user"]["id"]).decode() == ada.user.id
    assert asked["authenticatorSelection"] == {
        "residentKey": "required",
        "requireResidentKey": True,
        "userVerification": "required",
    }
    authenticator = Authenticator()
    made = await ada.register(caller, authenticator.create(asked))
    assert (made.name, made.bound_to_device, made.transports) == ("Laptop", True, ("internal",))
    again = await ada.creation_options(caller)
    assert [each["id"] for each in again["excludeCredentials"]] == [text(authenticator.credential_id)]
    assert len(suite.bus.events("user.factor_added")) == 1


@pytest.mark.parametrize(("synced", "held"), [(False, "hwk"), (True, "swk")])
async def test_a_passkey_is_enough_to_sign_in(suite: Suite, synced: bool, held: str) -> None:
    ada, authenticator = await with_passkey(suite, synced=synced)
    asked = await options(suite)
    assert asked["allowCredentials"] == []
    assert asked["userVerification"] == "required"
    signed_in = await passkey_sign_in(suite, authenticator.get(asked))
    caller = await ada.principal(signed_in.tokens)
    assert caller.subject == ada.user.id
    assert caller.amr == (held, "user", "mfa")
    assert "users:write" in caller.scopes


async def test_a_second_factor_is_not_signed_within_another_sites_frame(suite: Suite) -> None:
    """As for a sign-in with nothing else (WebAuthn Level 3 §7.2, step 15)."""
    ada, authenticator = await person(suite), Authenticator()
    await ada.enrol_passkey(authenticator)
    asked = await ada.challenge()
    framed(authenticator)
    given = assertion(authenticator.get(loaded(asked.passkey)))
    assert (await refused(ada.finish(asked, passkey=given))).code == "second_factor_refused"


async def test_a_passkey_is_a_second_factor(suite: Suite) -> None:
    ada, authenticator = await with_passkey(suite)
    challenge = await ada.challenge()
    assert challenge.methods == ("passkey",)
    asked = loaded(challenge.passkey)
    assert [each["id"] for each in asked["allowCredentials"]] == [text(authenticator.credential_id)]
    tokens = await ada.finish(challenge, passkey=assertion(authenticator.get(asked)))
    assert (await ada.principal(tokens)).amr == ("pwd", "hwk", "user", "mfa")


async def test_a_challenge_is_signed_for_once(suite: Suite) -> None:
    """Sixteen at once, and afterwards."""
    _, authenticator = await with_passkey(suite)
    asked = await options(suite)
    answers = [authenticator.get(asked) for _ in range(16)]

    async def attempt(given: dict[str, Any]) -> str:
        try:
            return str((await passkey_sign_in(suite, given)).tokens.token_type)
        except Unauthenticated as refusal:
            return refusal.code

    outcomes = await asyncio.gather(*(attempt(given) for given in answers))
    assert outcomes.count("Bearer") == 1
    assert (await refused(passkey_sign_in(suite, authenticator.get(asked)))).code == "invalid_credentials"


def other_origin(authenticator: Authenticator) -> None:
    authenticator.origin = "https://api.example.test.evil.example"


def other_site(authenticator: Authenticator) -> None:
    authenticator.rp_id = "evil.example"


def nobody_verified(authenticator: Authenticator) -> None:
    authenticator.verifies = False


def other_ceremony(authenticator: Authenticator) -> None:
    authenticator.type = "payment.get"


def framed(authenticator: Authenticator) -> None:
    authenticator.cross_origin = True


def other_key(authenticator: Authenticator) -> None:
    authenticator.key = Authenticator().key


def unknown(authenticator: Authenticator) -> None:
    authenticator.credential_id = Authenticator().credential_id


WRONG = [other_origin, other_site, nobody_verified, other_ceremony, framed]


@pytest.mark.parametrize("slug", ["acme", "none", "\U0001f511" * 64])
async def test_what_a_stranger_is_given_to_sign_tells_nothing_of_a_tenant(suite: Suite, slug: str) -> None:
    """L2: neither its id, nor whether there is one. The store is not even asked."""
    suite.store.reads.clear()
    asked = await options(suite, slug)
    assert suite.store.reads == []
    sealed = raw(raw(asked["challenge"]).decode().removeprefix("pk1_"))
    assert ACME.encode() not in sealed
    assert (slug.encode() in sealed) == slug.isascii(), "it says what it was asked for"
    like = raw((await options(suite, "acme"))["challenge"])
    assert slug != "none" or len(raw(asked["challenge"])) == len(like)


@pytest.mark.parametrize("change", [*WRONG, other_key, unknown])
async def test_whatever_is_not_the_passkey_is_refused_alike(suite: Suite, change: Change) -> None:
    _, authenticator = await with_passkey(suite)
    before = len(suite.store.commits)
    change(authenticator)
    refusal = await refused(passkey_sign_in(suite, authenticator.get(await options(suite))))
    nobody = await refused(passkey_sign_in(suite, Authenticator().get(await options(suite))))
    assert (refusal.status, refusal.code, refusal.detail) == (401, "invalid_credentials", nobody.detail)
    assert len(suite.store.commits) == before, "a stranger buys no write"


@pytest.mark.parametrize("change", WRONG)
async def test_whatever_does_not_answer_the_options_is_not_enrolled(suite: Suite, change: Change) -> None:
    ada, authenticator = await person(suite), Authenticator()
    caller = await ada.principal()
    change(authenticator)
    refusal = await refused(ada.register(caller, authenticator.create(await ada.creation_options(caller))))
    assert (refusal.status, refusal.fields[0].path) == (422, "/credential")
    assert not (await ada.factors()).passkeys


def damaged(given: dict[str, Any], name: str) -> list[dict[str, Any]]:
    value = given["response"][name]
    cut = {name: text(raw(value)[:-3])}
    bytes_changed = {name: text(bytes([byte ^ 0x55 for byte in raw(value)]))}
    deep = b'{"challenge":"","more":' + b"[" * 9000 + b"]" * 9000 + b"}"
    texts = ["!", "A", "_w", *map(text, (b"\xa1" * 3000, b"null", deep))]
    changes = [cut, bytes_changed, *({name: each} for each in texts)]
    return [given | {"response": given["response"] | change} for change in changes]


@pytest.mark.parametrize("name", ["clientDataJSON", "attestationObject"])
async def test_a_damaged_registration_is_refused(suite: Suite, name: str) -> None:
    ada, authenticator = await person(suite), Authenticator()
    caller = await ada.principal()
    good = authenticator.create(await ada.creation_options(caller))
    for given in damaged(good, name):
        assert (await refused(ada.register(caller, given))).status == 422
    assert await ada.register(caller, good), "what was refused used nothing up"


@pytest.mark.parametrize("name", ["clientDataJSON", "authenticatorData", "signature"])
async def test_a_damaged_assertion_is_refused(suite: Suite, name: str) -> None:
    _, authenticator = await with_passkey(suite)
    good = authenticator.get(await options(suite))
    for given in damaged(good, name):
        assert (await refused(passkey_sign_in(suite, given))).status == 401
    assert await passkey_sign_in(suite, good)


async def test_a_challenge_is_for_one_purpose_one_tenant_and_five_minutes(suite: Suite) -> None:
    await suite.add_tenant("tnt_other", "other")
    ada, authenticator = await with_passkey(suite)
    caller = await ada.principal(
        await ada.finish(
            (challenge := await ada.challenge()),
            passkey=assertion(authenticator.get(loaded(challenge.passkey))),
        )
    )
    others = [
        await options(suite, "other"),
        await options(suite, "nobody"),
        loaded((await suite.do.step_up.options(caller)).passkey),
        {"challenge": (await ada.creation_options(caller))["challenge"]},
        loaded((await ada.challenge()).passkey),
        {"challenge": text(b"pk1_AAAA")},
    ]
    for asked in others:
        assert (await refused(passkey_sign_in(suite, authenticator.get(asked)))).status == 401
    for_here = await options(suite)
    assert (await refused(passkey_sign_in(suite, authenticator.get(for_here), "other"))).status == 401
    suite.clock.move(timedelta(minutes=5).total_seconds())
    assert (await refused(passkey_sign_in(suite, authenticator.get(for_here)))).status == 401
    refusal = await refused(ada.register(caller, Authenticator().create(await options(suite))))
    assert refusal.status == 422


async def test_options_tell_nothing_about_tenants_and_people(suite: Suite) -> None:
    before = await options(suite)
    _, _ = await with_passkey(suite)
    for asked in (await options(suite), await options(suite, "nobody"), await options(suite, "../x")):
        assert {name: value for name, value in asked.items() if name != "challenge"} == {
            name: value for name, value in before.items() if name != "challenge"
        }


async def test_a_copied_passkey_is_refused_and_told(suite: Suite) -> None:
    """A counter that does not grow, under a good signature; one that never counts is none."""
    _, authenticator = await with_passkey(suite)
    authenticator.count = 6
    assert await passkey_sign_in(suite, authenticator.get(await options(suite)))
    authenticator.count = 6
    assert (await refused(passkey_sign_in(suite, authenticator.get(await options(suite))))).status == 401
    assert len(suite.bus.events("security.passkey_copied")) == 1
    assert "second_factor.refuse" in await suite.audit()
    assert await passkey_sign_in(suite, authenticator.get(await options(suite)))


async def test_a_copy_buys_a_write_for_a_challenge_and_few_altogether(suite: Suite) -> None:
    """Of a captured answer, one; of whoever has the key and signs for ever new challenges, ten and then one
    a minute.
    """
    _, authenticator = await with_passkey(suite)
    authenticator.count = 6
    assert await passkey_sign_in(suite, authenticator.get(await options(suite)))
    authenticator.count = 6
    captured = authenticator.get(await options(suite))
    for _ in range(20):
        assert (await refused(passkey_sign_in(suite, captured))).code == "invalid_credentials"
    assert len(suite.bus.events("security.passkey_copied")) == 1
    for _ in range(30):
        authenticator.count = 6
        answer = authenticator.get(await options(suite))
        assert (await refused(passkey_sign_in(suite, answer))).code == "invalid_credentials"
    assert len(suite.bus.events("security.passkey_copied")) == 10
    suite.clock.move(60)
    authenticator.count = 6
    await refused(passkey_sign_in(suite, authenticator.get(await options(suite))))
    assert len(suite.bus.events("security.passkey_copied")) == 11


async def test_a_copy_is_told_once_a_challenge_by_step_up_too(suite: Suite) -> None:
    ada, authenticator = await with_passkey(suite)
    authenticator.count = 6
    signed_in = await passkey_sign_in(suite, authenticator.get(await options(suite)))
    caller = await ada.principal(signed_in.tokens)
    authenticator.count = 3
    answer = Answer(
        passkey=assertion(authenticator.get(loaded((await suite.do.step_up.options(caller)).passkey)))
    )
    for _ in range(5):
        refusal = await refused(suite.do.step_up.by_factor(caller, ACTOR, answer))
        assert refusal.code == "step_up_refused"
    assert len(suite.bus.events("security.passkey_copied")) == 1


async def test_an_authenticator_without_a_counter_signs_in_again_and_again(suite: Suite) -> None:
    _, authenticator = await with_passkey(suite, synced=True)
    for _ in range(3):
        authenticator.count = -1
        assert await passkey_sign_in(suite, authenticator.get(await options(suite)))


async def test_a_credential_is_one_persons_within_the_tenant(suite: Suite) -> None:
    ada, authenticator = await with_passkey(suite)
    bob = await person(suite, "bob@acme.test", "member")
    caller = await bob.principal()
    refusal = await refused(bob.enrol_passkey(authenticator, caller))
    assert refusal.code == "passkey_exists"
    assert not (await bob.factors()).passkeys
    assert len((await ada.factors()).passkeys) == 1


async def test_a_registration_counts_once_and_in_its_session_only(suite: Suite) -> None:
    ada, bob = await person(suite), await person(suite, "bob@acme.test", "member")
    caller, other = await ada.principal(), await bob.principal()
    given = Authenticator().create(await ada.creation_options(caller))
    assert (await refused(bob.register(other, given))).status == 422
    assert await ada.register(caller, given)
    assert (await refused(ada.register(caller, given))).status in (409, 422)
    assert len((await ada.factors()).passkeys) == 1


async def test_passkeys_are_renamed_and_removed_and_others_are_not_found(suite: Suite) -> None:
    ada, authenticator = await person(suite), Authenticator()
    caller, made = await ada.enrol_passkey(authenticator)
    renamed = await suite.do.passkeys.rename(caller, ada.actor, made.id, "  Phone ")
    assert renamed.name == "Phone"
    bob = await person(suite, "bob@acme.test", "member")
    other = await bob.principal()
    for passkey_id in (made.id, "psk_x", "../x"):
        removing = suite.do.passkeys.remove(other, bob.actor, passkey_id)
        assert (await refused(removing)).code == "passkey_not_found"
        renaming = suite.do.passkeys.rename(other, bob.actor, passkey_id, "Mine")
        assert (await refused(renaming)).code == "passkey_not_found"
    await suite.do.passkeys.remove(caller, ada.actor, made.id)
    assert not (await ada.factors()).passkeys
    assert (await refused(passkey_sign_in(suite, authenticator.get(await options(suite))))).status == 401
    _, again = await ada.enrol_passkey(authenticator, caller)
    assert again.id != made.id, "what was removed can be enrolled anew"


async def test_one_has_twenty_passkeys_at_most(suite: Suite) -> None:
    ada = await person(suite)
    caller, _ = await ada.enrol_passkey(Authenticator())
    for _ in range(MAX_PASSKEYS - 1):
        await ada.enrol_passkey(Authenticator(), caller)
    assert (await refused(ada.creation_options(caller))).code == "too_many_passkeys"


async def test_a_disabled_user_and_a_suspended_tenant_do_not_sign_in(suite: Suite) -> None:
    """R8"""
    ada, authenticator = await with_passkey(suite)
    await suite.set_status("suspended")
    refusal = await refused(passkey_sign_in(suite, authenticator.get(await options(suite))))
    assert refusal.code == "tenant_suspended"
    await suite.set_status("active")
    await ada.disable()
    refusal = await refused(passkey_sign_in(suite, authenticator.get(await options(suite))))
    assert refusal.code == "invalid_credentials"


@pytest.mark.parametrize(
    ("id_bytes", "more_key_bytes", "kept"), [(1023, 0, True), (1024, 0, False), (32, 2048, False)]
)
async def test_what_is_too_long_to_be_kept_is_not_a_passkey(
    id_bytes: int, more_key_bytes: int, kept: bool
) -> None:
    ceremonies, authenticator = PasskeyCeremonies("https://api.example.test"), Authenticator()
    authenticator.credential_id = bytes(id_bytes)
    authenticator.more_of_key = {100: bytes(more_key_bytes)}
    given = authenticator.create({"challenge": text(b"challenge")})
    given["id"] = given["rawId"] = "AAAA"
    made = await ceremonies.registered(msgspec.convert(given, Registration), "challenge")
    assert (made is not None) == kept


def test_a_challenge_that_is_none_is_empty() -> None:
    authenticator = Authenticator()
    for challenge in ("", "!", "_w"):
        assert challenge_of(assertion(authenticator.get({"challenge": challenge}))) == ""
