"""`python -m local.stripe`: the stand-in until SIGTERM or SIGINT."""

import argparse
import contextlib
import logging
import secrets as random
import socket
import sqlite3
import sys
from collections.abc import Sequence
from pathlib import Path
from urllib.parse import urlsplit

import msgspec
import uvicorn

from local.files import write_atomically
from local.stripe import server
from local.stripe.control import Secrets
from local.stripe.webhooks import Endpoint


class Unusable(Exception):
    """What was given cannot be used; the message says what to do."""


def secrets_in(file: Path) -> Secrets:
    """The secrets, made at random where the file does not exist yet. Raises `Unusable`."""
    try:
        text = file.read_bytes()
    except FileNotFoundError:
        made = Secrets(f"sk_test_{random.token_hex(24)}", (f"whsec_{random.token_hex(24)}",))
        file.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
        write_atomically(file, msgspec.json.encode(made).decode())
        return made
    try:
        return msgspec.json.decode(text, type=Secrets)
    except msgspec.DecodeError as failure:
        raise Unusable(
            f'{file} must hold {{"api_key": "sk_test_…", "webhook_secrets": ["whsec_…"]}}: {failure}'
        ) from failure


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="python -m local.stripe",
        description="A stand-in for Stripe's API on 127.0.0.1, for local runs and tests. It is ready when"
        " GET /health answers 200. What tests can ask is below /_control/: see local/stripe/control.py.",
    )
    add = parser.add_argument
    default = "default: %(default)s"
    add("--port", type=_port, default=12111, help=f"0: any free one; {default}")
    add(
        "--secrets-file",
        type=Path,
        required=True,
        metavar="FILE",
        help='{"api_key": "sk_test_…", "webhook_secrets": ["whsec_…"]}; made at random where it is missing',
    )
    add(
        "--webhook-url",
        type=_url,
        metavar="URL",
        help="where events are posted; default: nowhere",
    )
    add(
        "--data-dir",
        type=Path,
        metavar="DIR",
        help="keep the state there (stripe.db); default: in memory only",
    )
    add(
        "--advance-seconds",
        type=_seconds,
        default=3600,
        help="how long automatic collection (auto_advance) waits before it finalises a draft, and before it"
        f" charges an invoice; {default}, as at Stripe",
    )
    add(
        "--retry-base-seconds",
        type=_positive,
        default=0.5,
        help=f"a webhook's first pause, then doubled; {default}",
    )
    add("--retry-cap-seconds", type=_positive, default=60.0, help=f"its longest pause; {default}")
    return parser


def _port(text: str) -> int:
    if not text.isdigit() or int(text) > 65_535:
        raise argparse.ArgumentTypeError(f"{text!r} is no port from 0 to 65535")
    return int(text)


def _seconds(text: str) -> int:
    if not text.isdigit() or int(text) > 10**9:
        raise argparse.ArgumentTypeError(f"{text!r} is no whole number of seconds")
    return int(text)


def _positive(text: str) -> float:
    try:
        seconds = float(text)
    except ValueError:
        seconds = 0.0
    if not 0 < seconds < float("inf"):
        raise argparse.ArgumentTypeError(f"{text!r} is no number above 0")
    return seconds


def _url(text: str) -> str:
    parts = urlsplit(text)
    if parts.scheme not in ("http", "https") or not parts.hostname:
        raise argparse.ArgumentTypeError(f"{text!r} is no URL like http://127.0.0.1:8080/v1/webhooks/stripe")
    return text


def _prepared(options: argparse.Namespace) -> tuple[uvicorn.Server, socket.socket]:
    """The server and the socket for it. Raises `Unusable`."""
    try:
        secrets = secrets_in(options.secrets_file)
    except OSError as failure:
        raise Unusable(f"{options.secrets_file}: {failure.strerror}") from failure
    try:
        listening = server.listening(options.port)
    except OSError as failure:
        raise Unusable(f"port {options.port}: {failure.strerror}; choose another with --port") from failure
    endpoint = Endpoint(
        options.webhook_url or "",
        secrets.webhook_secrets,
        options.retry_base_seconds,
        options.retry_cap_seconds,
    )
    settings = server.Settings(secrets.api_key, endpoint, options.data_dir, options.advance_seconds)
    try:
        return server.server(settings, listening.getsockname()[1]), listening
    except (OSError, sqlite3.Error) as failure:
        listening.close()
        raise Unusable(f"{options.data_dir} cannot hold the state: {failure}") from failure


def main(arguments: Sequence[str] | None = None) -> int:
    options = _parser().parse_args(arguments)
    try:
        serving, listening = _prepared(options)
    except Unusable as refusal:
        print(f"stripe: {refusal}", file=sys.stderr)
        return 1
    logging.basicConfig(level=logging.INFO, format="%(message)s")
    logging.getLogger("httpx").setLevel(logging.WARNING)
    address = f"http://{server.HOST}:{listening.getsockname()[1]}"
    print(f"the stand-in for Stripe listens on {address}", flush=True)
    with contextlib.suppress(KeyboardInterrupt):
        serving.run([listening])
    return 0


if __name__ == "__main__":
    sys.exit(main())
