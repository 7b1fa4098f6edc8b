"""Secrets in Google's Secret Manager, or in its local stand-in. The client is made on the first call."""

from collections.abc import Mapping
from datetime import UTC
from typing import Any

from shared.secrets import SecretUnusable, SecretVersion, State, check_name, check_value
from shared.secrets.secret_manager.calls import Calls, Refused, unavailable

PAGE_VERSIONS = 1000

_STATES: Mapping[str, State] = {"ENABLED": "enabled", "DISABLED": "disabled", "DESTROYED": "destroyed"}
_NUMBERED: Mapping[int, State] = {1: "enabled", 2: "disabled", 3: "destroyed"}
"""As `SecretVersion.State` numbers them."""
_CHANGES: Mapping[State, str] = {
    "enabled": "EnableSecretVersion",
    "disabled": "DisableSecretVersion",
    "destroyed": "DestroySecretVersion",
}


class SecretManager:
    """`shared.secrets.Secrets` in one project: the secret `name` is `<prefix><name>` there.

    `labels` are given to the secrets that are made here. With `emulator_host` (`host:port`) nothing is
    authenticated. Where a right is missing, `SecretUnusable` names the role to grant.
    """

    def __init__(
        self, project: str, *, prefix: str, labels: Mapping[str, str] | None = None, emulator_host: str = ""
    ) -> None:
        self._project = f"projects/{project}"
        self._prefix = prefix
        self._labels = dict(labels or {})
        self._calls = Calls(emulator_host)

    async def access(self, name: str, version: int) -> bytes:
        """A value whose checksum is wrong is fetched once more."""
        path = f"{self._path(name)}/versions/{version}"
        for _ in range(2):
            try:
                payload = (await self._calls.ask(path, "AccessSecretVersion", {"name": path})).payload
            except Refused as refused:
                raise self._unusable(refused, name, version, "secretAccessor") from refused
            if payload.data_crc32c == _checksum(payload.data):
                return bytes(payload.data)
        raise unavailable(path, "its checksum is wrong")

    async def add(self, name: str, value: bytes) -> int:
        """A lost reply leaves a version that nobody has the number of."""
        check_value(name, value)
        number = await self._added(name, value)
        if number is None:
            await self._make(name)
            number = await self._added(name, value)
        if number is None:
            raise unavailable(self._path(name), "it is not there yet")
        return number

    async def versions(self, name: str) -> list[SecretVersion]:
        path = self._path(name)
        found: list[SecretVersion] = []
        token: str | None = ""
        try:
            while token is not None:
                request = {"parent": path, "page_size": PAGE_VERSIONS, "page_token": token}
                page = await self._calls.ask(path, "ListSecretVersions", request)
                found += [_version(version) for version in page.versions]
                token = page.next_page_token or None
        except Refused as refused:
            if refused.status == "NOT_FOUND":
                return []
            raise self._unusable(refused, name, None, "viewer") from refused
        return sorted(found, key=lambda version: version.number, reverse=True)

    async def set_state(self, name: str, version: int, state: State) -> None:
        path = f"{self._path(name)}/versions/{version}"
        try:
            await self._calls.ask(path, _CHANGES[state], {"name": path})
        except Refused as refused:
            if _state(refused) != state:
                raise self._unusable(refused, name, version, "secretVersionManager") from refused

    async def close(self) -> None:
        """After this every call raises `Unavailable`."""
        await self._calls.close()

    async def _added(self, name: str, value: bytes) -> int | None:
        """The new version's number; None where there is no such secret."""
        path = self._path(name)
        request = {"parent": path, "payload": {"data": value, "data_crc32c": _checksum(value)}}
        try:
            return _version(await self._calls.ask(path, "AddSecretVersion", request)).number
        except Refused as refused:
            if refused.status == "NOT_FOUND":
                return None
            raise self._unusable(refused, name, None, "secretVersionAdder") from refused

    async def _make(self, name: str) -> None:
        """The secret without versions. Somebody else's, made at the same time, is as good."""
        secret = {"replication": {"automatic": {}}, "labels": self._labels}
        request = {"parent": self._project, "secret_id": self._prefix + name, "secret": secret}
        try:
            await self._calls.ask(self._path(name), "CreateSecret", request)
        except Refused as refused:
            if refused.status == "PERMISSION_DENIED":
                why = f"missing, and not ours to make: make {self._path(name)} with deploy/bootstrap.sh"
                raise SecretUnusable(name, None, why) from refused
            if refused.status != "ALREADY_EXISTS":
                raise SecretUnusable(name, None, f"missing, and was not made: {refused}") from refused

    def _path(self, name: str) -> str:
        check_name(name)
        check_name(self._prefix + name)
        return f"{self._project}/secrets/{self._prefix}{name}"

    def _unusable(self, refused: Refused, name: str, version: int | None, role: str) -> SecretUnusable:
        if refused.status == "NOT_FOUND":
            return SecretUnusable(name, version, "missing")
        if refused.status == "PERMISSION_DENIED":
            grant = f"grant this function's service account roles/secretmanager.{role} on {self._path(name)}"
            return SecretUnusable(name, version, f"forbidden: {grant}")
        return SecretUnusable(name, version, _state(refused) or f"refused: {refused.message}")


def _state(refused: Refused) -> State | None:
    """The state that a version is in, where that is why."""
    if refused.status != "FAILED_PRECONDITION":
        return None
    return next((state for word, state in _STATES.items() if f"in {word} state" in refused.message), None)


def _version(found: Any) -> SecretVersion:
    return SecretVersion(
        number=int(found.name.rpartition("/")[2]),
        state=_NUMBERED.get(found.state, "disabled"),
        created_at=found.create_time.ToDatetime(tzinfo=UTC),
    )


def _checksum(value: bytes) -> int:
    import google_crc32c  # noqa: PLC0415

    return int(google_crc32c.value(value))
