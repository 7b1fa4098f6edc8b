"""The two ceremonies of passkeys (WebAuthn Level 3 §7), checked by the `webauthn` package.

Importing the package takes a quarter of a second, so that happens at the first ceremony, in a thread. The
checks run in a thread too, since they parse what anybody may send.
"""

import asyncio
from collections.abc import Callable, Sequence
from typing import Annotated, Any, TypeVar
from urllib.parse import urlsplit

import msgspec
from msgspec import Meta

from functions.auth.domain import authenticator_data
from functions.auth.domain.passkeys import Passkey
from functions.auth.domain.people import User
from shared import base64url

T = TypeVar("T")

TIMEOUT_MS = 300_000
MAX_CREDENTIAL_ID_BYTES = 1023
_MAX_KEY_BYTES = 2048
_ES256, _ED25519, _RS256 = -7, -8, -257

Base64Url = Annotated[str, Meta(min_length=1, max_length=32_768)]
CredentialId = Annotated[str, Meta(min_length=1, max_length=1364)]
"""Base64url of at most 1023 bytes."""


class RegistrationResponse(msgspec.Struct, frozen=True, rename="camel"):
    client_data_json: Base64Url = msgspec.field(name="clientDataJSON")
    attestation_object: Base64Url
    transports: Annotated[tuple[Annotated[str, Meta(max_length=32)], ...], Meta(max_length=8)] = ()


class AssertionResponse(msgspec.Struct, frozen=True, rename="camel"):
    client_data_json: Base64Url = msgspec.field(name="clientDataJSON")
    authenticator_data: Base64Url
    signature: Base64Url


class Registration(msgspec.Struct, frozen=True):
    """The result of `navigator.credentials.create()` by `toJSON()`. Further members are ignored."""

    id: CredentialId
    response: RegistrationResponse


class Assertion(msgspec.Struct, frozen=True):
    """The result of `navigator.credentials.get()` by `toJSON()`. Further members are ignored."""

    id: CredentialId
    response: AssertionResponse


class Registered(msgspec.Struct, frozen=True):
    """A new credential. `credential_id` and `public_key` (COSE) are base64url."""

    credential_id: str
    public_key: str
    sign_count: int
    bound_to_device: bool


class Asserted(msgspec.Struct, frozen=True):
    """A correct signature, whose counter has not been checked yet."""

    sign_count: int
    user_verified: bool


class _ClientData(msgspec.Struct, frozen=True):
    challenge: str
    cross_origin: bool = msgspec.field(name="crossOrigin", default=False)


