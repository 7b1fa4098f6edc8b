"""Google's messages without its clients: the same as the clients', and nothing of the clients is imported."""

import gzip
import subprocess
import sys

from google.cloud.firestore_v1.types import firestore

from local.google.descriptors import described
from shared.google_rpc import messages
from shared.google_rpc.messages import DESCRIPTORS

CLIENTS = ("google.api_core", "google.cloud.", "google.pubsub_v1", "google.auth", "proto.")
ADAPTERS = (
    "shared.store.firestore",
    "shared.bus.pubsub",
    "shared.secrets.secret_manager",
    "shared.objects.cloud_storage",
)


def test_what_is_known_of_the_messages_is_what_the_clients_say() -> None:
    known = gzip.decompress(DESCRIPTORS.read_bytes())
    assert known == described(), "run `python -m local.google.descriptors`"


def test_they_are_the_clients_messages_on_the_wire() -> None:
    ours = messages.CommitRequest(database="d")
    written = ours.writes.add()
    written.update.name = "n"
    written.update.fields["f"].map_value.fields["t"].timestamp_value.FromJsonString("2026-11-23T00:00:00Z")
    written.current_document.exists = False
    theirs = firestore.CommitRequest.meta.pb.FromString(ours.SerializeToString())
    assert str(theirs) == str(ours)
    assert messages.CommitRequest.FromString(theirs.SerializeToString()) == ours


def test_an_adapter_starts_without_the_clients() -> None:
    """Their import took a third of a start, and 10 MB."""
    said = subprocess.run(  # noqa: S603 - our own interpreter
        [sys.executable, "-c", f"import sys, {', '.join(ADAPTERS)}; print(*sys.modules)"],
        check=True,
        capture_output=True,
        text=True,
    ).stdout.split()
    assert "shared.google_rpc.messages" in said
    assert [name for name in said if name.startswith(CLIENTS)] == []
