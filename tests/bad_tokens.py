"""Access tokens that must be refused, by case of security-cases §3.1."""

import base64
import hashlib
import hmac
import json
from collections.abc import Callable
from typing import Any

from cryptography.hazmat.primitives.asymmetric import ed25519, rsa
from cryptography.hazmat.primitives.asymmetric.padding import PKCS1v15
from cryptography.hazmat.primitives.asymmetric.utils import encode_dss_signature
from cryptography.hazmat.primitives.hashes import SHA256
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat

from tests.tokens import ISSUER, SignerKey, claims, segment

KEY = SignerKey()
"""The key in the ring."""
OTHER = SignerKey()
"""A key that is not in it."""


def _other_signature(make: Callable[[bytes], bytes], **header: Any) -> str:
    """A token with our claims and a signature by other means."""
    start = segment({"alg": "ES256", "typ": "at+jwt", "kid": KEY.kid} | header) + "." + segment(claims())
    return start + "." + segment(make(start.encode()))


def _hs256(key: bytes) -> str:
    return _other_signature(lambda signed: hmac.digest(key, signed, hashlib.sha256), alg="HS256")


def _public(encoding: Encoding, form: PublicFormat) -> bytes:
    return KEY.private.public_key().public_bytes(encoding, form)


def _with_signature(change: Callable[[bytes], bytes]) -> str:
    head, body, signature = KEY.token().split(".")
    raw = base64.urlsafe_b64decode(signature + "==")
    return f"{head}.{body}.{segment(change(raw))}"


def _as_der(raw: bytes) -> bytes:
    return encode_dss_signature(int.from_bytes(raw[:32], "big"), int.from_bytes(raw[32:], "big"))


def _header(**members: Any) -> str:
    return KEY.sign(claims(), members)


def good_header(**more: Any) -> str:
    return KEY.sign(claims(), **more)


def _text(**changes: str) -> bytes:
    """The payload as text, a claim's JSON replaced by any text."""
    fields = {name: json.dumps(value) for name, value in claims().items()} | changes
    return ("{" + ",".join(f'"{name}":{text}' for name, text in fields.items()) + "}").encode()


RSA_KEY = rsa.generate_private_key(65537, 2048)
ED_KEY = ed25519.Ed25519PrivateKey.generate()
GOOD = KEY.token()
HEAD, BODY, SIGNATURE = GOOD.split(".")
IAT = claims()["iat"]

BAD_KIDS: list[Any] = [
    "../../../../dev/null", "a' OR 1=1", "a\0b", "x" * 1500, "https://evil.test/k", "", 1, None, ["a"], {}
]  # fmt: skip
BAD_TIMES: list[Any] = [None, True, [IAT + 600], {}, -1, 0]
BAD_AUDIENCES: list[Any] = [
    "https://evil.test", ISSUER[:-1], ISSUER.upper(), ISSUER + "/", [ISSUER], [ISSUER, "evil"], [], "", None
]  # fmt: skip

