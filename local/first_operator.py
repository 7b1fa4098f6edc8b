"""The first operator of the platform: made once, kept in the data folder, for a person and for scripts."""

from pathlib import Path

import msgspec

from functions.auth.machines.operators import Operators
from local.backend import Backend
from local.files import write_atomically
from local.layout import Layout
from shared.errors import Conflict
from shared.ids import utc_now

NAME = "first operator"


class Credential(msgspec.Struct, frozen=True):
    """`operator.json`."""

    client_id: str
    client_secret: str
    token_endpoint: str


async def ensure(layout: Layout, backend: Backend, gateway_url: str) -> None:
    """Writes `operator.json` and `operator.curl`; an operator who is there already stays the same."""
    client_id, client_secret = _kept(layout.operator) or await _made(backend)
    credential = Credential(client_id, client_secret, f"{gateway_url}/oauth2/token")
    write_atomically(layout.operator, msgspec.json.format(msgspec.json.encode(credential), indent=2).decode())
    write_atomically(layout.operator_curl, _curl(credential))


def _kept(path: Path) -> tuple[str, str] | None:
    if not path.exists():
        return None
    credential = msgspec.json.decode(path.read_bytes(), type=Credential)
    return credential.client_id, credential.client_secret


async def _made(backend: Backend) -> tuple[str, str]:
    """The first one, or one more where the file of the first was lost."""
    store = backend.open_store()
    operators = Operators(store, utc_now)
    try:
        return await operators.bootstrap(NAME)
    except Conflict:
        return await operators.add(NAME)
    finally:
        await store.close()


def _curl(credential: Credential) -> str:
    """Options for `curl -K`, so that the secret is in no command line and no shell history."""
    return (
        f'url = "{credential.token_endpoint}"\n'
        f'user = "{credential.client_id}:{credential.client_secret}"\n'
        'data = "grant_type=client_credentials"\n'
    )
