"""Customers come: tenants are made, their owners and machines sign in, tokens are refreshed."""

import asyncio
from datetime import date

import msgspec

from local.demo.screen import Screen, yes
from local.demo.world import World, token_in, until

PASSWORD = "correct horse battery staple"  # noqa: S105 - a demo's, in a demo's data folder


class Customer(msgspec.Struct, frozen=True):
    """A tenant with its owner signed in and a machine of its own."""

    tenant_id: str
    slug: str
    owner_id: str
    access_token: str
    refresh_token: str
    client_id: str
    client_secret: str


class Member(msgspec.Struct, frozen=True):
    """A person of a tenant, signed in."""

    user_id: str
    email: str
    access_token: str
    refresh_token: str


class People:
    def __init__(self, world: World, screen: Screen, contract_start: date) -> None:
        self._world = world
        self._screen = screen
        self._contract_start = contract_start

    async def operator(self) -> str:
        self._screen.chapter("The operator signs in with the credential that the runner has left in a file")
        credential = msgspec.json.decode(self._world.layout.operator.read_bytes())
        return await self._world.client_token(credential["client_id"], credential["client_secret"])

    async def take_on(self, operator: str, slug: str, name: str, tier: str) -> Customer:
        world, screen = self._world, self._screen
        screen.chapter(f"{name} becomes a customer in tier {tier}")
        owner = f"owner@{slug}.example"
        order = {"slug": slug, "name": name, "tier": tier, "owner_email": owner}
        order["contract_start"] = self._contract_start.isoformat()
        tenant = await world.must(201, "POST", "/v1/tenants", operator, json=order)
        screen.check("The new tenant is", "provisioning", tenant["status"])
        path = f"/v1/tenants/{tenant['id']}"

        async def active() -> bool | None:
            answer = await world.must(200, "GET", path, operator)
            return True if answer["status"] == "active" else None

        await until(active, f"{slug} to be provisioned")
        screen.say("The cluster answered; the tenant is active and its owner has mail.")
        accepted = await self._accept(owner, f"Owner of {name}")
        again = await world.call("POST", "/v1/auth/invitations/accept", json=accepted)
        screen.check("The invitation's link works a second time", "no", yes(again.status_code == 201))
        person = await self._signed_in(slug, owner)
        me = await world.must(200, "GET", "/v1/me", person.access_token)
        screen.check("The owner is signed in to", tenant["id"], me["tenant_id"])
        takers = await world.takers(tenant["id"], person.access_token)
        screen.check("Functions that take the owner's access token", 3, takers)
        account = {"name": "agent", "scopes": ["usage:read"]}
        machine = await world.must(201, "POST", "/v1/service-accounts", person.access_token, json=account)
        token = await world.client_token(machine["client_id"], machine["client_secret"])
        me = await world.must(200, "GET", "/v1/me", token)
        screen.check("A machine signs in with its secret, for", tenant["id"], me["tenant_id"])
        return Customer(
            tenant["id"],
            slug,
            person.user_id,
            person.access_token,
            person.refresh_token,
            machine["client_id"],
            machine["client_secret"],
        )

    async def join(self, acme: Customer, name: str) -> Member:
        """A colleague is invited, accepts and signs in."""
        self._screen.chapter(f"{name} joins Acme")
        email = f"{name.lower()}@{acme.slug}.example"
        wanted = {"email": email, "role": "member"}
        await self._world.must(201, "POST", "/v1/invitations", acme.access_token, json=wanted)
        await self._accept(email, name)
        person = await self._signed_in(acme.slug, email)
        me = await self._world.must(200, "GET", "/v1/me", person.access_token)
        self._screen.check(f"{name} may", "tenant:read usage:read", " ".join(me["scopes"]))
        return person

    async def _accept(self, email: str, name: str) -> dict[str, str]:
        """What was sent: the token out of the mail, a password and the name."""
        token = token_in(await self._world.mail_to(email))
        accept = {"token": token, "password": PASSWORD, "name": name}
        await self._world.must(201, "POST", "/v1/auth/invitations/accept", json=accept)
        return accept

    async def _signed_in(self, slug: str, email: str) -> Member:
        login = {"tenant": slug, "email": email, "password": PASSWORD}
        tokens = await self._world.must(200, "POST", "/v1/auth/login", json=login)
        me = await self._world.must(200, "GET", "/v1/me", tokens["access_token"])
        return Member(me["subject"], email, tokens["access_token"], tokens["refresh_token"])

    async def refresh(self, acme: Customer) -> None:
        self._screen.chapter("A refresh whose answer is lost signs nobody out")
        form = {"grant_type": "refresh_token", "refresh_token": acme.refresh_token}
        answers = await asyncio.gather(
            *(self._world.must(200, "POST", "/oauth2/token", data=form) for _ in range(8))
        )
        successors = {answer["refresh_token"] for answer in answers}
        self._screen.check("Eight refreshes of one token at once, different successors", 1, len(successors))
