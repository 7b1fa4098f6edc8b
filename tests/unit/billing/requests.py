"""A request as billing's handlers see it."""

from typing import Any, TypeVar

import msgspec

from functions.billing import routes
from functions.billing.invoices import Invoices
from shared.http import Response
from tests.unit.billing.world import World

T = TypeVar("T")


class Principal(msgspec.Struct):
    tenant_id: str


class Call:
    """A request of one tenant."""

    def __init__(self, tenant_id: str, params: dict[str, str], query: dict[str, Any], accept: str) -> None:
        self.principal = Principal(tenant_id)
        self.params = params
        self.headers = {"accept": accept} if accept else {}
        self._query = query

    def query(self, kind: type[T]) -> T:
        return msgspec.convert(self._query, kind)


async def get(
    world: World,
    path: str,
    params: dict[str, str] | None = None,
    query: dict[str, Any] | None = None,
    accept: str = "",
) -> Response:
    table = routes.table(world.reports, Invoices(world.store), world.webhooks)
    (route,) = [route for route in table if route.path == path]
    return await route.handler(Call(world.tenant_id, params or {}, query or {}, accept))  # type: ignore[arg-type]
