"""Shared by the entry points: chooses the adapters of a backend, and builds the app on the first request."""

import asyncio
import gc
import logging
from collections.abc import Awaitable, Callable, Iterable, Mapping, Sequence

from starlette.requests import Request
from starlette.responses import Response
from starlette.types import ASGIApp, Receive, Scope, Send

from shared.bus import Bus
from shared.caller import CallerCheck, keys_of
from shared.config import Config
from shared.errors import Unavailable
from shared.event_door import EventDoor, EventHandler, NotificationHandler
from shared.http import Route
from shared.http.app import App
from shared.http.limits import Limits
from shared.http.problem import problem
from shared.http.reply import Reply
from shared.identity import Verifier
from shared.ids import Clock, new_id
from shared.logs import AccessLog
from shared.metrics import Metrics
from shared.objects import Objects
from shared.quarantine import Quarantine
from shared.secrets import Secrets
from shared.secrets.cached import CachedSecrets
from shared.store import Query, Store

SERVICE_LABELS = {"auth": "authentication", "billing": "billing", "tenants": "tenants"}
"""The value of the platform's label `service` for each function."""

_log = logging.getLogger(__name__)


class Entry:
    """Builds the app on the first request, because the framework forks after import, and threads, clients and
    event loops do not survive a fork. Concurrent requests wait for it; after a failure the next one retries.

    The built app replaces the framework's routes and middleware, which take as long as the app itself and do
    nothing that it needs.
    """

    def __init__(self, build: Callable[[], Awaitable[App]]) -> None:
        self._build = build
        self._app: App | None = None
        self._building: asyncio.Task[App | None] | None = None

    async def __call__(self, request: Request) -> Response:
        app = self._app or await self._built()
        if app is None:
            return _Handed(_not_ready())
        request.app.middleware_stack = app
        return _Handed(app)

    async def _built(self) -> App | None:
        if self._building is None:
            self._building = asyncio.ensure_future(self._try())
        # Shielded: a cancelled request must not cancel the build for the others.
        return await asyncio.shield(self._building)

    async def _try(self) -> App | None:
        try:
            self._app = await self._build()
            _spare_the_collector()
        except Exception:  # noqa: BLE001 - the next request retries, whatever it was
            _log.exception("the function could not start")
        finally:
            self._building = None
        return self._app


class _Handed(Response):
    """A response for the framework that hands the request to `app`."""

    def __init__(self, app: ASGIApp) -> None:
        self._app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        await self._app(scope, receive, send)


def _spare_the_collector() -> None:
    """Excludes all objects that exist by now, most of them permanent, from garbage collection, which
    otherwise takes a tenth of a busy function's CPU time. The `main.py` that `deploy/stage.py` writes sets
    the collector's thresholds before the imports.
    """
    gc.collect()
    gc.freeze()


def open_store(config: Config, queries: Iterable[Query]) -> Store:
    """The store for the queries that the function declares."""
    if config.backend == "gcp":
        from shared.store.firestore import FirestoreStore  # noqa: PLC0415 - one backend is imported, not each

        return FirestoreStore(
            config.firestore_project,
            config.firestore_database,
            queries,
            emulator_host=config.emulators.firestore,
        )
    from shared.store.sqlite import SqliteStore  # noqa: PLC0415

    return SqliteStore(config.data_dir / "store.db", queries)


def open_bus(config: Config) -> Bus:
    if config.backend == "gcp":
        from shared.bus.pubsub import PubSubBus  # noqa: PLC0415

        return PubSubBus(config.firestore_project, emulator_host=config.emulators.pubsub)
    from shared.bus.local import LocalBus  # noqa: PLC0415

    return LocalBus(config.data_dir / "bus.db")


def open_secrets(config: Config, clock: Clock) -> CachedSecrets:
    """The secrets, with values cached in memory for five minutes."""
    return CachedSecrets(_secrets(config, clock), clock)


def secret_prefix(config: Config) -> str:
    """The prefix of this environment's secret ids in Secret Manager."""
    return f"energent-{config.environment}-"


def _secrets(config: Config, clock: Clock) -> Secrets:
    if config.backend == "gcp":
        from shared.secrets.secret_manager import SecretManager  # noqa: PLC0415

        return SecretManager(
            config.secret_manager_project,
            prefix=secret_prefix(config),
            labels={"environment": config.environment, "service": SERVICE_LABELS[config.function]},
            emulator_host=config.emulators.secret_manager,
        )
    from shared.secrets.files import FileSecrets  # noqa: PLC0415

    return FileSecrets(config.data_dir / "secrets", clock)


def open_objects(config: Config, bucket: str) -> Objects:
    """The objects of one bucket, or of a folder with that name on the embedded backend."""
    if config.backend == "gcp":
        from shared.objects.cloud_storage import CloudStorage  # noqa: PLC0415

        return CloudStorage(bucket, emulator_host=config.emulators.storage)
    from shared.objects.files import FileObjects  # noqa: PLC0415

    return FileObjects(config.data_dir / "objects" / bucket)


def event_door(
    config: Config,
    handlers: Mapping[str, EventHandler],
    quarantine: Quarantine,
    clock: Clock,
    metrics: Metrics,
    notifications: Mapping[str, NotificationHandler] | None = None,
) -> EventDoor | None:
    """The event door; None if this process serves HTTP only."""
    if not config.serves_events:
        return None
    caller = CallerCheck(
        config.events_issuer,
        config.events_audience,
        config.events_caller,
        keys_of(config.events_keys),
        clock,
    )
    log = logging.getLogger(f"functions.{config.function}")
    return EventDoor(handlers, caller, quarantine, log=log, notifications=notifications, metrics=metrics)


def make_app(
    config: Config,
    store: Store,
    clock: Clock,
    routes: Sequence[Route],
    events: EventDoor | None,
    metrics: Metrics,
) -> App:
    verifier = Verifier(store, config.public_url, config.public_url, clock)
    metrics.watch(verifier)
    return App(
        routes,
        verifier=verifier,
        event_door=events,
        serves_http=config.serves_http,
        version=config.version,
        access_log=AccessLog(clock, config.firestore_project),
        limits=Limits(trusted_hops=config.trusted_hops),
        metrics=metrics,
    )


def _not_ready() -> Reply:
    refusal = Unavailable("not_ready", "The service is not ready. Try again later.", retry_after_seconds=5)
    request_id = new_id("req")
    return Reply(problem(refusal, request_id), request_id, head=False, close=False)