class PasskeyCeremonies:
    """Origin and RP id are those of the public address, `https://host`."""

    def __init__(self, public_url: str) -> None:
        self._origin = public_url
        self._rp_id = urlsplit(public_url).hostname or ""

    def creation_options(self, user: User, challenge: str, known: Sequence[Passkey]) -> msgspec.Raw:
        """For `parseCreationOptionsFromJSON`: a discoverable credential that verifies its user."""
        options = {
            "rp": {"id": self._rp_id, "name": self._rp_id},
            "user": {"id": base64url.encode(user.id.encode()), "name": user.email, "displayName": user.name},
            "challenge": base64url.encode(challenge.encode()),
            "pubKeyCredParams": [{"type": "public-key", "alg": alg} for alg in (_ES256, _ED25519, _RS256)],
            "timeout": TIMEOUT_MS,
            "excludeCredentials": [_descriptor(passkey) for passkey in known],
            "authenticatorSelection": {
                "residentKey": "required",
                "requireResidentKey": True,
                "userVerification": "required",
            },
            "attestation": "none",
        }
        return msgspec.Raw(msgspec.json.encode(options))

    def request_options(self, challenge: str, allowed: Sequence[Passkey]) -> msgspec.Raw:
        """For `parseRequestOptionsFromJSON`. With nobody `allowed`, the authenticator says who it is."""
        options = {
            "challenge": base64url.encode(challenge.encode()),
            "timeout": TIMEOUT_MS,
            "rpId": self._rp_id,
            "allowCredentials": [_descriptor(passkey) for passkey in allowed],
            "userVerification": "required",
        }
        return msgspec.Raw(msgspec.json.encode(options))

    async def registered(self, given: Registration, challenge: str) -> Registered | None:
        """None unless it answers `challenge`, from our origin, with its user verified."""
        return await asyncio.to_thread(_checked, lambda: self._registered(given, challenge))

    async def asserted(self, given: Assertion, challenge: str, passkey: Passkey) -> Asserted | None:
        """None for whatever does not answer `challenge`, from our origin, in no frame, by `passkey`."""
        if challenge_of(given) != challenge:  # the package looks at no frames
            return None
        return await asyncio.to_thread(_checked, lambda: self._asserted(given, challenge, passkey))

    def _registered(self, given: Registration, challenge: str) -> Registered:
        from webauthn import verify_registration_response  # noqa: PLC0415 - imported by now
        from webauthn.helpers.cose import COSEAlgorithmIdentifier  # noqa: PLC0415 - the same

        if not authenticator_data.is_plain_attestation(base64url.decode(given.response.attestation_object)):
            raise ValueError("not what an authenticator writes")
        made = verify_registration_response(
            credential=_credential(
                given.id,
                clientDataJSON=given.response.client_data_json,
                attestationObject=given.response.attestation_object,
            ),
            expected_challenge=challenge.encode(),
            expected_rp_id=self._rp_id,
            expected_origin=self._origin,
            require_user_verification=True,
            supported_pub_key_algs=[COSEAlgorithmIdentifier(alg) for alg in (_ES256, _ED25519, _RS256)],
        )
        if (
            len(made.credential_id) > MAX_CREDENTIAL_ID_BYTES
            or len(made.credential_public_key) > _MAX_KEY_BYTES
        ):
            raise ValueError("too long to be kept")
        return Registered(
            credential_id=base64url.encode(made.credential_id),
            public_key=base64url.encode(made.credential_public_key),
            sign_count=made.sign_count,
            bound_to_device=made.credential_device_type.value == "single_device",
        )

    def _asserted(self, given: Assertion, challenge: str, passkey: Passkey) -> Asserted:
        from webauthn import verify_authentication_response  # noqa: PLC0415 - imported by now

        if not authenticator_data.is_plain(base64url.decode(given.response.authenticator_data)):
            raise ValueError("not what an authenticator writes")
        proven = verify_authentication_response(
            credential=_credential(
                given.id,
                clientDataJSON=given.response.client_data_json,
                authenticatorData=given.response.authenticator_data,
                signature=given.response.signature,
            ),
            expected_challenge=challenge.encode(),
            expected_rp_id=self._rp_id,
            expected_origin=self._origin,
            credential_public_key=base64url.decode(passkey.public_key),
            credential_current_sign_count=-1,  # looked at by us, once the signature is known to be good
            require_user_verification=True,
        )
        return Asserted(proven.new_sign_count, proven.user_verified)


def challenge_of(given: Registration | Assertion) -> str:
    """The challenge that an answer claims to be for, unverified; empty if there is none, or the answer comes
    from a frame in another site.
    """
    try:
        data = msgspec.json.decode(base64url.decode(given.response.client_data_json), type=_ClientData)
        return "" if data.cross_origin else base64url.decode(data.challenge).decode()
    except (ValueError, RecursionError):
        return ""


def _checked(check: Callable[[], T]) -> T | None:
    """What `check` returns; None if it raises, as the package and its parsers do in many ways."""
    import webauthn  # noqa: F401, PLC0415 - takes long; where it is missing, that is no refusal

    try:
        return check()
    except Exception:  # noqa: BLE001 - nothing but a pure function of what a client sent runs in here
        return None


def _credential(credential_id: str, **response: str) -> dict[str, Any]:
    return {"id": credential_id, "rawId": credential_id, "type": "public-key", "response": response}


def _descriptor(passkey: Passkey) -> dict[str, Any]:
    return {"type": "public-key", "id": passkey.credential_id, "transports": passkey.transports}
