"""The channel to Google: TLS, and the default credentials with each call."""

import json
import os
import subprocess
import sys
from datetime import UTC, datetime, timedelta
from pathlib import Path

from cryptography import x509
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import rsa
from cryptography.hazmat.primitives.serialization import Encoding, NoEncryption, PrivateFormat

SCOPE = "https://www.googleapis.com/auth/pubsub"

TALK = f'''
import asyncio, http.server, json, sys, threading, urllib.parse
import grpc, grpc.aio, jwt
from shared.google_rpc.channel import open_channel

class Tokens(http.server.BaseHTTPRequestHandler):
    def do_POST(self):
        form = urllib.parse.parse_qs(self.rfile.read(int(self.headers["content-length"])).decode())
        asked = jwt.decode(form["assertion"][0], options={{"verify_signature": False}})
        body = json.dumps({{"access_token": "for " + asked["scope"], "expires_in": 3600}}).encode()
        self.send_response(200)
        self.send_header("content-length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)
    def log_message(self, *_):
        pass

class Service(grpc.GenericRpcHandler):
    def service(self, call):
        said = dict(call.invocation_metadata)
        async def answer(request, context):
            return said["authorization"].encode()
        return grpc.unary_unary_rpc_method_handler(answer)

async def main(folder):
    tokens = http.server.HTTPServer(("127.0.0.1", 0), Tokens)
    threading.Thread(target=tokens.serve_forever, daemon=True).start()
    account = json.load(open(folder + "/account.json"))
    account["token_uri"] = f"http://127.0.0.1:{{tokens.server_port}}/token"
    json.dump(account, open(folder + "/account.json", "w"))
    server = grpc.aio.server()
    server.add_generic_rpc_handlers([Service()])
    pair = (open(folder + "/key.pem", "rb").read(), open(folder + "/cert.pem", "rb").read())
    port = server.add_secure_port("localhost:0", grpc.ssl_server_credentials([pair]))
    await server.start()
    channel = await open_channel(f"localhost:{{port}}", "{SCOPE}")
    for _ in range(2):
        print((await channel.unary_unary("/a/b")(b"", timeout=10)).decode())
    await channel.close()
    await server.stop(None)
    bare = [name for name in sys.modules if name.startswith(("google.api_core", "google.cloud.", "proto."))]
    print(bare)

asyncio.run(main(sys.argv[1]))
'''


def _certificate(folder: Path) -> None:
    """A key and its own certificate for localhost, and a service account with the same key."""
    key = rsa.generate_private_key(public_exponent=65537, key_size=2048)
    name = x509.Name([x509.NameAttribute(x509.NameOID.COMMON_NAME, "localhost")])
    now = datetime.now(UTC)
    certificate = (
        x509.CertificateBuilder(name, name, key.public_key(), x509.random_serial_number())
        .not_valid_before(now - timedelta(hours=1))
        .not_valid_after(now + timedelta(hours=1))
        .add_extension(x509.SubjectAlternativeName([x509.DNSName("localhost")]), critical=False)
        .add_extension(x509.BasicConstraints(ca=True, path_length=None), critical=True)
        .sign(key, hashes.SHA256())
    )
    pem = key.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption())
    (folder / "key.pem").write_bytes(pem)
    (folder / "cert.pem").write_bytes(certificate.public_bytes(Encoding.PEM))
    account = {
        "type": "service_account",
        "client_email": "functions@p.iam.gserviceaccount.com",
        "private_key": pem.decode(),
    }
    (folder / "account.json").write_text(json.dumps(account))


def test_each_call_says_who_we_are_over_tls(tmp_path: Path) -> None:
    """In a process of its own: gRPC reads the certificates that it trusts once."""
    _certificate(tmp_path)
    said = subprocess.run(  # noqa: S603 - our own interpreter
        [sys.executable, "-c", TALK, str(tmp_path)],
        check=False,
        capture_output=True,
        text=True,
        timeout=60,
        env={
            "PATH": os.environ["PATH"],
            "PYTHONPATH": str(Path(__file__).parents[3]),
            "GOOGLE_APPLICATION_CREDENTIALS": str(tmp_path / "account.json"),
            "GRPC_DEFAULT_SSL_ROOTS_FILE_PATH": str(tmp_path / "cert.pem"),
            "NO_PROXY": "*",
        },
    )
    assert said.stdout.splitlines() == [f"Bearer for {SCOPE}"] * 2 + ["[]"], said.stderr
