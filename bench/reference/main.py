"""What the framework alone does on this machine: constant JSON, and one ES256 signature a request."""

import functions_framework.aio
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec
from starlette.requests import Request
from starlette.responses import Response

_KEY = ec.generate_private_key(ec.SECP256R1())
_ES256 = ec.ECDSA(hashes.SHA256())
_BODY = b'{"status":"ok"}'


@functions_framework.aio.http
async def reference(request: Request) -> Response:
    if request.scope["path"] == "/sign":
        _KEY.sign(_BODY, _ES256)
    return Response(_BODY, media_type="application/json")
