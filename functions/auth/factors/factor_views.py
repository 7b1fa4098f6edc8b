"""What second factors take and give over HTTP, as api-spec.yaml has it."""

from datetime import datetime
from typing import Annotated, Literal

import msgspec
from msgspec import Meta

from functions.auth.domain import recovery_codes
from functions.auth.domain.factors import Factors
from functions.auth.domain.passkeys import Passkey
from functions.auth.domain.people import Name
from functions.auth.domain.security_policy import AllowedMethod
from functions.auth.factors.passkey_ceremonies import Registration

Code = Annotated[str, Meta(pattern=r"\A[0-9]{6}\Z")]


class TotpCodeRequest(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    code: Code


class PasskeyRequest(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    name: Name
    credential: Registration


class PasskeyNameRequest(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    name: Name


class PolicyRequest(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    second_factor: Literal["optional", "required"]
    methods: Annotated[list[AllowedMethod], Meta(min_length=1, max_length=2)]


class TotpView(msgspec.Struct, frozen=True):
    created_at: datetime
    used_at: datetime | None


class PasskeyView(msgspec.Struct, frozen=True):
    id: str
    name: str
    bound_to_device: bool
    created_at: datetime
    used_at: datetime | None


class RecoveryCodesView(msgspec.Struct, frozen=True):
    left: int
    created_at: datetime


class FactorsView(msgspec.Struct, frozen=True):
    totp: TotpView | None
    passkeys: list[PasskeyView]
    recovery_codes: RecoveryCodesView | None


class NewRecoveryCodesView(msgspec.Struct, frozen=True):
    """Shown once."""

    codes: tuple[str, ...]
    left: int = recovery_codes.COUNT


def passkey(value: Passkey) -> PasskeyView:
    return PasskeyView(value.id, value.name, value.bound_to_device, value.created_at, value.used_at)


def factors(value: Factors) -> FactorsView:
    totp, codes = value.totp, value.recovery_codes
    return FactorsView(
        totp=None if totp is None else TotpView(totp.created_at, totp.used_at),
        passkeys=[passkey(known) for known in value.passkeys],
        recovery_codes=None if codes is None else RecoveryCodesView(len(codes.digests), codes.created_at),
    )
