"""The first operator's credential in the data folder."""

import json
from pathlib import Path

import pytest

from local import first_operator
from local.backend import Backend
from local.first_operator import Credential
from local.layout import Layout
from shared import tenant
from shared.store.sqlite import SqliteStore

pytestmark = pytest.mark.anyio


def _embedded(layout: Layout) -> Backend:
    return Backend("embedded", str(layout.root))


def _credential(layout: Layout) -> Credential:
    return Credential(**json.loads(layout.operator.read_text()))


async def test_the_platform_gets_one_operator_whose_credential_is_kept(tmp_path: Path) -> None:
    layout = Layout(tmp_path)
    await first_operator.ensure(layout, _embedded(layout), "http://127.0.0.1:1")
    made = _credential(layout)
    assert made.client_id.startswith("platform.sa_")
    await first_operator.ensure(layout, _embedded(layout), "http://127.0.0.1:2")
    kept = _credential(layout)
    assert (kept.client_id, kept.client_secret) == (made.client_id, made.client_secret)
    assert kept.token_endpoint == "http://127.0.0.1:2/oauth2/token"
    assert layout.operator.stat().st_mode & 0o777 == 0o600
    store = SqliteStore(layout.store, ())
    assert (await store.read(tenant.key(store, "platform")))[0] is not None
    await store.close()


async def test_a_lost_file_means_another_operator_and_not_a_locked_out_person(tmp_path: Path) -> None:
    layout = Layout(tmp_path)
    await first_operator.ensure(layout, _embedded(layout), "http://127.0.0.1:1")
    lost = _credential(layout)
    layout.operator.unlink()
    await first_operator.ensure(layout, _embedded(layout), "http://127.0.0.1:1")
    assert _credential(layout).client_id != lost.client_id


async def test_curl_can_read_the_credential_from_its_own_private_file(tmp_path: Path) -> None:
    layout = Layout(tmp_path)
    await first_operator.ensure(layout, _embedded(layout), "http://127.0.0.1:1")
    made = _credential(layout)
    assert layout.operator_curl.stat().st_mode & 0o777 == 0o600
    assert layout.operator_curl.read_text().splitlines() == [
        'url = "http://127.0.0.1:1/oauth2/token"',
        f'user = "{made.client_id}:{made.client_secret}"',
        'data = "grant_type=client_credentials"',
    ]
