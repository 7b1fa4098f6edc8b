"""How far a client's clock may be ahead, and what has the length or the parts of no assertion."""

from typing import Any

import jwt
import pytest

from functions.auth.oauth.client_assertion import LEEWAY, MAX_CHARACTERS, TYPE
from tests.tokens import ISSUER
from tests.unit.auth.applications import SIGNING_KEYS, Application, add_key, ask, assertion, machine, refusal
from tests.unit.auth.suite import Suite

pytestmark = pytest.mark.anyio

GRANT = {"grant_type": "client_credentials"}
AHEAD = int(LEEWAY.total_seconds())


@pytest.fixture
async def client(suite: Suite) -> Application:
    made = await machine(suite, "usage:read")
    await add_key(suite, made, "ES256")
    return made


def form_of(text: str) -> dict[str, str]:
    return GRANT | {"client_assertion_type": TYPE, "client_assertion": text}


def of_length(client: Application, characters: int, now: int) -> str:
    """A good assertion that is that long, or up to three more."""
    claims = {"iss": client.id, "sub": client.id, "aud": ISSUER, "iat": now, "exp": now + 60}
    padding = ""
    while True:
        text = jwt.encode(
            claims | {"jti": f"jti_{characters}", "padding": padding},
            SIGNING_KEYS["ES256"],
            algorithm="ES256",
            headers={"kid": "es256"},
        )
        if len(text) >= characters:
            return text
        padding += "x" * max(1, (characters - len(text)) * 3 // 4 - 1)


@pytest.mark.parametrize("name", ["iat", "nbf"])
async def test_a_clock_may_be_ten_seconds_ahead_and_no_more(
    suite: Suite, client: Application, name: str
) -> None:
    now = int(suite.clock().timestamp())
    too_early: dict[str, Any] = {name: now + AHEAD + 1}
    assert (await refusal(suite, GRANT | assertion(suite, client.id, **too_early))).code == "invalid_client"
    on_time: dict[str, Any] = {name: now + AHEAD}
    assert (await ask(suite, GRANT | assertion(suite, client.id, **on_time))).access_token


async def test_an_assertion_has_so_many_characters_at_most(suite: Suite, client: Application) -> None:
    now = int(suite.clock().timestamp())
    longest = of_length(client, MAX_CHARACTERS - 3, now)
    assert MAX_CHARACTERS - 3 <= len(longest) <= MAX_CHARACTERS
    assert (await ask(suite, form_of(longest))).access_token
    too_long = of_length(client, MAX_CHARACTERS + 1, now)
    assert (await refusal(suite, form_of(too_long))).code == "invalid_client"


@pytest.mark.parametrize("parts", [1, 2, 4])
async def test_what_begins_well_and_has_not_three_parts_is_none(
    suite: Suite, client: Application, parts: int
) -> None:
    good = assertion(suite, client.id)["client_assertion"].split(".")
    text = ".".join((good + good[2:])[:parts])
    assert (await refusal(suite, form_of(text))).code == "invalid_client"


async def test_a_type_without_an_assertion_is_no_way_to_prove_anything(
    suite: Suite, client: Application
) -> None:
    for form in ({"client_id": client.id}, {"client_id": client.id, "client_secret": client.secret}):
        assert (await refusal(suite, GRANT | form | {"client_assertion_type": TYPE})).code == "invalid_client"
