"""A webhook endpoint in a thread: it keeps what came and answers what it is told."""

import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

import stripe

SECRET = "whsec_first"


class Received:
    """One delivery: its body as it came, and its signature header."""

    def __init__(self, body: bytes, signature: str) -> None:
        self.body = body
        self.signature = signature

    def event(self, secret: str = SECRET) -> stripe.Event:
        """As Stripe's own package reads it, the signature checked."""
        event: stripe.Event = stripe.Webhook.construct_event(self.body, self.signature, secret)
        return event


class Receiver:
    """`answers` are given in their order, then 200."""

    def __init__(self, url: str) -> None:
        self.url = url
        self.received: list[Received] = []
        self.answers: list[int] = []

    @property
    def types(self) -> list[str]:
        return [each.event().type for each in self.received]

    def until(self, reached: Callable[[], bool], seconds: float = 5.0) -> None:
        end = time.monotonic() + seconds
        while not reached():
            assert time.monotonic() < end, self.types
            time.sleep(0.005)


@contextmanager
def receiving() -> Iterator[Receiver]:
    class Handler(BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            body = self.rfile.read(int(self.headers["content-length"]))
            status = receiver.answers.pop(0) if receiver.answers else 200
            receiver.received.append(Received(body, self.headers["stripe-signature"]))
            self.send_response(status)
            self.send_header("content-length", "0")
            self.end_headers()

        def log_message(self, *arguments: object) -> None:
            """Quiet."""

    class Server(ThreadingHTTPServer):
        request_queue_size = 64

    server = Server(("127.0.0.1", 0), Handler)
    receiver = Receiver(f"http://127.0.0.1:{server.server_port}/hook")
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01})
    thread.start()
    try:
        yield receiver
    finally:
        server.shutdown()
        server.server_close()
        thread.join()
