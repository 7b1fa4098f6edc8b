"""The door behind the real server, functions-framework with uvicorn, met with raw sockets."""

import json
import os
import socket
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from pathlib import Path

import msgspec
import pytest

POST = b"POST /v1/echo HTTP/1.1\r\nHost: x\r\n"
GET = b"GET /v1/echo HTTP/1.1\r\nHost: x\r\n"
ROOT = Path(__file__).resolve().parents[2]
FUNCTION = """
import functions_framework.aio
from starlette.requests import Request
from starlette.responses import Response as Answer

from shared import logs
from shared.entry import Entry
from shared.http import PUBLIC, Call, Response, Route, json_response, server
from shared.http.app import App
from shared.http.limits import Limits
from shared.ids import utc_now
from tests.door import OneToken

logs.configure()


async def seen(call: Call) -> Response:
    return json_response({"method": call.method, "path": call.path, "length": len(await call.body())})


async def address(call: Call) -> Response:
    return json_response({"address": call.client_ip})


async def build() -> App:
    return App(
        (
            Route("POST", "/v1/echo", seen, PUBLIC, max_body_bytes=65_536),
            Route("GET", "/v1/echo", seen, PUBLIC),
            Route("GET", "/v1/things/{thing_id}", seen, PUBLIC),
            Route("GET", "/v1/address", address, PUBLIC),
        ),
        verifier=OneToken(),
        event_door=None,
        serves_http=True,
        version="test",
        access_log=logs.AccessLog(utc_now),
        limits=Limits(body_seconds=0.3, trusted_hops=0),
    )


entry = Entry(build)
server.configure()


@functions_framework.aio.http
async def handler(request: Request) -> Answer:
    return await entry(request)
"""


class Server(msgspec.Struct):
    port: int
    output: Path

    def connect(self) -> socket.socket:
        return socket.create_connection(("127.0.0.1", self.port), timeout=10)

    def say(self, *pieces: bytes) -> bytes:
        """Sends the pieces, 20 ms apart, and returns what comes until the server closes or falls silent."""
        with self.connect() as connection:
            for piece in pieces:
                connection.sendall(piece)
                if len(pieces) > 1:
                    time.sleep(0.02)
            return received(connection)

    def request(self, line: str, *headers: str, body: bytes = b"") -> bytes:
        head = "\r\n".join([line, "Host: x", "Connection: close", *headers, "", ""])
        return self.say(head.encode("latin-1") + body)

    def lines(self) -> list[str]:
        return self.output.read_text().splitlines()


def received(connection: socket.socket, seconds: float = 2.0) -> bytes:
    connection.settimeout(seconds)
    answer = b""
    try:
        while chunk := connection.recv(65_536):
            answer += chunk
    except (TimeoutError, ConnectionResetError):
        pass
    return answer


def status(answer: bytes) -> int:
    return int(answer.split(b" ", 2)[1]) if answer.startswith(b"HTTP/1.1 ") else 0


def code(answer: bytes) -> str:
    return str(json.loads(answer.partition(b"\r\n\r\n")[2])["code"])


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    folder = tmp_path_factory.mktemp("function")
    (folder / "main.py").write_text(FUNCTION)
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    output = folder / "output"
    command = [
        str(Path(sys.executable).parent / "functions-framework"),
        *("--target", "handler", "--source", "main.py", "--host", "127.0.0.1"),
    ]
    with output.open("wb") as log:
        process = subprocess.Popen(  # noqa: S603 - our own command
            [*command, "--port", str(port)],
            cwd=folder,
            env={"PATH": os.environ["PATH"], "HOME": str(folder), "PYTHONPATH": str(ROOT)},
            stdout=log,
            stderr=subprocess.STDOUT,
        )
    try:
        made = Server(port, output)
        _await_listening(made, process)
        yield made
    finally:
        process.terminate()
        process.wait(20)


def _await_listening(server: Server, process: "subprocess.Popen[bytes]") -> None:
    deadline = time.monotonic() + 30
    while time.monotonic() < deadline and process.poll() is None:
        try:
            server.connect().close()
            return
        except OSError:
            time.sleep(0.05)
    pytest.fail(f"the server did not start:\n{server.output.read_text()}")


def test_fifty_first_requests_are_all_answered(server: Server) -> None:
    """It must stay the first test here: the app is built by it."""
    answers: list[bytes] = []
    threads = [
        threading.Thread(target=lambda: answers.append(server.request("GET /v1/echo HTTP/1.1")))
        for _ in range(50)
    ]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert [status(answer) for answer in answers] == [200] * 50


