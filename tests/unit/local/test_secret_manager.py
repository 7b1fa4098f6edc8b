"""The rules of Secret Manager that its stand-in keeps."""

from collections.abc import Callable

import google_crc32c
import grpc
import pytest
from google.cloud.secretmanager_v1 import types

from local.google.secret_manager.service import MAX_PAYLOAD_BYTES, Refusal, Service
from tests.tokens import NOW, Time

PARENT, KEY = "projects/p", "projects/p/secrets/key"
EVERYWHERE: dict[str, object] = {"automatic": {}}


@pytest.fixture
def service() -> Service:
    """With the secret `key` and one version of it."""
    service = Service(Time())
    _create(service, "key")
    service.add_secret_version(types.AddSecretVersionRequest(parent=KEY, payload={"data": b"one"}))
    return service


def _create(service: Service, secret_id: str, **fields: object) -> types.Secret:
    secret = types.Secret({"replication": EVERYWHERE} | fields)
    return service.create_secret(types.CreateSecretRequest(parent=PARENT, secret_id=secret_id, secret=secret))


def _add(service: Service, data: bytes, checksum: int | None = None, parent: str = KEY) -> None:
    payload = types.SecretPayload(data=data, data_crc32c=checksum)
    service.add_secret_version(types.AddSecretVersionRequest(parent=parent, payload=payload))


def _access(service: Service, version: str, secret: str = KEY) -> bytes:
    name = f"{secret}/versions/{version}"
    return service.access_secret_version(types.AccessSecretVersionRequest(name=name)).payload.data


REFUSED: list[tuple[str, Callable[[Service], object]]] = [
    ("ALREADY_EXISTS", lambda service: _create(service, "key")),
    ("INVALID_ARGUMENT", lambda service: _create(service, "a/b")),
    ("INVALID_ARGUMENT", lambda service: _create(service, "new", replication={})),
    ("INVALID_ARGUMENT", lambda service: _create(service, "new", labels={"Service": "x"})),
    ("INVALID_ARGUMENT", lambda service: _create(service, "new", labels={"service": "X"})),
    ("INVALID_ARGUMENT", lambda service: _add(service, b"")),
    ("INVALID_ARGUMENT", lambda service: _add(service, b"x" * (MAX_PAYLOAD_BYTES + 1))),
    ("INVALID_ARGUMENT", lambda service: _add(service, b"x", google_crc32c.value(b"y"))),
    ("NOT_FOUND", lambda service: _add(service, b"x", parent=f"{PARENT}/secrets/other")),
    ("NOT_FOUND", lambda service: _access(service, "1", f"{PARENT}/secrets/other")),
    ("NOT_FOUND", lambda service: _access(service, "2")),
    ("INVALID_ARGUMENT", lambda service: _access(service, "latest")),
    ("INVALID_ARGUMENT", lambda service: _access(service, "0")),
]


@pytest.mark.parametrize(("code", "call"), REFUSED)
def test_what_secret_manager_refuses_is_refused_with_its_code(
    service: Service, code: str, call: Callable[[Service], object]
) -> None:
    """S1 S6."""
    with pytest.raises(Refusal) as refused:
        call(service)
    assert refused.value.code is grpc.StatusCode[code]
    assert _access(service, "1") == b"one"


def test_a_version_is_read_only_while_it_is_enabled_and_never_again_once_destroyed(service: Service) -> None:
    """S1 S4."""
    name = {"name": f"{KEY}/versions/1"}
    service.disable_secret_version(types.DisableSecretVersionRequest(name))
    with pytest.raises(Refusal, match="is in DISABLED state") as refused:
        _access(service, "1")
    assert refused.value.code is grpc.StatusCode.FAILED_PRECONDITION
    service.enable_secret_version(types.EnableSecretVersionRequest(name))
    assert _access(service, "1") == b"one"
    destroyed = service.destroy_secret_version(types.DestroySecretVersionRequest(name))
    assert destroyed.destroy_time.replace(tzinfo=NOW.tzinfo) == NOW
    for again in (
        lambda: _access(service, "1"),
        lambda: service.enable_secret_version(types.EnableSecretVersionRequest(name)),
        lambda: service.disable_secret_version(types.DisableSecretVersionRequest(name)),
        lambda: service.destroy_secret_version(types.DestroySecretVersionRequest(name)),
    ):
        with pytest.raises(Refusal, match="is in DESTROYED state"):
            again()
