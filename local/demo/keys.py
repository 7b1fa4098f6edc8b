"""Keys: one that a service calls with, and those that tokens are signed with."""

from datetime import UTC, datetime
from typing import Any

import jwt
import msgspec

from local import backend
from local.demo.audit import Deed
from local.demo.people import Customer
from local.demo.screen import Screen, yes
from local.demo.world import DemoFailed, World
from shared import audit, keyring
from shared.audit import Actor
from shared.bus import AUTH_EVENTS
from shared.store import Replace
from shared.store.bodies import stamp

JWKS_COPY = "jwks.json"
SCHEDULE = "keys.schedule"
"""Who takes the later steps of a rotation."""


async def api_key(world: World, screen: Screen, acme: Customer) -> list[Deed]:
    """It is made, exchanged, used, revoked and refused."""
    screen.chapter("A service calls with an API key, until the key is revoked")
    wanted = {"name": "nightly report", "scopes": ["usage:read"]}
    made = await world.must(201, "POST", "/v1/api-keys", acme.access_token, json=wanted)
    given = {"api_key": made["api_key"]}
    tokens = await world.must(200, "POST", "/v1/auth/api-keys/token", json=given)
    screen.check("It is exchanged for a token of, in seconds", 300, tokens["expires_in"])
    usage = await world.call("GET", "/v1/usage", tokens["access_token"])
    screen.check("The service reads usage with that", 200, usage.status_code)
    users = await world.call("GET", "/v1/users", tokens["access_token"])
    screen.check("And users, which its scopes do not have", 403, users.status_code)
    await world.must(204, "DELETE", f"/v1/api-keys/{made['id']}", acme.access_token)
    refused = await world.call("POST", "/v1/auth/api-keys/token", json=given)
    screen.check("Exchanged once more after the key is revoked", 401, refused.status_code)
    return [Deed(acme.owner_id, f"api_key.{done}", made["id"]) for done in ("create", "revoke")]


class Rotation:
    """Of the signing keys."""

    def __init__(self, world: World, screen: Screen, operator: str) -> None:
        self._world = world
        self._screen = screen
        self._operator = operator

    async def tell(self, token: str) -> list[Deed]:
        """`token` was signed by the key that is active when the rotation begins."""
        world, screen = self._world, self._screen
        screen.chapter("The signing key is rotated")
        old = jwt.get_unverified_header(token)["kid"]
        path = "/v1/keys/signing/rotations"
        new = (await world.must(201, "POST", path, self._operator, json={}))["kid"]
        await self._check({old: "active", new: "pending"})
        await self._sweep()
        screen.say("The new key is published for 15 minutes before its first use; the story skips them.")
        await self._skip_the_wait(new)
        await self._sweep()
        await self._check({old: "retiring", new: "active"})
        me = await world.call("GET", "/v1/me", token)
        screen.check("A token of the old key is taken", 200, me.status_code)
        by = (await world.must(200, "GET", "/v1/me", self._operator))["subject"]
        steps = (("key.publish", new), ("key.activate", new), ("key.retire", old))
        return [Deed(by, "key.create", new), *(Deed(SCHEDULE, *step) for step in steps)]

    async def _check(self, states: dict[str, str]) -> None:
        """Says the ring, and that the public keys are all of it."""
        rings = (await self._world.must(200, "GET", "/v1/keys", self._operator))["rings"]
        (ring,) = (ring for ring in rings if ring["name"] == keyring.KEYRING_NAME)
        found = {key["kid"]: key["state"] for key in ring["keys"]}
        self._screen.check("The ring", _told(states), _told(found))
        kids = {key["kid"] for key in (await self._published())["keys"]}
        self._screen.check("The public copy of the JWKS has both", "yes", yes(kids == set(states)))

    async def _published(self) -> dict[str, Any]:
        """What the gateway reads in the cloud."""
        objects = backend.of(self._world.layout).open_public_objects()
        try:
            found = await objects.get(JWKS_COPY)
        finally:
            await objects.close()
        if found is None:
            raise DemoFailed("there is no public copy of the JWKS")
        return dict(msgspec.json.decode(found.data))

    async def _sweep(self) -> None:
        await self._world.publish("outbox.sweep", "", {}, "//demo/schedule", AUTH_EVENTS)
        await self._world.settled()

    async def _skip_the_wait(self, kid: str) -> None:
        """As if the pending key's time had come."""
        store = backend.of(self._world.layout).open_store()
        try:
            (doc,) = await store.read(keyring.key(store))
            if doc is None:
                raise DemoFailed("there is no ring of signing keys")
            body = dict(doc.body)
            body["keys"] = [
                {**key, "activates_at": stamp(datetime.now(UTC))} if key["kid"] == kid else key
                for key in doc.body["keys"]
            ]
            actor = Actor("system", "demo", "platform")
            skipped = audit.record(
                store, "platform", actor=actor, action="demo.skip_wait", target=kid, at=datetime.now(UTC)
            )
            await store.commit(Replace(doc.key, body, doc.version), skipped)
        finally:
            await store.close()


def _told(states: dict[str, str]) -> str:
    return ", ".join(f"{kid[:8]} {state}" for kid, state in sorted(states.items()))
