"""Where mails go: a port, a folder that holds each mail as one file, and nowhere yet."""

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
"""Who writes where nothing leaves the machine."""


class Mailer(Protocol):
    sender: Address
    """What `From` says."""

    async def send(self, mail_id: str, recipient: str, message: bytes) -> None:
        """Hands over one message (RFC 5322). The same `mail_id` again is the same mail.

        Raises `Rejected` for one that is refused for good, `Unavailable` for one to be sent again.
        """


class NoTransport:
    """Where nothing sends mail: each is set aside, to be replayed by an operator once something does."""

    sender = LOCAL_SENDER

    async def send(self, mail_id: str, recipient: str, message: bytes) -> None:
        raise Rejected(
            "no_mail_transport", "Nothing sends mail in this deployment. Replay this when it does."
        )


class MailboxFolder:
    """`{folder}/{mail_id}.eml`, whole or not at all."""

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
    """Ids of others can be any text, which is no file name."""
    return mail_id if is_id(mail_id) else hashlib.sha256(mail_id.encode(errors="surrogatepass")).hexdigest()
