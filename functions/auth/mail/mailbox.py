"""The port for sending mail, and two adapters: a folder with a file for each mail, and none configured."""

import asyncio
import hashlib
import os
import tempfile
from email.headerregistry import Address
from pathlib import Path
from typing import Protocol

from shared.event_door import Rejected
from shared.ids import is_id

LOCAL_SENDER = Address("Energent", "no-reply", "energent.example.com")
"""The sender of mails that do not leave the machine."""


class Mailer(Protocol):
    sender: Address
    """The address in `From`."""

    async def send(self, mail_id: str, recipient: str, message: bytes) -> None:
        """Hands over one message (RFC 5322). A second call with the same `mail_id` has the same message.

        Raises `Rejected` if it is refused for good, `Unavailable` if it should be tried again.
        """


class NoTransport:
    """For a deployment without a mail server: each mail's event goes to the quarantine, where an operator can
    replay it once there is a server.
    """

    sender = LOCAL_SENDER

    async def send(self, mail_id: str, recipient: str, message: bytes) -> None:
        raise Rejected(
            "no_mail_transport", "Nothing sends mail in this deployment. Replay this when it does."
        )


class MailboxFolder:
    """Writes `{folder}/{mail_id}.eml` atomically."""

    sender = LOCAL_SENDER

    def __init__(self, folder: Path) -> None:
        self._folder = folder

    async def send(self, mail_id: str, recipient: str, message: bytes) -> None:
        await asyncio.to_thread(self._write, mail_id, message)

    def _write(self, mail_id: str, message: bytes) -> None:
        self._folder.mkdir(parents=True, exist_ok=True, mode=0o700)
        handle, name = tempfile.mkstemp(dir=self._folder, suffix=".tmp")
        try:
            with os.fdopen(handle, "wb") as file:
                file.write(message)
                file.flush()
                os.fsync(file.fileno())
            os.replace(name, self._folder / f"{_file_name(mail_id)}.eml")
        except BaseException:
            Path(name).unlink(missing_ok=True)
            raise


def _file_name(mail_id: str) -> str:
    """A hash in place of an id that is not one of ours: that can be any text, also an unsafe file name."""
    return mail_id if is_id(mail_id) else hashlib.sha256(mail_id.encode(errors="surrogatepass")).hexdigest()