@pytest.mark.parametrize(
    "head",
    [
        POST + b"Content-Length: 4\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n",
        POST + b"Transfer-Encoding: chunked\r\nContent-Length: 4\r\n\r\n0\r\n\r\n",
        POST + b"Content-Length: 4\r\nContent-Length: 5\r\n\r\nabcde",
        POST + b"Content-Length: -1\r\n\r\n",
        POST + b"Content-Length: +1\r\n\r\na",
        POST + b"Transfer-Encoding: chunked\r\n\r\nzz\r\n",
        GET + b"X-A: a\0b\r\n\r\n",
        GET + b"X A: b\r\n\r\n",
        GET + b"X-A : b\r\n\r\n",
        b"FOO /v1/echo HTTP/1.1\r\nHost: x\r\n\r\n",
        b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03 garbage\r\n\r\n",
        b"hello\r\n\r\n",
    ],
)
def test_a_message_that_two_servers_could_read_differently_is_refused(server: Server, head: bytes) -> None:
    """H14."""
    answer = server.say(head)
    assert status(answer) == 400
    assert answer.count(b"HTTP/1.1 ") == 1


@pytest.mark.parametrize(
    "head",
    [
        b"GET /v1/echo HTTP/1.1\nHost: x\n\n",
        GET + b"X-A: a\r\n b\r\n\r\n",
        b"GET /v1/echo\r\n\r\n",
        b"GET /v1/echo HTTP/1.1\r\n\r\n",
    ],
)
def test_an_odd_message_has_one_answer_and_is_no_crash(server: Server, head: bytes) -> None:
    """H14: bare LF, obs-fold, HTTP/0.9, no Host."""
    answer = server.say(head)
    assert answer.count(b"HTTP/1.") <= 1
    assert status(answer) < 500


@pytest.mark.parametrize("method", ["TRACE", "PROPFIND", "PUT", "DELETE", "OPTIONS"])
def test_another_method_is_405_with_allow(server: Server, method: str) -> None:
    """H1: what the framework refuses by itself, and what comes to us."""
    answer = server.request(f"{method} /v1/echo HTTP/1.1")
    assert status(answer) == 405
    assert b"\r\nallow: " in answer.lower()


@pytest.mark.parametrize(
    "path",
    ["/v1/things/a%2Fb", "/v1/things/%00", "/v1/things/%ff", "//v1/echo", "/v1/x/../echo", "/v1/echo/"],
)
def test_a_path_is_taken_as_it_was_sent(server: Server, path: str) -> None:
    """H3."""
    answer = server.request(f"GET {path} HTTP/1.1")
    assert (status(answer), code(answer)) == (404, "not_found")


@pytest.mark.parametrize(
    ("headers", "expected"),
    [
        (["Authorization: Bearer a", "Authorization: Bearer b"], 401),
        (["X-Forwarded-Authorization: a", "x-forwarded-authorization: a"], 401),
        (["X_Forwarded_Authorization: Bearer a"], 400),
        (["Content-Type: a", "Content-Type: b"], 400),
        ([f"X-{n}: 1" for n in range(101)], 431),
        (["X-Long: " + "a" * 9000], 431),
        (["X-Long: " + "a" * 200_000], 431),
        (["X-Request-Id: a\tb"], 200),
    ],
)
def test_headers_are_checked_by_us_where_the_server_does_not(
    server: Server, headers: list[str], expected: int
) -> None:
    """H13 J33 T15."""
    assert status(server.request("GET /v1/echo HTTP/1.1", *headers)) == expected


@pytest.mark.parametrize(("length", "expected"), [(9_000, 414), (60_000, 414), (1_000_000, 400)])
def test_a_long_address_is_refused(server: Server, length: int, expected: int) -> None:
    """H12: by us, and past 64 kB by the server's parser."""
    assert status(server.request(f"GET /{'a' * length} HTTP/1.1")) == expected


def test_once_built_the_app_is_asked_without_a_detour(server: Server) -> None:
    """These two the framework answers itself, and not as we do."""
    for path in ("/robots.txt", "/favicon.ico"):
        assert code(server.request(f"GET {path} HTTP/1.1")) == "not_found"


def test_the_server_believes_nobody_about_his_address(server: Server) -> None:
    """L7: whom to believe is ours to decide, by `trusted_hops`: here nobody, not even a neighbour."""
    answer = server.request("GET /v1/address HTTP/1.1", "X-Forwarded-For: 203.0.113.9")
    assert b'{"address":"127.0.0.1"}' in answer


