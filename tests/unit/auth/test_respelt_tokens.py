"""A token that was revoked comes back in other spellings of the same bytes: none of them is let in (J29)."""

import pytest

from shared import base64url
from shared.errors import Unauthenticated
from shared.identity import TENANT_LIMITS
from tests.unit.auth import applications
from tests.unit.auth.applications import Application
from tests.unit.auth.suite import Suite

pytestmark = pytest.mark.anyio

ALPHABET = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_"
P256_ORDER = 0xFFFFFFFF00000000FFFFFFFFFFFFFFFFBCE6FAADA7179E84F3B9CAC2FC632551


def spellings(token: str) -> set[str]:
    """Every text that a lenient decoder of base64url takes for the same bytes, or nearly every.

    The last character carries bits that mean nothing, unless the number of bytes is a multiple of three.
    """
    unused = (0, 0, 4, 2)[len(token.rpartition(".")[2].removeprefix("rt1_")) % 4]
    meant = ALPHABET.index(token[-1]) >> unused << unused
    respelt = {token[:-1] + ALPHABET[meant + bits] for bits in range(1 << unused)}
    respelt |= {token + more for more in ("=", "==", "\n", " ", "%3D", "\0", "A===")}
    respelt |= {" " + token, token[:-1] + "\n" + token[-1], token[:-1] + "%" + token[-1].encode().hex()}
    respelt |= {token.replace("-", "+").replace("_", "/")}
    return respelt - {token}


def twin(token: str) -> str:
    """The same claims under the other signature that ECDSA has for them: (r, n - s) for (r, s)."""
    signed, _, signature = token.rpartition(".")
    raw = base64url.decode(signature)
    other = (P256_ORDER - int.from_bytes(raw[32:])).to_bytes(32)
    return f"{signed}.{base64url.encode(raw[:32] + other)}"


async def is_let_in(suite: Suite, token: str) -> bool:
    try:
        await suite.verifier.verify(token)
    except Unauthenticated:
        return False
    return True


async def revoke(suite: Suite, *texts: str, by: Application | None = None) -> None:
    """And waits until everybody knows."""
    for text in texts:
        await suite.do.token_revocation.revoke({"token": text}, by.basic if by else None, "req_1")
    suite.clock.move(TENANT_LIMITS.ttl.total_seconds() + 1)


async def token_of(suite: Suite, machine: Application) -> str:
    return (await applications.ask(suite, {"grant_type": "client_credentials"}, machine.basic)).access_token


@pytest.mark.parametrize("given_back", ["itself", "its twin"])
async def test_an_access_token_that_was_revoked_stays_so_however_it_is_written(
    suite: Suite, given_back: str
) -> None:
    """J29: what is revoked is its id; a text with the other signature is the same token."""
    machine = await applications.machine(suite)
    token = await token_of(suite, machine)
    other = twin(token)
    assert other != token
    assert await is_let_in(suite, token)
    assert await is_let_in(suite, other), "as with any library for ECDSA"
    await revoke(suite, token if given_back == "itself" else other, by=machine)
    for text in (token, other, *spellings(token), *spellings(other)):
        assert not await is_let_in(suite, text), text


async def test_another_spelling_of_an_access_token_is_none_and_gives_nothing_back(suite: Suite) -> None:
    """J28 J29 R17"""
    machine = await applications.machine(suite)
    token = await token_of(suite, machine)
    for text in spellings(token):
        assert not await is_let_in(suite, text), text
    await revoke(suite, *spellings(token), by=machine)
    assert await is_let_in(suite, token)


async def test_a_refresh_token_that_was_revoked_stays_so_however_it_is_written(suite: Suite) -> None:
    """J29 R13: before that, another spelling is none: it is not refreshed, nor taken for one used again."""
    await suite.add_user()
    machine = await applications.machine(suite)
    token = (await suite.login()).refresh_token or ""
    form = {"grant_type": "refresh_token"}
    await revoke(suite, *spellings(token))
    for text in spellings(token):
        assert (await applications.refusal(suite, form | {"refresh_token": text})).code == "invalid_grant"
    newer = (await suite.refresh(token)).refresh_token or ""
    await revoke(suite, newer)
    for text in (newer, *spellings(newer), token, *spellings(token)):
        assert (await applications.refusal(suite, form | {"refresh_token": text})).code == "invalid_grant"
        said = await suite.do.introspection.answer({"token": text}, machine.basic, "req_1")
        assert not said.active
