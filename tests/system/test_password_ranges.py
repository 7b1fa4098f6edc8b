"""Breached passwords, asked of a stand-in that answers as Pwned Passwords does, or not at all."""

import asyncio
import hashlib
import time
from collections.abc import AsyncIterator
from contextlib import suppress

import pytest

from functions.auth.sign_in import password_policy
from functions.auth.sign_in.password_policy import RANGE_SECONDS, PasswordRanges

pytestmark = pytest.mark.anyio

BREACHED = "correct horse battery staple"
DIGEST = hashlib.sha1(BREACHED.encode(), usedforsecurity=False).hexdigest().upper()


class StandIn:
    """Answers each request with `lines`; keeps what it was asked."""

    def __init__(self) -> None:
        self.asked: list[bytes] = []
        self.lines = [f"{DIGEST[5:]}:42"]
        self.status = "200 OK"
        self.headers = ""
        self.is_silent = False
        self.answered = asyncio.Event()

    async def answer(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self.asked.append(await reader.readuntil(b"\r\n\r\n"))
        if self.is_silent:
            await reader.read()  # until the client goes
        body = "\r\n".join(self.lines).encode()
        head = f"HTTP/1.1 {self.status}\r\n{self.headers}Content-Length: {len(body)}\r\n\r\n"
        writer.write(head.encode() + body)
        writer.close()
        with suppress(ConnectionError):
            await writer.wait_closed()
        self.answered.set()


@pytest.fixture
async def stand_in(anyio_backend: str) -> AsyncIterator[tuple[StandIn, PasswordRanges]]:
    answers = StandIn()
    server = await asyncio.start_server(answers.answer, "127.0.0.1", 0)
    port = server.sockets[0].getsockname()[1]
    yield answers, PasswordRanges(f"http://127.0.0.1:{port}")
    await answers.answered.wait()
    server.close()
    await server.wait_closed()


Both = tuple[StandIn, PasswordRanges]


async def test_five_digits_leave_and_nothing_else_of_the_password(stand_in: Both) -> None:
    answers, ranges = stand_in
    answers.lines = ["0" * 35 + ":3", f"{DIGEST[5:]}:42", "F" * 35 + ":1"]
    assert await ranges.holds(BREACHED)
    (request,) = answers.asked
    assert request.startswith(f"GET /range/{DIGEST[:5]} HTTP/1.1\r\n".encode())
    assert b"add-padding: true" in request.lower()
    assert DIGEST[5:].encode() not in request
    assert BREACHED.encode() not in request


@pytest.mark.parametrize("lines", [[], ["0" * 35 + ":3"], [f"{DIGEST[5:]}:0"], [f"{DIGEST[:35]}:9"]])
async def test_what_is_not_in_the_range_or_only_pads_it_is_not_breached(
    stand_in: Both, lines: list[str]
) -> None:
    answers, ranges = stand_in
    answers.lines = lines
    assert not await ranges.holds(BREACHED)


@pytest.mark.parametrize(
    ("status", "headers", "lines"),
    [
        ("500 Oops", "", [f"{DIGEST[5:]}:42"]),
        ("429 Slow down", "", [f"{DIGEST[5:]}:42"]),
        ("302 Found", "Location: http://127.0.0.1:1/\r\n", [f"{DIGEST[5:]}:42"]),
        ("200 OK", "", ["\u00e9"]),
        ("200 OK", "", ["0" * 1_000_001]),
        ("200 OK", "Content-Encoding: gzip\r\n", ["no gzip"]),
    ],
)
async def test_an_answer_that_is_none_refuses_nobody_and_is_logged(
    stand_in: Both, caplog: pytest.LogCaptureFixture, status: str, headers: str, lines: list[str]
) -> None:
    answers, ranges = stand_in
    answers.status, answers.headers, answers.lines = status, headers, lines
    assert not await ranges.holds(BREACHED)
    assert "breached passwords cannot be asked for" in caplog.text
    assert BREACHED not in caplog.text
    assert DIGEST[:5] not in caplog.text


async def test_nobody_waits_longer_than_a_second(stand_in: Both) -> None:
    answers, ranges = stand_in
    answers.is_silent = True
    started = time.monotonic()
    assert not await ranges.holds(BREACHED)
    assert time.monotonic() - started < RANGE_SECONDS + 1


async def test_where_nobody_listens_nobody_is_refused(
    caplog: pytest.LogCaptureFixture, monkeypatch: pytest.MonkeyPatch
) -> None:
    """However long a busy machine takes to say so."""
    monkeypatch.setattr(password_policy, "RANGE_SECONDS", 60.0)
    assert not await PasswordRanges("http://127.0.0.1:1").holds(BREACHED)
    assert "ConnectError" in caplog.text