REFUSED: dict[str, str] = {
    **{f"J1 alg {alg!r}": f"{segment({'alg': alg, 'typ': 'at+jwt', 'kid': KEY.kid})}.{BODY}." for alg in
       ("none", "None", "nOnE", "")},
    **{f"J1 alg {alg!r}, signed": good_header(alg=alg) for alg in ("none", "None", "nOnE", "")},
    "J2 no alg": _header(typ="at+jwt", kid=KEY.kid),
    "J2 header []": KEY.sign(claims(), b"[]"),
    "J2 header a string": KEY.sign(claims(), b'"ES256"'),
    "J2 header null": KEY.sign(claims(), b"null"),
    "J3 HS256 with our PEM": _hs256(_public(Encoding.PEM, PublicFormat.SubjectPublicKeyInfo)),
    "J4 HS256 with our DER": _hs256(_public(Encoding.DER, PublicFormat.SubjectPublicKeyInfo)),
    "J4 HS256 with our SSH key": _hs256(_public(Encoding.OpenSSH, PublicFormat.OpenSSH)),
    "J4 HS256 with our JWK": _hs256(json.dumps(KEY.jwk).encode()),
    "J4 HS256 with BOM and PEM": _hs256(
        b"\xef\xbb\xbf" + _public(Encoding.PEM, PublicFormat.SubjectPublicKeyInfo)
    ),
    "J5 RS256": _other_signature(lambda s: RSA_KEY.sign(s, PKCS1v15(), SHA256()), alg="RS256"),
    "J5 EdDSA": _other_signature(ED_KEY.sign, alg="EdDSA"),
    "J5 PS256 header": good_header(alg="PS256"),
    "J5 ES384 header": good_header(alg="ES384"),
    "J5 es256 in lower case": good_header(alg="es256"),
    "J6 signature zero": _with_signature(lambda raw: bytes(64)),
    "J6 signature empty": f"{HEAD}.{BODY}.",
    "J6 signature in DER": _with_signature(_as_der),
    "J6 signature truncated": _with_signature(lambda raw: raw[:-1]),
    "J6 signature longer": _with_signature(lambda raw: raw + b"\0"),
    "J6 one bit flipped": _with_signature(lambda raw: raw[:40] + bytes([raw[40] ^ 1]) + raw[41:]),
    "J6 signature of another payload": f"{HEAD}.{segment(claims() | {'sub': 'usr_2'})}.{SIGNATURE}",
    **{f"J7 kid {str(kid)[:20]!r}": good_header(kid=kid) for kid in BAD_KIDS},
    "J8 another environment's key, named": OTHER.token(),
    "J8 signed by another key under our kid": OTHER.sign(claims(), kid=KEY.kid),
    "J7 no kid": _header(alg="ES256", typ="at+jwt"),
    "J11 embedded jwk": OTHER.sign(claims(), kid=KEY.kid, jwk=OTHER.jwk),
    "J11 embedded jwk beside a good signature": good_header(jwk=OTHER.jwk),
    "J12 jku": good_header(jku="http://169.254.169.254/latest"),
    "J12 x5u": good_header(x5u="file:///etc/passwd"),
    "J12 x5c": good_header(x5c=["MIIB"]),
    "J13 exp a second ago": KEY.token(exp=IAT - 1, iat=IAT - 601),
    "J13 exp now": KEY.token(exp=IAT, iat=IAT - 600),
    "J13 exp missing": KEY.token(without=("exp",)),
    **{f"J13 exp {exp!r}": KEY.token(exp=exp) for exp in BAD_TIMES},
    "J14 exp a string": KEY.token(exp=str(IAT + 600)),
    "J14 exp a float": KEY.sign(_text(exp=f"{IAT + 600}.0")),
    "J14 exp 1e308": KEY.sign(_text(exp="1e308")),
    "J14 exp in ten years": KEY.token(exp=IAT + 315_360_000),
    "J14 exp a second past the lifetime": KEY.token(exp=IAT + 601),
    "J15 exp NaN": KEY.sign(_text(exp="NaN")),
    "J15 exp Infinity": KEY.sign(_text(exp="Infinity")),
    "J15 exp of 2000 digits": KEY.sign(_text(exp="9" * 2000)),
    "J16 nbf in 30 s": KEY.token(nbf=IAT + 30),
    "J16 nbf in 11 s": KEY.token(nbf=IAT + 11),
    "J16 iat in 30 s": KEY.token(iat=IAT + 30, exp=IAT + 630),
    "J16 iat in 11 s": KEY.token(iat=IAT + 11, exp=IAT + 611),
    "J16 nbf a string": KEY.token(nbf=str(IAT)),
    "J17 iat ten years old": KEY.token(iat=IAT - 315_360_000),
    "J17 iat after exp": KEY.token(iat=IAT + 5, exp=IAT + 4),
    "J17 iat missing": KEY.token(without=("iat",)),
    **{f"J18 aud {aud!r}": KEY.token(aud=aud) for aud in BAD_AUDIENCES},
    "J18 aud missing": KEY.token(without=("aud",)),
    **{f"J19 iss {iss!r}": KEY.token(iss=iss) for iss in
       ("https://evil.test", ISSUER[:-1], ISSUER + "/", ISSUER + "x", [ISSUER], "", None, ISSUER.upper())},
    "J19 iss missing": KEY.token(without=("iss",)),
    **{f"J20 typ {typ!r}": good_header(typ=typ) for typ in
       ("JWT", "rt+jwt", "id+jwt", "logout+jwt", "", None, 1, "application/jwt")},
    "J20 typ missing": _header(alg="ES256", kid=KEY.kid),
    "J21 a refresh token": "rt1_" + "a" * 80,
    "J21 an invitation": "inv1_" + "a" * 80,
    "J21 an id token": KEY.sign(
        {name: value for name, value in claims().items() if name not in ("client_id", "tid")}, typ="JWT"
    ),
    **{f"J22 crit {crit!r}": good_header(crit=crit) for crit in (["x"], [], "b64", ["b64"])},
    "J22 b64 false": good_header(b64=False),
    "J22 b64 critical": good_header(b64=False, crit=["b64"]),
    "J23 zip": good_header(zip="DEF"),
    "J23 cty": good_header(cty="JWT"),
    "J23 five parts": f"{HEAD}.{BODY}.{SIGNATURE}.{BODY}.{SIGNATURE}",
    "J23 JSON serialisation": json.dumps({"payload": BODY, "protected": HEAD, "signature": SIGNATURE}),
    "J24 sub twice": KEY.sign(_text()[:-1] + b',"sub":"admin"}'),
    "J24 sub twice, escaped": KEY.sign(_text()[:-1] + b',"s\\u0075b":"usr_1"}'),
    "J24 alg twice": KEY.sign(
        claims(), b'{"alg":"none","alg":"ES256","typ":"at+jwt","kid":"' + KEY.kid.encode() + b'"}'
    ),
    "J25 9 kB": GOOD + "A" * 9000,
    "J25 over 4 kB and well signed": KEY.token(more="x" * 4000),
    "J25 8 MB": "A" * 8_000_000,
    "J26 nested header": KEY.sign(claims(), b"[" * 1400),
    "J26 nested payload": KEY.sign(b'{"a":' + b"[" * 1400 + b"]" * 1400 + b"}"),
    "J26 nested claim": KEY.sign(_text(more="[" * 40 + "]" * 40)),
    "J27 payload a list": KEY.sign(b"[]"),
    "J27 payload a number": KEY.sign(b"1"),
    "J27 UTF-16": KEY.sign(_text().decode().encode("utf-16")),
    "J27 UTF-16 without mark": KEY.sign(_text().decode().encode("utf-16-le")),
    "J27 BOM": KEY.sign(b"\xef\xbb\xbf" + _text()),
    "J27 invalid UTF-8": KEY.sign(_text(more='"x"').replace(b'"x"', b'"\xff"')),
    "J27 lone surrogate": KEY.sign(_text(more='"\\ud800"')),
    "J27 NUL": KEY.sign(_text(sub='"usr_1\\u0000"')),
    "J27 emoji": KEY.sign(_text(sub='"\U0001f600"')),
    "J27 not ASCII": GOOD[:-1] + "é",
    "J28 space": f"{HEAD}. {BODY}.{SIGNATURE}",
    "J28 newline": f"{HEAD}.{BODY}.{SIGNATURE}\n",
    "J28 standard alphabet": f"{HEAD}.{BODY}.{'+/' + SIGNATURE[2:]}",
    "J28 four segments": GOOD + ".x",
    "J28 two segments": f"{HEAD}.{BODY}",
    "J28 empty": "",
    "J28 padding on the signature": GOOD + "==",
    "J28 padding on the header": f"{HEAD}=.{BODY}.{SIGNATURE}",
    "J28 leading space": " " + GOOD,
    **{f"J30 sub {sub!r}": KEY.token(sub=sub) for sub in ("", 1, None, ["usr_1"], "a b", "../x", "x" * 65)},
    "J30 sub missing": KEY.token(without=("sub",)),
    **{f"J31 tid {tid!r}": KEY.token(tid=tid) for tid in
       (None, ["tnt_acme"], "*", "../b", "", "tnt_unknown", "tnt_acme/users/x", 1)},
    "J31 tid missing": KEY.token(without=("tid",)),
    "J32 scope a list": KEY.token(scope=["tenant:read"]),
    "J32 scope null": KEY.token(scope=None),
    "J32 10 k scopes": KEY.token(scope=" ".join(["a"] * 10_000)),
    "J32 1 kB of scopes": KEY.token(scope=" ".join(["a"] * 501)),
    "J32 scope with a quote": KEY.token(scope='a" b'),
    "J13 jti missing": KEY.token(without=("jti",)),
    "J13 jti null": KEY.token(jti=None),
    "J13 client_id missing": KEY.token(without=("client_id",)),
    "J13 client_id empty": KEY.token(client_id=""),
    "roles a string": KEY.token(roles="owner"),
    "roles of numbers": KEY.token(roles=[1]),
    "a newline at the end of an id": KEY.token(sub="usr_1\n"),
}  # fmt: skip
