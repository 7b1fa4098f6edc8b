"""Entry point and composition root of auth."""

import os

import functions_framework.aio
from starlette.requests import Request
from starlette.responses import Response

from functions.auth import discovery, events, records, routes
from functions.auth.domain.one_time_link import InvitationLinks
from functions.auth.domain.refresh_token import RefreshTokens
from functions.auth.invitation_mail import InvitationMail
from functions.auth.invitations import Invitations
from functions.auth.jwks_copy import JwksCopy
from functions.auth.keys import KeyRoom
from functions.auth.mailbox import MailboxFolder, Mailer, NoTransport
from functions.auth.oauth import TokenEndpoint
from functions.auth.passwords import Passwords
from functions.auth.service_accounts import ServiceAccounts
from functions.auth.sessions import Sessions
from functions.auth.sign_in import SignIn
from functions.auth.tokens import AccessTokens
from functions.auth.users import Users
from shared import entry, logs, outbox, quarantine
from shared.bus import Bus
from shared.config import load
from shared.entry import Entry
from shared.http.app import App
from shared.http.idempotency import Idempotency
from shared.ids import utc_now
from shared.metrics import Metrics
from shared.outbox import Outbox, PublishingStore
from shared.quarantine import Quarantine
from shared.store.metered import MeteredStore

CONFIG = load(os.environ, "auth")
QUERIES = records.QUERIES + outbox.QUERIES + quarantine.QUERIES
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
    keys = await KeyRoom(store, secrets, utc_now).ensure()
    access_tokens = AccessTokens(keys.signer, CONFIG.public_url, utc_now)
    refresh_tokens, links = RefreshTokens(keys.refresh), InvitationLinks(keys.links)
    passwords = _passwords()
    sessions = Sessions(store, sent, access_tokens, refresh_tokens, utc_now)
    service_accounts = ServiceAccounts(store, access_tokens, utc_now)
    invitations = Invitations(store, sent, passwords, links, utc_now)
    mailer: Mailer = NoTransport() if CONFIG.deployed else MailboxFolder(CONFIG.data_dir / "mailbox")
    mail = InvitationMail(store, links, mailer, utc_now, CONFIG.public_url)
    use_cases = routes.UseCases(
        sign_in=SignIn(store, passwords, access_tokens, refresh_tokens, utc_now),
        sessions=sessions,
        tokens=TokenEndpoint(sessions, service_accounts),
        invitations=invitations,
        users=Users(store),
        service_accounts=service_accounts,
        jwks=keys.jwks,
        metadata=discovery.metadata(CONFIG.public_url),
        idempotency=Idempotency(store, utc_now),
        clock=utc_now,
    )
    jwks_copy = JwksCopy(store, entry.open_objects(CONFIG, CONFIG.public_bucket))
    if CONFIG.serves_events:
        await jwks_copy.refresh()
    handlers = events.table(invitations, mail, sent, jwks_copy)
    notifications = events.notifications(secrets, entry.secret_prefix(CONFIG))
    set_aside = Quarantine(store, utc_now, "auth")
    metrics.watch(store, sent, set_aside, secrets)
    door = entry.event_door(CONFIG, handlers, set_aside, utc_now, metrics, notifications)
    return entry.make_app(CONFIG, store, utc_now, routes.table(use_cases), door, metrics)


def _passwords() -> Passwords:
    workers = len(os.sched_getaffinity(0))
    return Passwords(workers, workers * WAITING_PER_WORKER)


ENTRY = Entry(_build)
logs.configure(CONFIG.firestore_project, CONFIG.service, CONFIG.version)


@functions_framework.aio.http
async def auth_handler(request: Request) -> Response:
    return await ENTRY(request)
