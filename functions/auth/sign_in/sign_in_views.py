"""What signing in takes and gives over HTTP, as api-spec.yaml has it."""

from typing import Annotated, Any

import msgspec
from msgspec import Meta

from functions.auth.factors.factor_proofs import Answer
from functions.auth.factors.factor_views import Code
from functions.auth.factors.passkey_ceremonies import Assertion
from functions.auth.sign_in.second_factors import Challenge
from functions.auth.sign_in.sign_in import SignedIn
from functions.auth.views import Email, Password, SealedText, Slug
from shared.errors import Invalid, invalid

RecoveryCode = Annotated[str, Meta(min_length=1, max_length=64)]


class LoginRequest(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    tenant: Slug
    email: Email
    password: Password
    device_token: SealedText | None = None
    remember_device: bool = False


class SecondFactorRequest(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """`totp`, `recovery_code` or `passkey`: exactly one of them."""

    challenge: SealedText
    totp: Code | None = None
    recovery_code: RecoveryCode | None = None
    passkey: Assertion | None = None
    device_token: SealedText | None = None
    remember_device: bool = False


class PasskeyOptionsRequest(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    tenant: Slug


class PasskeyLoginRequest(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    tenant: Slug
    credential: Assertion
    device_token: SealedText | None = None
    remember_device: bool = False


class StepUpRequest(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """`password`, `totp` or `passkey`: exactly one of them."""

    password: Password | None = None
    totp: Code | None = None
    passkey: Assertion | None = None


def signed_in(value: SignedIn | Challenge) -> dict[str, Any]:
    """The tokens as RFC 6749 §5.1 has them, and beside them what makes the device known; or what is asked."""
    if isinstance(value, Challenge):
        return {"second_factor": value}
    answer: dict[str, Any] = msgspec.to_builtins(value.tokens)
    return answer if value.device_token is None else answer | {"device_token": value.device_token}


def answer(asked: SecondFactorRequest | StepUpRequest) -> Answer:
    """Raises `Invalid` for none of them, and for several."""
    given = Answer(
        totp=asked.totp,
        recovery_code=asked.recovery_code if isinstance(asked, SecondFactorRequest) else None,
        passkey=asked.passkey,
    )
    if sum(value is not None for value in (given.totp, given.recovery_code, given.passkey)) != 1:
        raise not_one()
    return given


def not_one() -> Invalid:
    return invalid("", "not_one_proof", "Give exactly one proof: a code, a passkey, or what else is allowed.")
