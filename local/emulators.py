"""Google's Firestore and Pub/Sub emulators, as the installed Cloud SDK has them."""

import os
import shutil
import subprocess
from functools import cache
from pathlib import Path

import msgspec

from local.ports import HOST

JVM_FLAGS = "-Xmx512m -XX:+UseSerialGC -XX:TieredStopAtLevel=1"
"""Starts in 1.4 s and stays below 250 MB, where the default takes a quarter of the machine's memory."""

_ASK_SECONDS = 30.0
_INSTALL = "gcloud components install cloud-firestore-emulator pubsub-emulator"


class Missing(Exception):
    """The emulators cannot be used here; the message says what to install."""


class Emulators(msgspec.Struct, frozen=True):
    """The two programs."""

    firestore_program: Path
    pubsub_program: Path

    def firestore(self, port: int) -> tuple[str, ...]:
        """The command; answers GET / with 200 when it is up. Keeps everything in memory."""
        return (str(self.firestore_program), "start", f"--host={HOST}", f"--port={port}")

    def pubsub(self, port: int) -> tuple[str, ...]:
        """The command; answers GET / with 200 when it is up. Keeps everything in memory."""
        return (str(self.pubsub_program), f"--host={HOST}", f"--port={port}")


@cache
def find() -> Emulators:
    """Through `gcloud` on the PATH. Raises `Missing`."""
    if shutil.which("java") is None and "JAVA_HOME" not in os.environ:
        raise Missing("Google's emulators need Java 17 or newer, and there is no java on the PATH")
    platform = _sdk_root() / "platform"
    found = Emulators(
        platform / "cloud-firestore-emulator" / "cloud_firestore_emulator",
        platform / "pubsub-emulator" / "bin" / "cloud-pubsub-emulator",
    )
    for program in (found.firestore_program, found.pubsub_program):
        if not program.exists():
            raise Missing(f"{program.name} is not in the Cloud SDK: {_INSTALL}")
    return found


def environment() -> dict[str, str]:
    """What the emulators need of the caller's environment."""
    kept = {name: os.environ[name] for name in ("PATH", "JAVA_HOME", "HOME") if name in os.environ}
    return {**kept, "JAVA_TOOL_OPTIONS": JVM_FLAGS}


def _sdk_root() -> Path:
    gcloud = shutil.which("gcloud")
    if gcloud is None:
        raise Missing(f"there is no gcloud on the PATH: install the Google Cloud SDK, then {_INSTALL}")
    try:
        asked = subprocess.run(  # noqa: S603 - found on the PATH, asked for a folder
            [gcloud, "info", "--format=value(installation.sdk_root)"],
            capture_output=True,
            text=True,
            check=True,
            timeout=_ASK_SECONDS,
        )
    except (OSError, subprocess.SubprocessError) as failure:
        raise Missing(f"gcloud does not say where it is installed: {failure}") from failure
    return Path(asked.stdout.strip())
