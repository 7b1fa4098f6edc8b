"""Every change that an administrator makes is on record and told, in the commit that makes it."""

import pytest

from shared.events import short_name
from tests.unit.auth.second_factor import person
from tests.unit.auth.suite import ACME, AUDIT, Suite, principal
from tests.unit.auth.test_overtaken_changes import ACTOR, World, actions

pytestmark = pytest.mark.anyio

TOLD = {
    "rename": ("user.update", "user.updated"),
    "promote": ("user.change_role", "user.role_changed"),
    "disable": ("user.disable", "user.disabled"),
    "enable": ("user.enable", "user.enabled"),
    "reset factors": ("factors.reset", "user.factors_reset"),
    "make a role": ("role.create", "role.created"),
    "change a role": ("role.update", "role.updated"),
    "delete a role": ("role.delete", "role.deleted"),
    "invite": ("user.invite", "user.invited"),
    "invite again": ("invitation.resend", "mail.requested"),
    "revoke an invitation": ("invitation.revoke", "user.invitation_revoked"),
    "accept an invitation": ("invitation.accept", "user.created"),
    "make an account": ("service_account.create", "service_account.created"),
    "change an account": ("service_account.update", "service_account.updated"),
    "add a secret": ("service_account.update", "service_account.updated"),
    "add a key": ("service_account.update", "service_account.updated"),
    "delete an account": ("service_account.delete", "service_account.deleted"),
    "make a client": ("client.create", "client.created"),
    "change a client": ("client.update", "client.updated"),
    "make an API key": ("api_key.create", "api_key.created"),
    "change an API key": ("api_key.update", "api_key.updated"),
    "revoke an API key": ("api_key.revoke", "api_key.revoked"),
    "ask for factors": ("security_policy.replace", "security.policy_changed"),
    "change one's name": ("user.update", "user.updated"),
    "delete": ("user.delete", "user.deleted"),
}
"""In an order in which each can be done: action of the record, name of the event."""


async def test_each_change_is_one_commit_with_its_record_and_its_event(suite: Suite) -> None:
    world = World(suite, await person(suite))
    await world.prepare()
    who = await world.ada.principal()
    changes = world.lasting() | world.other()
    assert set(changes) == set(TOLD)
    for name, (action, event) in TOLD.items():
        world.forget()
        suite.bus.messages.clear()
        await changes[name](who)
        assert action in actions(suite.store.commits[0]), name
        assert event in {short_name(told.type) for told in suite.bus.events()}, name


async def test_the_record_of_a_changed_key_names_what_is_different(suite: Suite) -> None:
    owner = principal("owner")
    made = await suite.do.api_keys.create(owner, ACTOR, "export", ["usage:read"])
    await suite.do.api_keys.update(owner, ACTOR, made.key.id, name="import", ip_ranges=[])
    page = await suite.store.tenant(ACME).query(AUDIT, limit=1000)
    (changed,) = (doc.body["detail"] for doc in page.docs if doc.body["action"] == "api_key.update")
    assert changed == {"changed": "name"}
