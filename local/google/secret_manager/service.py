"""The secrets and what may be done to them: Secret Manager's rules, without the wire."""

import re

import google_crc32c
import grpc
from google.cloud.secretmanager_v1 import types

from shared.ids import Clock

MAX_PAYLOAD_BYTES = 65_536
MAX_PAGE_VERSIONS = 25_000

_State = types.SecretVersion.State
_ID = re.compile(r"[A-Za-z0-9_-]{1,255}")
_VERSION = re.compile(r"(projects/[^/]+/secrets/[^/]+)/versions/([1-9][0-9]{0,8})")
_LABEL_KEY = re.compile(r"[a-z][a-z0-9_-]{0,62}")
_LABEL_VALUE = re.compile(r"[a-z0-9_-]{0,63}")


class Refusal(Exception):
    """What a call is answered with instead of a result."""

    def __init__(self, code: grpc.StatusCode, message: str) -> None:
        super().__init__(message)
        self.code = code
        self.message = message


class _Kept:
    """One secret. Number 1 is the first of both lists; what is destroyed has an empty payload."""

    def __init__(self, secret: types.Secret) -> None:
        self.secret = secret
        self.versions: list[types.SecretVersion] = []
        self.payloads: list[types.SecretPayload] = []


class Service:
    """One method for each of Secret Manager's, by its name. Each raises `Refusal`. One call at a time."""

    def __init__(self, clock: Clock) -> None:
        self._clock = clock
        self._kept: dict[str, _Kept] = {}

    def create_secret(self, request: types.CreateSecretRequest) -> types.Secret:
        if not _ID.fullmatch(request.secret_id):
            raise _invalid(f"{request.secret_id!r} is no id of a secret")
        if "replication" not in request.secret or not types.Replication.pb(
            request.secret.replication
        ).WhichOneof("replication"):
            raise _invalid("a secret needs its replication")
        for key, value in request.secret.labels.items():
            if not _LABEL_KEY.fullmatch(key) or not _LABEL_VALUE.fullmatch(value):
                raise _invalid(f"{key}={value} is no label")
        name = f"{request.parent}/secrets/{request.secret_id}"
        if name in self._kept:
            raise Refusal(grpc.StatusCode.ALREADY_EXISTS, f"Secret [{name}] already exists.")
        secret = types.Secret(request.secret)
        secret.name, secret.create_time = name, self._clock()
        self._kept[name] = _Kept(secret)
        return secret

    def get_secret(self, request: types.GetSecretRequest) -> types.Secret:
        return self._secret(request.name).secret

    def add_secret_version(self, request: types.AddSecretVersionRequest) -> types.SecretVersion:
        kept = self._secret(request.parent)
        data = request.payload.data
        if not 1 <= len(data) <= MAX_PAYLOAD_BYTES:
            raise _invalid(f"a payload has 1 to {MAX_PAYLOAD_BYTES} bytes")
        checksum = google_crc32c.value(data)
        if "data_crc32c" in request.payload and request.payload.data_crc32c != checksum:
            raise _invalid("the payload does not match its data_crc32c")
        version = types.SecretVersion(
            name=f"{request.parent}/versions/{len(kept.versions) + 1}",
            create_time=self._clock(),
            state=_State.ENABLED,
            client_specified_payload_checksum="data_crc32c" in request.payload,
        )
        kept.versions.append(version)
        kept.payloads.append(types.SecretPayload(data=data, data_crc32c=checksum))
        return version

    def get_secret_version(self, request: types.GetSecretVersionRequest) -> types.SecretVersion:
        return self._version(request.name)[0]

    def access_secret_version(
        self, request: types.AccessSecretVersionRequest
    ) -> types.AccessSecretVersionResponse:
        version, payload = self._version(request.name)
        if version.state != _State.ENABLED:
            raise _in_state(version)
        return types.AccessSecretVersionResponse(name=request.name, payload=payload)

    def list_secret_versions(
        self, request: types.ListSecretVersionsRequest
    ) -> types.ListSecretVersionsResponse:
        """Newest first."""
        newest_first = self._secret(request.parent).versions[::-1]
        start = int(request.page_token or 0)
        end = start + min(request.page_size or MAX_PAGE_VERSIONS, MAX_PAGE_VERSIONS)
        return types.ListSecretVersionsResponse(
            versions=newest_first[start:end],
            next_page_token=str(end) if end < len(newest_first) else "",
            total_size=len(newest_first),
        )

    def enable_secret_version(self, request: types.EnableSecretVersionRequest) -> types.SecretVersion:
        return self._changed(request.name, _State.ENABLED)

    def disable_secret_version(self, request: types.DisableSecretVersionRequest) -> types.SecretVersion:
        return self._changed(request.name, _State.DISABLED)

    def destroy_secret_version(self, request: types.DestroySecretVersionRequest) -> types.SecretVersion:
        return self._changed(request.name, _State.DESTROYED)

    def _changed(self, name: str, state: int) -> types.SecretVersion:
        version, payload = self._version(name)
        if version.state == _State.DESTROYED:
            raise _in_state(version)
        version.state = _State(state)
        if state == _State.DESTROYED:
            version.destroy_time = self._clock()
            payload.data, payload.data_crc32c = b"", 0
        return version

    def _version(self, name: str) -> tuple[types.SecretVersion, types.SecretPayload]:
        found = _VERSION.fullmatch(name)
        if found is None:
            raise _invalid(f"{name} is no version by its number")
        kept, number = self._secret(found[1]), int(found[2])
        if number > len(kept.versions):
            raise Refusal(grpc.StatusCode.NOT_FOUND, f"Secret Version [{name}] not found.")
        return kept.versions[number - 1], kept.payloads[number - 1]

    def _secret(self, name: str) -> _Kept:
        kept = self._kept.get(name)
        if kept is None:
            raise Refusal(grpc.StatusCode.NOT_FOUND, f"Secret [{name}] not found.")
        return kept


def _invalid(message: str) -> Refusal:
    return Refusal(grpc.StatusCode.INVALID_ARGUMENT, message)


def _in_state(version: types.SecretVersion) -> Refusal:
    message = f"Secret Version [{version.name}] is in {version.state.name} state."
    return Refusal(grpc.StatusCode.FAILED_PRECONDITION, message)
