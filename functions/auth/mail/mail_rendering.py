"""Renders mails (RFC 5322) as text and HTML. The same letter and id always give the same bytes."""

import hashlib
import html
from datetime import datetime
from email import message_from_bytes
from email.headerregistry import Address
from email.message import EmailMessage
from email.policy import SMTPUTF8

import msgspec

from functions.auth.mail.mail_templates import TEMPLATES, TemplateName
from shared.event_door import Rejected

_HEADERS = ["Subject", "From", "To", "Date", "Message-ID", "MIME-Version", "Content-Type", "Auto-Submitted"]


class Letter(msgspec.Struct, frozen=True):
    """`words` are the values of the template's placeholders, `at` is the mail's `Date`."""

    template: TemplateName
    to: str
    at: datetime
    words: dict[str, str]


def render(letter: Letter, mail_id: str, sender: Address) -> bytes:
    """The message. Of what users chose, only the address is in the headers. `Message-ID` is derived from
    `mail_id`.

    Raises `Rejected` `unsafe_mail` if the headers, parsed again, differ from what they were set to.
    """
    template = TEMPLATES[letter.template]
    name = hashlib.sha256(mail_id.encode(errors="surrogatepass")).hexdigest()[:32]
    local, _, domain = letter.to.rpartition("@")
    mail = EmailMessage(policy=SMTPUTF8)
    mail["Subject"] = template.subject
    mail["From"] = sender
    mail["To"] = Address(username=local, domain=domain)
    mail["Date"] = letter.at
    mail["Message-ID"] = f"<{name}@{sender.domain}>"
    mail.set_content(template.text.format(**letter.words), cte="8bit")
    escaped = {word: html.escape(text) for word, text in letter.words.items()}
    page = f'<!doctype html>\n<html lang="en"><body>\n{template.page.format(**escaped)}</body></html>\n'
    mail.add_alternative(page, subtype="html", cte="8bit")
    mail.set_boundary(f"=={name[:16]}")
    mail["Auto-Submitted"] = "auto-generated"
    message = mail.as_bytes()
    _require_meant(message, {"Subject": template.subject, "From": str(sender), "To": letter.to})
    return message


def _require_meant(message: bytes, meant: dict[str, str]) -> None:
    """Parses the message's headers again, undecoded: `email` decodes encoded words in what it is given."""
    written = list(message_from_bytes(message, policy=SMTPUTF8).raw_items())
    headers = {name: value.encode("ascii", "surrogateescape").decode() for name, value in written}
    if [name for name, _ in written] != _HEADERS or not meant.items() <= headers.items():
        raise Rejected("unsafe_mail", "The header of the mail would say something else.")
