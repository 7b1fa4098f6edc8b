"""The platform's own tenant and its first operator."""

import asyncio
from pathlib import Path

import pytest

from shared.errors import Conflict
from tests.unit.auth.suite import Suite, running

pytestmark = pytest.mark.anyio


async def signed_in(suite: Suite, credentials: tuple[str, str]) -> frozenset[str]:
    client, secret = credentials
    form = {"grant_type": "client_credentials", "client_id": client, "client_secret": secret}
    who = await suite.verifier.verify((await suite.endpoint.answer(form, None, "req_1")).access_token)
    assert (who.tenant_id, who.roles, who.tier) == ("platform", ("operator",), "enterprise")
    return who.scopes


async def test_the_first_operator_signs_in_and_has_the_platforms_scopes_only(suite: Suite) -> None:
    credentials = await suite.operators.bootstrap()
    assert await signed_in(suite, credentials) == {
        "platform:tenants:read",
        "platform:tenants:write",
        "platform:billing:write",
        "platform:quarantine:read",
        "platform:quarantine:write",
        "platform:metrics:read",
        "platform:keys:read",
        "audit:read",
        "platform:keys:write",
    }
    assert await suite.audit("platform") == ["service_account.create"]


async def test_a_second_bootstrap_is_refused_and_changes_nothing(suite: Suite) -> None:
    first = await suite.operators.bootstrap()
    answers = await asyncio.gather(*(suite.operators.bootstrap() for _ in range(4)), return_exceptions=True)
    assert {getattr(answer, "code", None) for answer in answers} == {"already_bootstrapped"}
    assert len((await suite.service_accounts.page("platform", 20, None)).items) == 1
    assert await signed_in(suite, first)


async def test_of_many_bootstraps_at_once_one_wins(tmp_path: Path) -> None:
    async with running(tmp_path) as suite:
        answers = await asyncio.gather(
            *(suite.operators.bootstrap() for _ in range(8)), return_exceptions=True
        )
        won = [answer for answer in answers if isinstance(answer, tuple)]
        assert len(won) == 1
        assert await signed_in(suite, won[0])


async def test_a_further_operator_is_added_on_request(suite: Suite) -> None:
    with pytest.raises(Conflict) as refused:
        await suite.operators.add("second operator")
    assert refused.value.code == "not_bootstrapped"
    first = await suite.operators.bootstrap()
    second = await suite.operators.add("second operator")
    assert first != second
    assert await signed_in(suite, first) == await signed_in(suite, second)