def test_an_answer_comes_in_one_packet(server: Server) -> None:
    with server.connect() as connection:
        connection.settimeout(5)
        for _ in range(200):
            connection.sendall(GET + b"\r\n")
            assert connection.recv(65_536).endswith(b'"length":0}')


def test_head_has_headers_and_no_body(server: Server) -> None:
    head, _, body = server.request("HEAD /v1/echo HTTP/1.1").partition(b"\r\n\r\n")
    assert status(head) == 200
    assert b"content-length: 4" in head
    assert body == b""


def test_a_connection_serves_on_after_a_refusal(server: Server) -> None:
    request = b"POST /v1/nothing HTTP/1.1\r\nHost: x\r\nContent-Length: 5\r\n\r\nabcde"
    answer = server.say(request + GET + b"Connection: close\r\n\r\n")
    assert answer.count(b"HTTP/1.1 404 ") == 1
    assert answer.count(b"HTTP/1.1 200 ") == 1


def test_chunks_over_the_limit_are_413_and_the_end(server: Server) -> None:
    """H10."""
    chunk = b"8000\r\n" + b"a" * 0x8000 + b"\r\n"
    answer = server.say(
        POST + b"Transfer-Encoding: chunked\r\n\r\n",
        chunk,
        chunk,
        b"1\r\na\r\n",
    )
    assert (status(answer), code(answer)) == (413, "body_too_large")
    assert b"connection: close" in answer


@pytest.mark.parametrize("path", ["/v1/echo", "/v1/nothing"])
def test_a_huge_body_is_not_drained(server: Server, path: str) -> None:
    """H10: the server stops reading long before 64 MB have gone."""
    size = 64_000_000
    sent = 0
    with server.connect() as connection:
        connection.settimeout(5)
        connection.sendall(f"POST {path} HTTP/1.1\r\nHost: x\r\nContent-Length: {size}\r\n\r\n".encode())
        try:
            while sent < size:
                sent += connection.send(b"a" * 65_536)
        except OSError:
            pass
    assert sent < 32_000_000


@pytest.mark.parametrize(("path", "refusal"), [("/v1/echo", 413), ("/v1/nothing", 404)])
def test_whoever_still_sends_sees_the_answer(server: Server, path: str, refusal: int) -> None:
    """H10: a connection that is closed on a gateway while it sends becomes a 503 to its client."""
    size = 390_000
    with server.connect() as connection:
        connection.sendall(f"POST {path} HTTP/1.1\r\nHost: x\r\nContent-Length: {size}\r\n\r\n".encode())
        for _ in range(10):
            time.sleep(0.02)
            connection.sendall(b"a" * (size // 10))
        answer = b""
        connection.settimeout(1)
        while chunk := connection.recv(65_536):
            answer += chunk
    assert status(answer) == refusal
    assert b"connection: close" in answer


def test_a_slow_body_is_given_up(server: Server) -> None:
    """H11."""
    started = time.monotonic()
    answer = server.say(POST + b"Content-Length: 10\r\n\r\n", b"a", b"b")
    assert (status(answer), code(answer)) == (400, "body_timeout")
    assert b"connection: close" in answer
    assert time.monotonic() - started < 5


def test_expect_100_continue_is_honoured(server: Server) -> None:
    head = POST + b"Content-Length: 3\r\nExpect: 100-continue\r\n"
    answer = server.say(head + b"Connection: close\r\n\r\n", b"abc")
    assert answer.startswith(b"HTTP/1.1 100 ")
    assert b'"length":3' in answer


def test_clients_that_hang_up_leave_the_server_well_and_the_log_clean(server: Server) -> None:
    before = len(server.lines())
    for _ in range(20):
        with server.connect() as connection:
            connection.sendall(POST + b"Content-Length: 1000\r\n\r\nabc")
    deadline = time.monotonic() + 10
    while len(server.lines()) < before + 20 and time.monotonic() < deadline:
        time.sleep(0.05)
    assert status(server.request("GET /v1/echo HTTP/1.1")) == 200
    assert "Traceback" not in server.output.read_text()


def test_the_output_is_one_json_object_a_line(server: Server) -> None:
    """H16 G1: it must stay the last test here."""
    lines = [json.loads(line) for line in server.lines()]
    assert len(lines) > 80
    assert {line["severity"] for line in lines} == {"INFO"}
    assert all("httpRequest" in line for line in lines)
