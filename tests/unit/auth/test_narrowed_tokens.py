"""A token that was asked for with fewer scopes comes to no more by changing how its person signs in."""

from typing import Any

import pytest

from functions.auth.domain.security_policy import SecurityPolicy
from functions.auth.factors import factor_documents
from functions.auth.oauth.tokens import Tokens
from functions.auth.records import create
from tests.unit.auth.browser import Browser
from tests.unit.auth.people import People
from tests.unit.auth.suite import ACME, OWNER, PASSWORD, Suite

pytestmark = pytest.mark.anyio

NEW = "another horse battery staple"
WAYS: tuple[tuple[str, str, dict[str, Any] | None], ...] = (
    ("POST", "/v1/me/factors/passkeys/options", None),
    ("POST", "/v1/me/factors/totp", None),
    ("POST", "/v1/me/email", {"email": "new@acme.test", "password": PASSWORD}),
    ("POST", "/v1/auth/password/change", {"current_password": PASSWORD, "new_password": NEW}),
)


async def answers(suite: Suite, tokens: Tokens) -> list[tuple[int, str]]:
    client, told = Browser(suite).client, []
    for method, path, body in WAYS:
        headers = {"authorization": f"Bearer {tokens.access_token}"}
        answer = await client.request(method, path, headers=headers, json=body)
        told.append((answer.status_code, answer.json().get("code", "") if answer.content else ""))
    return told


async def test_a_narrowed_token_changes_no_way_to_sign_in(suite: Suite) -> None:
    """Not in the ten minutes either in which a sign-in counts as recent: a passkey would be all scopes."""
    await suite.add_user()
    whole = await suite.login()
    narrow = await suite.refresh(whole.refresh_token, "usage:read")
    assert await answers(suite, narrow) == [(403, "insufficient_scope")] * len(WAYS)
    again = await suite.refresh(narrow.refresh_token)
    assert [status for status, _ in await answers(suite, again)] == [200, 200, 202, 204]


async def test_a_token_with_all_scopes_of_a_custom_role_is_whole(suite: Suite) -> None:
    people = People(suite)
    owner = await people.added(OWNER, "owner")
    await owner.ask("POST", "/v1/roles", {"name": "auditor", "scopes": ["audit:read", "usage:read"]})
    await people.add("bob@acme.test", "auditor")
    whole = await suite.login("bob@acme.test")
    narrow = await suite.refresh(whole.refresh_token, "usage:read")
    assert await answers(suite, narrow) == [(403, "insufficient_scope")] * len(WAYS)
    assert [status for status, _ in await answers(suite, whole)] == [200, 200, 202, 204]


async def test_a_token_that_can_only_enrol_a_factor_is_not_narrowed(suite: Suite) -> None:
    await suite.add_user()
    policy_key = factor_documents.policy_key(suite.store, ACME)
    await suite.store.inner.commit(create(policy_key, SecurityPolicy("required")))
    assert [status for status, _ in (await answers(suite, await suite.login()))[:2]] == [200, 200]
