"""Where things are in a data folder."""

from pathlib import Path

import msgspec


class Layout(msgspec.Struct, frozen=True):
    """`root` is absolute. Functions know the same names through `DATA_DIR`."""

    root: Path

    @property
    def store(self) -> Path:
        return self.root / "store.db"

    @property
    def bus(self) -> Path:
        return self.root / "bus.db"

    @property
    def backend(self) -> Path:
        """Where the suite keeps what is not in this folder."""
        return self.root / "backend.json"

    @property
    def mailbox(self) -> Path:
        return self.root / "mailbox"

    @property
    def relay_keys(self) -> Path:
        """The public key that events are checked with."""
        return self.root / "relay" / "jwks.json"

    @property
    def operator(self) -> Path:
        """Client id and secret of the first operator."""
        return self.root / "operator.json"

    @property
    def operator_curl(self) -> Path:
        """The same as options for `curl -K`, which answers with a token."""
        return self.root / "operator.curl"

    @property
    def build(self) -> Path:
        """The functions as they are deployed."""
        return self.root / "build"

    @property
    def stripe(self) -> Path:
        """What the stand-in for Stripe keeps."""
        return self.root / "stripe"

    @property
    def stripe_secrets(self) -> Path:
        return self.stripe / "secrets.json"

    @property
    def envoy(self) -> Path:
        return self.root / "envoy.json"

    @property
    def lock(self) -> Path:
        """Held by the runner; also says that this folder is a data folder."""
        return self.root / "run.lock"

    def home(self, server: str) -> Path:
        """A server's own HOME: gunicorn keeps its control socket there."""
        return self.root / "home" / server

    def log(self, server: str) -> Path:
        return self.root / "logs" / f"{server}.log"
