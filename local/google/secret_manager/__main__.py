"""`python -m local.google.secret_manager --port P`: runs until it is told to end (SIGTERM, Ctrl-C).

It is up as soon as it takes connections; it speaks gRPC only, so nothing answers a browser.
"""

import argparse
import signal
from types import FrameType

from local.google.secret_manager.server import SecretManagerServer


def main() -> None:
    parser = argparse.ArgumentParser(prog="python -m local.google.secret_manager", description=__doc__)
    parser.add_argument("--port", type=int, required=True, help="on 127.0.0.1")
    server = SecretManagerServer(parser.parse_args().port)

    def stop(number: int, frame: FrameType | None) -> None:
        raise SystemExit

    signal.signal(signal.SIGTERM, stop)
    signal.signal(signal.SIGINT, stop)
    print(f"Secret Manager's stand-in listens on {server.host}", flush=True)
    try:
        server.wait()
    finally:
        server.stop()


if __name__ == "__main__":
    main()
