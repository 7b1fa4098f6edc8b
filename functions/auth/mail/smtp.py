"""Mail by SMTP (RFC 5321): one connection for each message, in a thread, always over verified TLS."""

import asyncio
import re
import smtplib
import ssl
from contextlib import suppress
from email.headerregistry import Address

from shared.errors import Unavailable
from shared.event_door import Rejected
from shared.secrets import Secrets
from shared.smtp_settings import Smtp

TIMEOUT_SECONDS = 6.0
"""The time limit for each reply of the server. `DEADLINE_SECONDS`, for the whole delivery, is shorter than
the time limit of an event handler.
"""
DEADLINE_SECONDS = 20.0

_PLAIN = re.compile(r"[^\x00-\x20\x7f<>]+")


class SmtpMailer:
    """Delivers at least once: if the server's reply is lost, the message is sent again with the same
    `Message-ID`, by which most mail servers drop the duplicate.
    """

    def __init__(self, settings: Smtp, secrets: Secrets, trusted: ssl.SSLContext | None = None) -> None:
        """`trusted` holds the accepted certificate authorities; None for those of the system."""
        self.sender = Address("Energent", addr_spec=settings.sender)
        self._settings = settings
        self._secrets = secrets
        self._trusted = trusted

    async def send(self, mail_id: str, recipient: str, message: bytes) -> None:
        """Raises `Rejected` `mail_refused` if the server refuses recipient or message with a 5xx, `Rejected`
        `unsafe_mail` for an address that could inject SMTP commands, `Unavailable` for other failures.
        """
        if not _PLAIN.fullmatch(recipient):
            raise Rejected("unsafe_mail", "The recipient would say something else to the server.")
        login = self._settings.password
        password = await self._secrets.access(login.name, login.version) if login else b""
        try:
            async with asyncio.timeout(DEADLINE_SECONDS):
                await asyncio.to_thread(self._hand_over, recipient, message, password.decode().strip())
        except smtplib.SMTPRecipientsRefused as refused:
            raise _refusal(next(iter(refused.recipients.values()))[0]) from None
        except smtplib.SMTPDataError as refused:
            raise _refusal(refused.smtp_code) from None
        except (smtplib.SMTPException, OSError) as outage:
            raise _unavailable(type(outage).__name__) from None

    def _hand_over(self, recipient: str, message: bytes, password: str) -> None:
        trusted = self._trusted or ssl.create_default_context()
        server = _connection(self._settings, trusted)
        try:
            self._say(server, trusted, recipient, message, password)
        finally:
            with suppress(smtplib.SMTPException, OSError):  # the message is accepted or refused by now
                server.quit()
            server.close()

    def _say(
        self,
        server: smtplib.SMTP,
        trusted: ssl.SSLContext,
        recipient: str,
        message: bytes,
        password: str,
    ) -> None:
        if self._settings.tls == "starttls":
            server.starttls(context=trusted)
        if self._settings.user:
            server.login(self._settings.user, password)
        server.ehlo_or_helo_if_needed()
        if not recipient.isascii() and not server.has_extn("smtputf8"):
            raise Rejected("mail_refused", "The mail server takes no address beyond ASCII.")
        options = ["BODY=8BITMIME"] if server.has_extn("8bitmime") else []
        options += [] if recipient.isascii() else ["SMTPUTF8"]
        server.sendmail(self._settings.sender, [recipient], message, mail_options=options)


def _connection(settings: Smtp, trusted: ssl.SSLContext) -> smtplib.SMTP:
    if settings.tls == "implicit":
        return smtplib.SMTP_SSL(settings.host, settings.port, timeout=TIMEOUT_SECONDS, context=trusted)
    return smtplib.SMTP(settings.host, settings.port, timeout=TIMEOUT_SECONDS)


def _refusal(code: int) -> Exception:
    """The error for a reply code: permanent for 5xx, else transient (RFC 5321 §4.2.1)."""
    if 500 <= code < 600:
        return Rejected("mail_refused", f"The mail server refused it with {code}.")
    return _unavailable(str(code))


def _unavailable(why: str) -> Unavailable:
    return Unavailable("mail_unavailable", f"The mail server did not take it: {why}.", retry_after_seconds=10)
