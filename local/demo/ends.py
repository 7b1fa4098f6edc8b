"""Access ends: at once where it is looked up, within 30 seconds where something is believed meanwhile."""

import asyncio
import time
from collections.abc import Coroutine

from local.demo.audit import Deed
from local.demo.people import Customer, Member
from local.demo.screen import Screen, yes
from local.demo.world import World, one_of_each, until

BOUND_SECONDS = 30.0
LOOK_SECONDS = 0.4


class Ends:
    """Watches in the background when every function refuses what was ended, while the story goes on."""

    def __init__(self, world: World, screen: Screen) -> None:
        self._world = world
        self._screen = screen
        self._watches: dict[str, asyncio.Task[float]] = {}

    def close(self) -> None:
        for watch in self._watches.values():
            watch.cancel()

    async def suspended(self, operator: str, rival: Customer) -> None:
        world, screen = self._world, self._screen
        screen.chapter("Rival does not pay and is suspended")
        path = f"/v1/tenants/{rival.tenant_id}/suspend"
        await world.must(200, "POST", path, operator, json={"reason": "non_payment"})
        self._watch("Rival's owner", self._refused_after(rival.tenant_id, rival.access_token))
        self._watch("Rival's machine", self._machine_over_after(rival))
        await self._no_refresh(rival.refresh_token)

    async def session(self, acme: Customer, bob: Member) -> list[Deed]:
        """Acme's owner ends the session that Bob has begun."""
        world, screen = self._world, self._screen
        screen.chapter("Bob's laptop is stolen: Acme's owner ends his session")
        takers = await world.takers(acme.tenant_id, bob.access_token)
        screen.check("Functions that take his access token until then", 3, takers)
        sessions = await world.must(200, "GET", f"/v1/users/{bob.user_id}/sessions", acme.access_token)
        screen.check("Sessions that Bob has", 1, len(sessions["items"]))
        session_id = sessions["items"][0]["id"]
        path = f"/v1/users/{bob.user_id}/sessions/{session_id}"
        await world.must(204, "DELETE", path, acme.access_token)
        self._watch("Bob's laptop", self._refused_after(acme.tenant_id, bob.access_token))
        await self._no_refresh(bob.refresh_token)
        return [Deed(acme.owner_id, "session.revoke", session_id)]

    async def measured(self, still_good: str) -> None:
        """The access tokens of what was ended; `still_good` is one that was not."""
        screen = self._screen
        screen.chapter("What Rival and Bob's stolen laptop had is refused by every function")
        for who, watch in self._watches.items():
            seconds = await watch
            screen.say(f"{who} was refused everywhere {seconds:.1f} s after the end.")
            screen.check(f"{who} within 30 s", "yes", yes(seconds <= BOUND_SECONDS))
        other = await self._world.call("GET", "/v1/me", still_good)
        screen.check("Acme still works", 200, other.status_code)

    async def _no_refresh(self, refresh_token: str) -> None:
        form = {"grant_type": "refresh_token", "refresh_token": refresh_token}
        refresh = await self._world.call("POST", "/oauth2/token", data=form)
        self._screen.check("Refresh, at once", "invalid_grant", refresh.json().get("error"))

    def _watch(self, who: str, over: Coroutine[None, None, float]) -> None:
        self._watches[who] = asyncio.create_task(over)

    async def _refused_after(self, tenant_id: str, token: str) -> float:
        """Seconds until all functions refuse it: what one of them has refused it goes on refusing."""
        ended_at = time.monotonic()
        for path in one_of_each(tenant_id):

            async def refused(path: str = path) -> bool | None:
                return (await self._world.call("GET", path, token)).status_code in (401, 403) or None

            await until(refused, f"{path} to be refused", BOUND_SECONDS + 5, pause=LOOK_SECONDS)
        return time.monotonic() - ended_at

    async def _machine_over_after(self, rival: Customer) -> float:
        """Seconds until it gets no token any more, and all functions refuse the last that it was given."""
        ended_at = time.monotonic()
        given: list[str] = []

        async def refused() -> bool | None:
            form, proof = {"grant_type": "client_credentials"}, (rival.client_id, rival.client_secret)
            answer = await self._world.call("POST", "/oauth2/token", data=form, auth=proof)
            if answer.status_code == 200:
                given.append(answer.json()["access_token"])
            return answer.status_code in (400, 401) or None

        await until(refused, "the machine to get no token", BOUND_SECONDS + 5, pause=LOOK_SECONDS)
        for token in given[-1:]:
            await self._refused_after(rival.tenant_id, token)
        return time.monotonic() - ended_at
