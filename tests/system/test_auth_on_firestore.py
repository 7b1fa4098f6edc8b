"""Flows of auth, as its tests on SQLite go through them, on Firestore."""

from collections.abc import AsyncIterator, Awaitable, Callable
from pathlib import Path

import pytest

from shared.ids import new_id
from shared.store.firestore import FirestoreStore
from tests.contract.store.harness import warm
from tests.unit.auth import test_api_keys as api_keys
from tests.unit.auth import test_device as devices
from tests.unit.auth import test_invitations as invitations
from tests.unit.auth.browser import add_client
from tests.unit.auth.suite import QUERIES, Suite, running

pytestmark = pytest.mark.anyio

FLOWS = (
    api_keys.test_a_key_is_exchanged_for_a_token_of_five_minutes,
    api_keys.test_a_key_that_is_revoked_while_it_is_used_gives_no_token_that_lasts,
    api_keys.test_a_use_noted_during_a_revocation_does_not_undo_it,
    api_keys.test_foreign_unknown_and_revoked_keys_are_the_same_404,
    api_keys.test_a_key_is_renamed_moved_and_ended_but_not_revived,
    invitations.test_somebody_invited_gets_a_mail_accepts_and_signs_in,
    invitations.test_an_address_is_not_written_to_without_end,
    invitations.test_two_invitations_of_one_address_make_one_user,
    invitations.test_an_invitation_is_sent_again_and_only_the_newest_link_works,
    invitations.test_a_revoked_invitation_opens_nothing_and_is_not_sent,
    invitations.test_users_are_seen_in_their_own_tenant_only,
)
DEVICE_FLOWS = (
    devices.test_a_device_is_connected,
    devices.test_tokens_are_given_once_and_the_second_try_takes_them_back,
    devices.test_a_person_says_no,
    devices.test_a_decision_is_one_of_two_and_made_once,
    devices.test_nobody_decides_in_time,
    devices.test_another_tenants_code_and_no_code_look_the_same,
)


def name(flow: Callable[..., Awaitable[None]]) -> str:
    return flow.__name__.removeprefix("test_")


@pytest.fixture(params=["firestore-emulator"])
async def suite(firestore_emulator: str, tmp_path: Path) -> AsyncIterator[Suite]:
    await warm(firestore_emulator)
    project = new_id("p")[:20].replace("_", "-")
    store = FirestoreStore(project, "(default)", QUERIES, emulator_host=firestore_emulator)
    async with running(tmp_path, store=store) as suite:
        yield suite


@pytest.mark.parametrize("flow", FLOWS, ids=name)
async def test_a_flow(suite: Suite, flow: Callable[[Suite], Awaitable[None]]) -> None:
    await flow(suite)


@pytest.mark.parametrize("flow", DEVICE_FLOWS, ids=name)
async def test_a_flow_of_a_device(suite: Suite, flow: Callable[[devices.Device], Awaitable[None]]) -> None:
    await suite.add_user()
    await add_client(suite)
    await flow(devices.Device(suite))
