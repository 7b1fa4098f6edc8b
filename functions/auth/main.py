"""Entry point and composition root of auth."""

import os

import functions_framework.aio
from starlette.requests import Request
from starlette.responses import Response

from functions.auth import events, records, routes
from functions.auth.mail.mailbox import MailboxFolder, Mailer, NoTransport
from functions.auth.sign_in.password_policy import PasswordRanges
from functions.auth.sign_in.passwords import Passwords
from functions.auth.use_cases import Ports, UseCases
from shared import entry, logs, outbox, quarantine, revocations
from shared.bus import Bus
from shared.config import load
from shared.entry import Entry
from shared.http import server
from shared.http.app import App
from shared.ids import utc_now
from shared.metrics import Metrics
from shared.outbox import Outbox, PublishingStore
from shared.quarantine import Quarantine
from shared.secrets.cached import CachedSecrets
from shared.store.metered import MeteredStore

CONFIG = load(os.environ, "auth")
QUERIES = records.QUERIES + outbox.QUERIES + quarantine.QUERIES + revocations.QUERIES
WAITING_PER_WORKER = 32
"""A sign-in that waits behind so many others is answered within a second."""


async def _build() -> App:
    metrics = Metrics(CONFIG.function, CONFIG.version)
    bus = entry.open_bus(CONFIG)
    store = PublishingStore(MeteredStore(entry.open_store(CONFIG, QUERIES), metrics), bus)
    try:
        return await _assembled(store, bus, metrics)
    except BaseException:
        await store.close()
        await bus.close()
        raise


async def _assembled(store: PublishingStore, bus: Bus, metrics: Metrics) -> App:
    sent = Outbox(store, bus, utc_now, "auth")
    secrets = entry.open_secrets(CONFIG, utc_now)
    use_cases = UseCases(
        Ports(
            store=store,
            outbox=sent,
            secrets=secrets,
            objects=entry.open_objects(CONFIG, CONFIG.public_bucket),
            mailer=_mailer(secrets),
            passwords=_passwords(),
            clock=utc_now,
            issuer=CONFIG.public_url,
            ranges=PasswordRanges(CONFIG.password_range_url) if CONFIG.password_range_url else None,
            environment=CONFIG.environment,
        )
    )
    await use_cases.keys.current()
    if CONFIG.serves_events:
        await use_cases.jwks_copy.refresh()
    notifications = events.notifications(secrets, entry.secret_prefix(CONFIG), use_cases.key_rotation)
    set_aside = Quarantine(store, utc_now, "auth")
    metrics.watch(store, sent, set_aside, secrets, use_cases)
    handlers = events.table(use_cases)
    door = entry.event_door(CONFIG, handlers, set_aside, utc_now, metrics, notifications)
    return entry.make_app(CONFIG, store, utc_now, routes.table(use_cases), door, metrics)


def _mailer(secrets: CachedSecrets) -> Mailer:
    if CONFIG.smtp is not None:
        from functions.auth.mail.smtp import SmtpMailer  # noqa: PLC0415 - only what handles events sends mail

        return SmtpMailer(CONFIG.smtp, secrets)
    return NoTransport() if CONFIG.deployed else MailboxFolder(CONFIG.data_dir / "mailbox")


def _passwords() -> Passwords:
    workers = len(os.sched_getaffinity(0))
    return Passwords(workers, workers * WAITING_PER_WORKER)


ENTRY = Entry(_build)
server.configure()
logs.configure(CONFIG.firestore_project, CONFIG.service, CONFIG.version)


@functions_framework.aio.http
async def auth_handler(request: Request) -> Response:
    return await ENTRY(request)
