"""The HTTP door to the key rings, for operators of the platform. No answer holds a secret."""

from datetime import datetime

import msgspec

from functions.auth.domain import key_ring
from functions.auth.domain.key_ring import Algorithm, KeyRing, RingKey, State
from functions.auth.keyring.key_rings import PACES
from functions.auth.use_cases import UseCases
from shared.http import Call, Response, Route, json_response


class RotationRequest(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    algorithm: Algorithm | None = None


class KeyView(msgspec.Struct, frozen=True):
    """`algorithm`: of signing keys only. `activates_at`: pending, the earliest first use, else the first."""

    kid: str
    state: State
    algorithm: str | None
    secret_version: int
    created_at: datetime
    activates_at: datetime | None
    retired_at: datetime | None
    removes_at: datetime | None


class RingView(msgspec.Struct, frozen=True):
    """`rotates_at`: when a rotation begins by itself; None while one is under way."""

    name: str
    rotates_at: datetime | None
    keys: list[KeyView]


class RingsView(msgspec.Struct, frozen=True):
    rings: list[RingView]


def table(use_cases: UseCases) -> tuple[Route, ...]:
    on = _Handlers(use_cases)
    return (
        Route("GET", "/v1/keys", on.rings, "platform:keys:read"),
        Route("POST", "/v1/keys/{ring}/rotations", on.rotate, "platform:keys:write"),
        Route("DELETE", "/v1/keys/{ring}/keys/{kid}", on.remove, "platform:keys:write"),
    )


class _Handlers:
    def __init__(self, use_cases: UseCases) -> None:
        self._do = use_cases

    async def rings(self, call: Call) -> Response:
        found = await self._do.key_rotation.rings()
        return json_response(RingsView([_ring(each.name, each.ring) for each in found]))

    async def rotate(self, call: Call) -> Response:
        asked = await call.json(RotationRequest)
        return await self._do.idempotency.answer(
            call,
            lambda once: self._do.key_rotation.begin(call.params["ring"], call.actor, asked.algorithm, once),
            lambda key: json_response(_key(key), 201),
        )

    async def remove(self, call: Call) -> Response:
        name = call.params["ring"]
        return json_response(
            _ring(name, await self._do.key_rotation.remove(name, call.params["kid"], call.actor))
        )


def _ring(name: str, ring: KeyRing) -> RingView:
    return RingView(name, key_ring.rotates_at(ring, PACES[name]), [_key(key) for key in ring.keys])


def _key(key: RingKey) -> KeyView:
    return KeyView(
        kid=key.kid,
        state=key.state,
        algorithm=key.public.get("alg"),
        secret_version=key.secret_version,
        created_at=key.created_at,
        activates_at=key.activates_at,
        retired_at=key.retired_at,
        removes_at=key.removes_at,
    )
