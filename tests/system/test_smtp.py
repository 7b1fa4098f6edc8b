"""Mail by SMTP, to a server that speaks it as RFC 5321 has it, over TLS, and refuses what it is told to."""

import asyncio
import ssl
from contextlib import suppress
from datetime import UTC, datetime, timedelta
from email.headerregistry import Address
from pathlib import Path
from typing import Literal

import msgspec
import pytest
from cryptography import x509
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.hashes import SHA256
from cryptography.hazmat.primitives.serialization import Encoding, NoEncryption, PrivateFormat

from functions.auth.mail import smtp
from functions.auth.mail.smtp import SmtpMailer
from shared.errors import Unavailable
from shared.event_door import Rejected
from shared.secrets.files import FileSecrets
from shared.settings import SecretRef
from shared.smtp_settings import Smtp
from tests.tokens import Time

pytestmark = pytest.mark.anyio

MESSAGE = "Subject: Hi\r\nFrom: a@b.test\r\nTo: ada@acme.test\r\n\r\n.dot\r\nGr\u00fc\u00dfe\r\n".encode()
PASSWORD = "pass of the mail server"


class Server:
    """Keeps what it is handed. `answers`: by command, what is said instead of yes."""

    def __init__(self, folder: Path) -> None:
        self.server_side, self.client_side = _tls(folder)
        self.answers: dict[str, str] = {}
        self.extensions = ["8BITMIME", "SMTPUTF8", "AUTH PLAIN"]
        self.starts_tls = True
        self.commands: list[str] = []
        self.mails: list[bytes] = []
        self.in_the_clear: list[str] = []
        self.encrypted = False

    async def serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        with suppress(ConnectionError, ssl.SSLError, asyncio.IncompleteReadError):
            await self._converse(reader, writer)
        writer.close()

    async def _converse(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await self._say(writer, self.answers.get("CONNECT", "220 mail.test"))
        while line := (await reader.readline()).decode().strip():
            verb = line.split()[0].upper().partition(":")[0]
            self.commands.append(line)
            if not self.encrypted:
                self.in_the_clear.append(verb)
            if verb in self.answers:
                await self._say(writer, self.answers[verb])
            elif verb == "EHLO":
                offers = ["mail.test", *self.extensions, *(["STARTTLS"] if self.starts_tls else [])]
                await self._say(writer, "\r\n".join(f"250-{offer}" for offer in offers) + "\r\n250 SIZE")
            elif verb == "STARTTLS":
                await self._say(writer, "220 go")
                await writer.start_tls(self.server_side)
                self.encrypted = True
            elif verb == "DATA":
                await self._say(writer, "354 go")
                self.mails.append(await reader.readuntil(b"\r\n.\r\n"))
                await self._say(writer, self.answers.get("END", "250 kept"))
            elif verb == "QUIT":
                await self._say(writer, "500 what?")
            else:
                await self._say(writer, "235 in" if verb == "AUTH" else "250 yes")

    async def _say(self, writer: asyncio.StreamWriter, text: str) -> None:
        writer.write(text.encode() + b"\r\n")
        await writer.drain()


@pytest.fixture
def server(tmp_path: Path) -> Server:
    return Server(tmp_path)


async def send(
    server: Server,
    tmp_path: Path,
    recipient: str = "ada@acme.test",
    *,
    tls: Literal["starttls", "implicit"] = "starttls",
    trusted: ssl.SSLContext | None = None,
) -> None:
    secrets = FileSecrets(tmp_path / "secrets", Time())
    version = await secrets.add("smtp-password", PASSWORD.encode())
    implicit = tls == "implicit"
    server.encrypted = implicit
    context = server.server_side if implicit else None
    running = await asyncio.start_server(server.serve, "127.0.0.1", 0, ssl=context)
    async with running:
        port = running.sockets[0].getsockname()[1]
        login = SecretRef("smtp-password", version)
        settings = Smtp("localhost", port, tls, "energent", login, "no-reply@energent.test")
        mailer = SmtpMailer(settings, secrets, trusted or server.client_side)
        assert mailer.sender == Address("Energent", "no-reply", "energent.test")
        await mailer.send("evt_1", recipient, MESSAGE)


@pytest.mark.parametrize("tls", ["starttls", "implicit"])
async def test_a_mail_is_handed_over_encrypted_and_as_it_is(
    server: Server, tmp_path: Path, tls: Literal["starttls", "implicit"]
) -> None:
    await send(server, tmp_path, tls=tls)
    assert server.mails == [MESSAGE.replace(b"\r\n.dot", b"\r\n..dot") + b".\r\n"]
    assert f"mail FROM:<no-reply@energent.test> size={len(MESSAGE)} BODY=8BITMIME" in server.commands
    assert "rcpt TO:<ada@acme.test>" in server.commands
    assert set(server.in_the_clear) <= {"EHLO", "STARTTLS", "QUIT"}


async def test_an_address_beyond_ascii_needs_a_server_that_takes_it(server: Server, tmp_path: Path) -> None:
    await send(server, tmp_path, "\u044f\u043d@acme.test")
    assert any("\u044f\u043d@acme.test" in command for command in server.commands)
    server.extensions.remove("SMTPUTF8")
    with pytest.raises(Rejected, match="mail_refused"):
        await send(server, tmp_path, "\u044f\u043d@acme.test")


@pytest.mark.parametrize(("where", "code"), [("RCPT", 550), ("RCPT", 553), ("END", 554), ("DATA", 552)])
async def test_what_is_refused_for_good_is_set_aside(
    server: Server, tmp_path: Path, where: str, code: int
) -> None:
    server.answers[where] = f"{code} no"
    with pytest.raises(Rejected) as refused:
        await send(server, tmp_path)
    assert refused.value.reason == "mail_refused"
    assert "ada" not in str(refused.value)


@pytest.mark.parametrize(
    ("where", "answer"),
    [
        ("RCPT", "451 later"),
        ("END", "452 later"),
        ("DATA", "421 later"),
        ("CONNECT", "554 not today"),
        ("MAIL", "530 who are you"),
        ("AUTH", "535 wrong"),
        ("STARTTLS", "454 not now"),
        ("EHLO", "nonsense"),
    ],
)
async def test_what_is_refused_for_now_or_is_wrong_with_us_comes_again(
    server: Server, tmp_path: Path, where: str, answer: str
) -> None:
    server.answers[where] = answer
    with pytest.raises(Unavailable) as outage:
        await send(server, tmp_path)
    assert outage.value.code == "mail_unavailable"
    assert PASSWORD not in str(outage.value)


async def test_nothing_is_said_to_a_server_that_does_not_encrypt_or_cannot_be_trusted(
    server: Server, tmp_path: Path
) -> None:
    server.starts_tls = False
    with pytest.raises(Unavailable):
        await send(server, tmp_path)
    server.starts_tls = True
    with pytest.raises(Unavailable):
        await send(server, tmp_path, trusted=ssl.create_default_context())
    with pytest.raises(Unavailable):
        await send(server, tmp_path, tls="implicit", trusted=ssl.create_default_context())
    assert set(server.in_the_clear) <= {"EHLO", "STARTTLS", "QUIT"}
    assert not server.mails


async def test_a_server_that_is_not_there_or_silent_is_an_outage(
    server: Server, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    settings = Smtp("127.0.0.1", 9, "starttls", "", None, "no-reply@energent.test")
    secrets = FileSecrets(tmp_path, Time())
    with pytest.raises(Unavailable):
        await SmtpMailer(settings, secrets).send("evt_1", "ada@acme.test", MESSAGE)
    monkeypatch.setattr(smtp, "TIMEOUT_SECONDS", 0.2)

    async def silent(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await reader.read()
        writer.close()

    running = await asyncio.start_server(silent, "127.0.0.1", 0)
    async with running:
        asked = msgspec.structs.replace(settings, port=running.sockets[0].getsockname()[1])
        with pytest.raises(Unavailable):
            await SmtpMailer(asked, secrets).send("evt_1", "ada@acme.test", MESSAGE)


@pytest.mark.parametrize(
    "recipient", ["a@b.test>\r\nDATA", "a@b.test\n", "a b@c.test", "<a@b.test>", "", "a\0@b"]
)
async def test_no_recipient_is_a_command(server: Server, tmp_path: Path, recipient: str) -> None:
    with pytest.raises(Rejected) as refused:
        await send(server, tmp_path, recipient)
    assert refused.value.reason == "unsafe_mail"
    assert server.commands == []


def _tls(folder: Path) -> tuple[ssl.SSLContext, ssl.SSLContext]:
    """A server's context with a certificate of its own, and a client's that trusts it alone."""
    key = ec.generate_private_key(ec.SECP256R1())
    name = x509.Name([x509.NameAttribute(x509.NameOID.COMMON_NAME, "localhost")])
    now = datetime.now(UTC)
    certificate = (
        x509.CertificateBuilder()
        .subject_name(name)
        .issuer_name(name)
        .public_key(key.public_key())
        .serial_number(1)
        .not_valid_before(now - timedelta(days=1))
        .not_valid_after(now + timedelta(days=1))
        .add_extension(x509.SubjectAlternativeName([x509.DNSName("localhost")]), critical=False)
        .add_extension(x509.BasicConstraints(ca=True, path_length=None), critical=True)
        .sign(key, SHA256())
    )
    pem = folder / "server.pem"
    private = key.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption())
    pem.write_bytes(private + certificate.public_bytes(Encoding.PEM))
    serving = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    serving.load_cert_chain(pem)
    asking = ssl.create_default_context(cadata=certificate.public_bytes(Encoding.PEM).decode())
    return serving, asking
