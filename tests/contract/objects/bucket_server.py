"""Cloud Storage's JSON API for one bucket, as far as the adapter uses it, with the preconditions that
`gcp-storage-emulator` ignores, and with what may go wrong on the way.
"""

import base64
import json
import threading
import time
from collections import Counter
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from urllib.parse import parse_qs, unquote, urlsplit

import google_crc32c
import msgspec

BUCKET = "energent-test-public"
UPLOAD, DESCRIBE, DOWNLOAD = "upload", "describe", "download"


Answer = tuple[int, dict[str, str], bytes]
"""Status, headers, body."""


class Kept(msgspec.Struct):
    """An object. `described` is what the upload said about it."""

    data: bytes
    generation: int
    described: dict[str, str]


class BucketServer:
    """Faults go by the kind of call. `refused`: the next calls do nothing and are answered with these
    statuses; `lost`: they do their work first; `damaged`: so many have a bit turned on the way.
    `drip_seconds`: between any two bytes of an answer.
    """

    def __init__(self, port: int = 0) -> None:
        self.objects: dict[str, Kept] = {}
        self.calls: list[str] = []
        self.refused: dict[str, list[int]] = {}
        self.lost: dict[str, list[int]] = {}
        self.damaged: Counter[str] = Counter()
        self.replaced_before_download: list[tuple[str, bytes]] = []
        self.drip_seconds = 0.0
        self._generation = 1_700_000_000_000_000
        self._kinds = {UPLOAD: self._upload, DESCRIBE: self._describe, DOWNLOAD: self._download}
        self._turn = threading.Lock()
        self._server = ThreadingHTTPServer(("127.0.0.1", port), self._handler())
        self._server.daemon_threads = True
        self._thread = threading.Thread(target=self._server.serve_forever, kwargs={"poll_interval": 0.01})
        self._thread.start()

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self._server.server_address[1]}"

    def stop(self) -> None:
        self._server.shutdown()
        self._thread.join()
        self._server.server_close()

    def put(self, name: str, data: bytes, described: dict[str, str]) -> Kept:
        self._generation += 1
        self.objects[name] = Kept(data, self._generation, described)
        return self.objects[name]

    def answer(self, request: "_Request") -> Answer:
        with self._turn:
            self.calls.append(request.kind)
            if self.refused.get(request.kind):
                return _error(self.refused[request.kind].pop(0), "by request of a test")
            if request.bucket != BUCKET:
                return _error(404, "The specified bucket does not exist.")
            answer = self._kinds[request.kind](request)
            if self.lost.get(request.kind):
                return _error(self.lost[request.kind].pop(0), "the reply is lost")
            return answer

    def _upload(self, request: "_Request") -> Answer:
        described, data = _parts(request)
        if self.damaged[UPLOAD]:
            self.damaged[UPLOAD] -= 1
            data = _damaged(data)
        if described["crc32c"] != checksum(data):
            return _error(400, f"Provided CRC32C does not match calculated CRC32C {checksum(data)}.")
        found = self.objects.get(described["name"])
        if int(request.query["ifGenerationMatch"]) != (found.generation if found else 0):
            return _error(412, "At least one of the pre-conditions you specified did not hold.")
        return self._resource(described["name"], self.put(described["name"], data, described))

    def _describe(self, request: "_Request") -> Answer:
        found = self.objects.get(request.name)
        if found is None:
            return _error(404, f"No such object: {BUCKET}/{request.name}")
        return self._resource(request.name, found)

    def _download(self, request: "_Request") -> Answer:
        if self.replaced_before_download:
            name, data = self.replaced_before_download.pop(0)
            self.put(name, data, self.objects[name].described)
        found = self.objects.get(request.name)
        if found is None or int(request.query["generation"]) != found.generation:
            return _error(404, f"No such object: {BUCKET}/{request.name}")
        headers = {"X-Goog-Hash": f"crc32c={checksum(found.data)}"}
        data = _damaged(found.data) if self.damaged[DOWNLOAD] else found.data
        self.damaged[DOWNLOAD] -= bool(self.damaged[DOWNLOAD])
        return 200, headers, data

    def _resource(self, name: str, kept: Kept) -> Answer:
        resource = {
            "name": name,
            "bucket": BUCKET,
            "generation": str(kept.generation),
            "contentType": kept.described["contentType"],
            "crc32c": checksum(kept.data),
            "size": str(len(kept.data)),
            "mediaLink": f"{self.url}/download/storage/v1/b/{BUCKET}/o/{name.replace('/', '%2F')}"
            f"?generation={kept.generation}&alt=media",
        }
        return 200, {"Content-Type": "application/json"}, json.dumps(resource).encode()

    def _handler(self) -> type[BaseHTTPRequestHandler]:
        server = self

        class Handler(BaseHTTPRequestHandler):
            protocol_version = "HTTP/1.1"
            wbufsize = -1

            def do_GET(self) -> None:
                self._respond()

            def do_POST(self) -> None:
                self._respond()

            def log_message(self, format: str, *args: object) -> None:
                pass

            def _respond(self) -> None:
                body = self.rfile.read(int(self.headers.get("Content-Length", 0)))
                status, headers, data = server.answer(
                    _Request(self.path, self.headers.get("Content-Type", ""), body)
                )
                self.send_response(status)
                for name, value in (headers | {"Content-Length": str(len(data))}).items():
                    self.send_header(name, value)
                self.end_headers()
                for at in range(len(data) if server.drip_seconds else 0):
                    time.sleep(server.drip_seconds)
                    self.wfile.write(data[at : at + 1])
                    self.wfile.flush()
                self.wfile.write(b"" if server.drip_seconds else data)

        return Handler


class _Request:
    def __init__(self, target: str, content_type: str, body: bytes) -> None:
        parts = urlsplit(target)
        path = parts.path.split("/")
        kinds = {"upload": UPLOAD, "download": DOWNLOAD}
        self.kind = kinds.get(path[1], DESCRIBE)
        _, _, after = parts.path.partition("/b/")
        self.bucket, _, name = after.partition("/o/")
        self.bucket = self.bucket.removesuffix("/o")
        self.name = unquote(name)
        self.query = {key: values[0] for key, values in parse_qs(parts.query).items()}
        self.content_type = content_type
        self.body = body


def _parts(request: _Request) -> tuple[dict[str, str], bytes]:
    """The description and the data of a `multipart/related` upload."""
    boundary = b"\r\n--" + request.content_type.partition("boundary=")[2].strip('"').encode()
    _, first, second, _ = (b"\r\n" + request.body).split(boundary)
    described: dict[str, str] = json.loads(first.partition(b"\r\n\r\n")[2])
    head, _, data = second.partition(b"\r\n\r\n")
    described["contentType"] = head.decode().lower().partition("content-type: ")[2].strip()
    return described, data


def checksum(data: bytes) -> str:
    return base64.b64encode(google_crc32c.value(data).to_bytes(4, "big")).decode()


def _damaged(data: bytes) -> bytes:
    return bytes([data[0] ^ 1]) + data[1:]


def _error(status: int, message: str) -> Answer:
    body = json.dumps({"error": {"code": status, "message": message}}).encode()
    return status, {"Content-Type": "application/json"}, body
