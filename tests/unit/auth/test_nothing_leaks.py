"""What is secret is in no document, event, file of the store, log line or refusal."""

import logging
from collections.abc import Coroutine
from typing import Any

import pytest

from functions.auth.keyring.key_rings import LINK_SECRET, REFRESH_SECRET, SIGNING_SECRET
from shared.audit import Actor
from shared.errors import Error
from tests.unit.auth.suite import ACME, OWNER, PASSWORD, Suite, principal

pytestmark = pytest.mark.anyio


async def live(suite: Suite) -> tuple[list[bytes], list[str]]:
    """Walks through everything, right and wrong; returns the secrets there were and the refusals given."""
    refusals = []

    async def refused(attempt: Coroutine[Any, Any, object]) -> None:
        try:
            await attempt
        except Error as error:
            refusals.append(f"{error!r} {error} {error.detail} {error.headers} {error.fields}")

    await suite.deliver("tenant.activated", None)
    await suite.deliver_published("mail.requested")
    token = await suite.invite(OWNER)
    await suite.invitations.accept(token, PASSWORD, "Ada", "req_1")
    await refused(suite.invitations.accept(token, PASSWORD, "Ada", "req_1"))
    await refused(suite.invitations.accept(token[:-1], PASSWORD[:5], "Ada", "req_1"))
    first = await suite.login()
    await refused(suite.login(password="wrong horse battery staple"))
    second = await suite.refresh(first.refresh_token)
    third = await suite.refresh(second.refresh_token)
    suite.clock.move(31)
    await refused(suite.refresh(first.refresh_token))
    client, secret = await suite.add_machine("usage:read")
    machine = await suite.machine_token(client, secret)
    await refused(suite.machine_token(client, secret + "x"))
    owner, actor = principal("owner"), Actor("user", "usr_test", ACME)
    added = await suite.do.service_account_changes.add_secret(owner, actor, client.partition(".")[2], None)
    made = await suite.do.api_keys.create(owner, actor, "nightly export", ["usage:read"])
    exchanged = await suite.do.api_key_exchange.token(made.text, "192.0.2.7", None, "req_1")
    await refused(suite.do.api_key_exchange.token(made.text[:-1], "192.0.2.7", None, "req_1"))
    _, operator_secret = await suite.operators.bootstrap()
    texts = [PASSWORD, "wrong horse battery staple", token, secret, operator_secret, machine]
    texts += [added.text, made.text, made.text[-28:-6], exchanged.access_token]
    for each in (first, second, third):
        assert each.refresh_token
        texts += [each.access_token, each.refresh_token]
    keys = [await suite.secrets.access(name, 1) for name in (REFRESH_SECRET, LINK_SECRET)]
    pem = await suite.secrets.access(SIGNING_SECRET, 1)
    return [*(text.encode() for text in texts), *keys, pem.splitlines()[1]], refusals


def usable(secret: bytes) -> bytes:
    """Of an access token its signature: the rest may be known."""
    return secret.rpartition(b".")[2]


async def test_no_secret_is_in_a_document_or_in_the_files_of_the_store(suite: Suite) -> None:
    """R14, G1: the bytes on disk, write-ahead log and free pages too."""
    secrets, _ = await live(suite)
    files = b"".join(path.read_bytes() for path in suite.folder.glob("store.db*"))
    assert b"invitation.accept" in files
    assert [secret for secret in secrets if usable(secret) in files] == []


async def test_no_secret_and_no_address_is_in_an_event_a_log_line_or_a_refusal(
    suite: Suite, caplog: pytest.LogCaptureFixture
) -> None:
    """G1, G4"""
    with caplog.at_level(logging.DEBUG):
        secrets, refusals = await live(suite)
    events = b"".join(message.data for _, message in suite.bus.messages)
    attributes = "".join(str(message.attributes) for _, message in suite.bus.messages)
    seen = events + (caplog.text + attributes + "".join(refusals)).encode()
    assert b"security.refresh_token_reused" in seen
    assert len(refusals) == 6
    assert [secret for secret in secrets if usable(secret) in seen] == []
    assert OWNER.encode() not in seen
    assert b"@acme" not in seen


async def test_the_mail_alone_holds_the_link(suite: Suite) -> None:
    await live(suite)
    (mail,) = suite.mails()
    assert b"inv1_" in mail.as_bytes()
