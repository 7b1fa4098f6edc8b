"""G5: every change of state has its audit record in the same commit, and every record is of a change."""

from pathlib import Path
from typing import TypeGuard

import pytest

from shared.audit import AuditRecord
from shared.errors import OAuthError
from shared.store import Check, Create, Write
from shared.store.bodies import from_body
from tests.access_matrix import OWN, ROWS, send
from tests.access_world import AccessWorld, standing_world
from tests.unit.auth.suite import ACME

pytestmark = pytest.mark.anyio

STATE = frozenset(
    {
        *("users", "logins", "sessions", "service_accounts", "api_keys", "clients", "invitations", "roles"),
        *("factors", "settings", "tenants", "keyring", "quarantine"),
    }
)
"""Collections whose documents say who may do what, and the messages that operators deal with."""
RING = "keyring"
"""Whose records are of one key in it."""
RECORD_ONLY = frozenset({"quarantine.read", "user.request_email_change"})
"""What is recorded although no such document changes: a look at a tenant's message, a mail on its way."""


def is_revocation(write: Write) -> TypeGuard[Create]:
    """What ends access tokens; a change of its own, or a part of one."""
    return isinstance(write, Create) and write.key.kind == "revocations"


def findings(commits: list[tuple[Write, ...]]) -> list[str]:
    """What is wrong with each commit that changes something."""
    found: list[str] = []
    for commit in commits:
        changed = [write.key for write in commit if not isinstance(write, Check) and write.key.kind in STATE]
        records = [
            from_body(write.body, AuditRecord)
            for write in commit
            if isinstance(write, Create) and write.key.kind == "audit"
        ]
        paths = [key.path for key in changed]
        if changed and len(records) != 1:
            found.append(f"{paths} changed with {[record.action for record in records]}")
        for record in records:
            named = {key.id for key in changed} | {record.target for key in changed if key.kind == RING}
            named |= {write.body["subject"] for write in commit if is_revocation(write)}
            if record.target not in named and record.action not in RECORD_ONLY:
                found.append(f"{record.action} of {record.target} is recorded, {paths} changed")
    return found


async def every_route(world: AccessWorld) -> None:
    """Once each, by somebody who may, on a thing of their own."""
    for row in ROWS:
        caller = await world.caller("operator" if row.needs.startswith("platform:") else "owner")
        answer = await send(world, row, caller, OWN, may=True)
        assert answer is not None
        assert answer.status_code < 500, (row.route, answer.text)


async def signing_in_and_out(world: AccessWorld) -> None:
    """What routes do only after others: sessions that begin, go on, are stolen and killed; machines."""
    suite = world.suite
    user = await suite.add_user("ada@acme.test", "admin")
    first = await suite.login("ada@acme.test")
    second = await suite.refresh(first.refresh_token)
    third = await suite.refresh(second.refresh_token)
    suite.clock.move(60)
    await suite.refresh(third.refresh_token)
    with pytest.raises(OAuthError):
        await suite.refresh(first.refresh_token)
    await suite.login("ada@acme.test")
    for _ in range(2):
        await suite.deliver("session.revoke.requested", {"user_id": user.id, "reason": "stolen_device"}, ACME)
    client_id, secret = await suite.add_machine("usage:read")
    form = {"grant_type": "client_credentials", "client_id": client_id, "client_secret": secret}
    await suite.endpoint.answer(form, None, "req_1")


async def test_g5_every_change_has_one_audit_record_that_names_it_and_the_other_way_round(
    tmp_path: Path,
) -> None:
    async with standing_world(tmp_path) as world:
        commits = world.suite.store.commits
        commits.clear()
        await every_route(world)
        await signing_in_and_out(world)
        assert findings(commits) == []
        actions = {
            write.body["action"]
            for commit in commits
            for write in commit
            if isinstance(write, Create) and write.key.kind == "audit"
        }
        assert len(actions) > 30, "the routes did hardly anything"
        assert actions > {"session.create", "session.refresh", "session.revoke", "access.revoke"}
        assert actions > {"tenant.create", "tenant.suspend", "quarantine.dismiss", "key.create"}


async def test_a_change_without_a_record_and_a_record_without_a_change_are_noticed(tmp_path: Path) -> None:
    async with standing_world(tmp_path) as world:
        commits = world.suite.store.commits
        commits.clear()
        await world.suite.login()
        (started,) = [commit for commit in commits if any(write.key.kind == "sessions" for write in commit)]
        assert findings([started]) == []
        unrecorded = tuple(write for write in started if write.key.kind != "audit")
        assert len(findings([unrecorded])) == 1
        unfounded = tuple(write for write in started if write.key.kind != "sessions")
        assert len(findings([unfounded])) == 1
        assert len(findings([(*started, *(w for w in started if w.key.kind == "audit"))])) == 1
