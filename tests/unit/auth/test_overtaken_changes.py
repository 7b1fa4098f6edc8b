"""What an administrator changes is in one commit with what allows it: who ends meanwhile changes nothing."""

from collections.abc import Awaitable, Callable, Sequence

import msgspec
import pytest

from functions.auth.domain.security_policy import SecurityPolicy
from functions.auth.oauth.oauth_client_changes import ClientChange
from functions.auth.oauth.oauth_clients import Wanted
from shared.audit import Actor
from shared.identity import Principal
from shared.store import Create, Write
from tests.unit.auth import applications
from tests.unit.auth.second_factor import Person, person, refused
from tests.unit.auth.suite import ACME, PASSWORD, Suite, principal

pytestmark = pytest.mark.anyio

ACTOR = Actor("user", "usr_test", ACME)
CLIENT = Wanted("backdoor", "confidential", ("client_credentials",), ("usage:read",))
Change = Callable[[Principal], Awaitable[object]]


def actions(commit: Sequence[Write]) -> set[str]:
    """Of its audit records."""
    made = [write.body for write in commit if isinstance(write, Create)]
    return {str(body["action"]) for body in made if "action" in body}


class World:
    """A tenant in which there is one of everything that somebody may change."""

    def __init__(self, suite: Suite, ada: Person) -> None:
        self.suite = suite
        self.ada = ada

    async def prepare(self) -> None:
        suite, owner = self.suite, principal("owner")
        bob = await person(suite, "bob@acme.test", "member")
        await bob.enrol_totp()
        self.bob = bob.user.id
        self.eve = (await suite.add_user("eve@acme.test", "member")).id
        await suite.do.user_changes.disable(owner, ACTOR, self.eve)
        await suite.do.roles.create(owner, ACTOR, "auditor", "", ["usage:read"])
        self.invitation = (await suite.invitations.invite(owner, ACTOR, "new@acme.test", "member")).id
        self.token = await suite.invite("other@acme.test")
        self.account = (await suite.add_machine("usage:read"))[0].partition(".")[2]
        self.client = (await applications.register(suite)).client.id
        self.key = (await suite.do.api_keys.create(owner, ACTOR, "export", ["usage:read"])).key.id

    def lasting(self) -> dict[str, Change]:
        """These rest on the caller's own session and user, too."""
        do, bob, eve, account, client = self.suite.do, self.bob, self.eve, self.account, self.client
        users, accounts, clients = do.user_changes, do.service_account_changes, do.oauth_client_changes
        jwk = applications.jwk("ES256")
        return {
            "rename": lambda who: users.change(who, ACTOR, bob, "Robert", None),
            "promote": lambda who: users.change(who, ACTOR, bob, None, "admin"),
            "disable": lambda who: users.disable(who, ACTOR, bob),
            "enable": lambda who: users.enable(who, ACTOR, eve),
            "delete": lambda who: users.delete(who, ACTOR, bob),
            "reset factors": lambda who: do.factor_reset.reset(who, ACTOR, bob),
            "make a role": lambda who: do.roles.create(who, ACTOR, "spy", "", ["usage:read"]),
            "change a role": lambda who: do.roles.change(who, ACTOR, "auditor", "all", ["users:read"]),
            "invite": lambda who: do.invitations.invite(who, ACTOR, "thief@evil.test", "member"),
            "invite again": lambda who: do.invitations.resend(who, ACTOR, self.invitation),
            "make an account": lambda who: do.service_accounts.create(who, ACTOR, "x", ["usage:read"]),
            "change an account": lambda who: accounts.update(who, ACTOR, account, name="backdoor"),
            "add a secret": lambda who: accounts.add_secret(who, ACTOR, account, None),
            "add a key": lambda who: accounts.add_key(who, ACTOR, account, jwk, None),
            "make a client": lambda who: do.oauth_clients.create(who, ACTOR, CLIENT),
            "change a client": lambda who: clients.update(who, ACTOR, client, ClientChange(name="backdoor")),
            "make an API key": lambda who: do.api_keys.create(who, ACTOR, "backdoor", ["usage:read"]),
            "change an API key": lambda who: do.api_keys.update(who, ACTOR, self.key, name="backdoor"),
            "ask for factors": lambda who: do.tenant_security.replace(
                who, ACTOR, SecurityPolicy("required", ("totp",))
            ),
        }

    def other(self) -> dict[str, Change]:
        """These take access away, or are one's own."""
        do = self.suite.do
        return {
            "delete a role": lambda who: do.roles.delete(who, ACTOR, "auditor"),
            "revoke an invitation": lambda who: do.invitations.revoke(who, ACTOR, self.invitation),
            "revoke an API key": lambda who: do.api_keys.revoke(who, ACTOR, self.key),
            "delete an account": lambda who: do.service_account_changes.delete(who, ACTOR, self.account),
            "accept an invitation": lambda _: do.invitations.accept(self.token, PASSWORD, "New", "req_1"),
            "change one's name": lambda who: do.profile.rename(
                msgspec.structs.replace(who, subject=self.ada.user.id), ACTOR, "Countess"
            ),
        }

    def done(self) -> set[str]:
        """The actions on record since `forget`."""
        return set[str]().union(*(actions(commit) for commit in self.suite.store.commits))

    def forget(self) -> None:
        self.suite.store.commits.clear()


@pytest.fixture
async def world(suite: Suite) -> World:
    world = World(suite, await person(suite))
    await world.prepare()
    return world


async def test_who_is_signed_out_meanwhile_changes_nothing(world: World) -> None:
    """R7, K6."""
    suite = world.suite
    for name, change in world.lasting().items():
        who = await world.ada.principal()

        async def sign_out(session_id: str = who.session_id or "") -> None:
            await suite.do.session_end.end(ACME, session_id, "stolen_device", ACTOR)

        world.forget()
        suite.store.before_commit = sign_out
        assert (await refused(change(who))).code == "invalid_token", name
        assert world.done() == {"session.revoke"}, name


async def test_in_a_tenant_that_is_suspended_meanwhile_nothing_changes(world: World) -> None:
    """R8, T10."""
    suite = world.suite

    async def suspend() -> None:
        await suite.set_status("suspended")

    for name, change in (world.lasting() | world.other()).items():
        suite.clock.move(1)
        now = suite.clock()
        who = msgspec.structs.replace(principal("owner"), issued_at=now, authenticated_at=now, amr=("pwd",))
        world.forget()
        suite.store.before_commit = suspend
        assert (await refused(change(who))).code == "tenant_suspended", name
        assert world.done() == set(), name
        await suite.set_status("active")
