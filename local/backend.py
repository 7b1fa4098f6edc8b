"""Where one suite keeps documents, messages, secrets and objects: what functions and tools open."""

from collections.abc import Iterable
from typing import Literal

import msgspec

from local.files import write_atomically
from local.layout import Layout
from shared import config, entry
from shared.bus import Bus
from shared.config import Config, Emulators
from shared.ids import utc_now
from shared.objects import Objects
from shared.secrets import Secrets
from shared.store import Query, Store

PROJECT = "energent-local"
ENVIRONMENT = "local"
PUBLIC_BUCKET = "energent-local-public"
STORAGE_BUCKET = "energent-local-storage"


class Backend(msgspec.Struct, frozen=True):
    """`embedded` keeps everything in `data_dir`; `gcp` in the emulators, which forget it when they end."""

    name: Literal["embedded", "gcp"]
    data_dir: str
    emulators: Emulators = Emulators()

    def settings(self) -> dict[str, str]:
        """A function's settings as far as the backend decides them."""
        hosts = {
            "FIRESTORE_EMULATOR_HOST": self.emulators.firestore,
            "PUBSUB_EMULATOR_HOST": self.emulators.pubsub,
            "SECRET_MANAGER_EMULATOR_HOST": self.emulators.secret_manager,
            "STORAGE_EMULATOR_HOST": self.emulators.storage,
        }
        return {
            "BACKEND": self.name,
            "ENVIRONMENT": ENVIRONMENT,
            "DATA_DIR": self.data_dir,
            "FIRESTORE_PROJECT": PROJECT,
            "PUBLIC_BUCKET": PUBLIC_BUCKET,
            "STORAGE_BUCKET": STORAGE_BUCKET,
            **{name: host for name, host in hosts.items() if host},
        }

    def open_store(self, queries: Iterable[Query] = ()) -> Store:
        """The documents, as the functions see them."""
        return entry.open_store(self._config(), queries)

    def open_bus(self) -> Bus:
        return entry.open_bus(self._config())

    def open_secrets(self) -> Secrets:
        return entry.open_secrets(self._config(), utc_now)

    def open_public_objects(self) -> Objects:
        return entry.open_objects(self._config(), PUBLIC_BUCKET)

    def _config(self) -> Config:
        return config.load(self.settings() | {"DOORS": "http", "PUBLIC_URL": "http://127.0.0.1"}, "auth")


def keep(backend: Backend, layout: Layout) -> None:
    """For the tools that are given the data folder."""
    write_atomically(layout.backend, msgspec.json.encode(backend).decode())


def of(layout: Layout) -> Backend:
    """The backend of the suite that is, or was last, on a data folder."""
    try:
        return msgspec.json.decode(layout.backend.read_bytes(), type=Backend)
    except FileNotFoundError:
        return Backend("embedded", str(layout.root))
