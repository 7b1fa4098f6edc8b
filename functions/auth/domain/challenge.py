"""Challenges: sealed texts that say who must prove what, and until when; only answers are stored."""

from datetime import UTC, datetime, timedelta
from typing import Literal

import msgspec

from functions.auth.domain.sealed import Seal, SealingKeys

LIFETIME = timedelta(minutes=5)
MAX_ANSWERS = 5

Purpose = Literal["registration", "sign_in", "step_up"]


class SecondFactorChallenge(msgspec.Struct, frozen=True):
    """The first factor of `user_id` was proven by `amr`. `password` is the `password_mark` of the login, so
    that a new password voids the challenge.
    """

    id: str
    tenant_id: str
    user_id: str
    login_id: str
    password: bytes
    amr: tuple[str, ...]
    issued_at: datetime


class PasskeyChallenge(msgspec.Struct, frozen=True):
    """`subject` is the session that asked; nobody where a passkey is to say who signs in."""

    id: str
    tenant: str
    purpose: Purpose
    subject: str
    issued_at: datetime


class Answers(msgspec.Struct, frozen=True):
    """The answers to a challenge so far. After `expires_at` the document is no longer needed."""

    wrong: int
    answered: bool
    expires_at: datetime


class Challenges:
    """`sf1_…` ↔ `SecondFactorChallenge`, `pk1_…` ↔ `PasskeyChallenge`."""

    def __init__(self, keys: SealingKeys) -> None:
        self._second_factor = Seal("sf1_", 7, keys)
        self._passkey = Seal("pk1_", 5, keys)

    def second_factor_text(self, challenge: SecondFactorChallenge) -> str:
        return self._second_factor.seal(
            challenge.id.encode(),
            challenge.tenant_id.encode(),
            challenge.user_id.encode(),
            challenge.login_id.encode(),
            challenge.password,
            " ".join(challenge.amr).encode(),
            _seconds(challenge.issued_at),
        )

    def second_factor(self, text: str, at: datetime) -> SecondFactorChallenge | None:
        """None for a text that `second_factor_text` did not make, or that has expired."""
        fields = self._second_factor.open(text)
        if fields is None:
            return None
        name, tenant_id, user_id, login_id, password, amr, issued = fields
        challenge = SecondFactorChallenge(
            id=name.decode(),
            tenant_id=tenant_id.decode(),
            user_id=user_id.decode(),
            login_id=login_id.decode(),
            password=password,
            amr=tuple(amr.decode().split()),
            issued_at=_time(issued),
        )
        return None if _is_over(challenge.issued_at, at) else challenge

    def passkey_text(self, challenge: PasskeyChallenge) -> str:
        return self._passkey.seal(
            challenge.id.encode(),
            challenge.tenant.encode(),
            challenge.purpose.encode(),
            challenge.subject.encode(),
            _seconds(challenge.issued_at),
        )

    def passkey(
        self, text: str, tenant: str, purpose: Purpose, subject: str, at: datetime
    ) -> PasskeyChallenge | None:
        """None for a text that `passkey_text` did not make for exactly this, or that has expired."""
        fields = self._passkey.open(text)
        if fields is None:
            return None
        name, *meant, issued = fields
        if meant != [tenant.encode(), purpose.encode(), subject.encode()]:
            return None
        challenge = PasskeyChallenge(name.decode(), tenant, purpose, subject, _time(issued))
        return None if _is_over(challenge.issued_at, at) else challenge


def password_mark(set_at: datetime | None) -> bytes:
    """A mark that changes when a new password is set, and not when the same one is hashed again."""
    return b"" if set_at is None else set_at.isoformat().encode()


def is_open(answers: Answers | None) -> bool:
    """Whether a challenge accepts another answer."""
    return answers is None or (not answers.answered and answers.wrong < MAX_ANSWERS)


def wrong(answers: Answers | None, at: datetime) -> Answers:
    before = answers.wrong if answers is not None else 0
    return Answers(before + 1, False, at + 2 * LIFETIME)


def answered(answers: Answers | None, at: datetime) -> Answers:
    return Answers(answers.wrong if answers is not None else 0, True, at + 2 * LIFETIME)


def _seconds(at: datetime) -> bytes:
    return int(at.timestamp()).to_bytes(6)


def _time(seconds: bytes) -> datetime:
    return datetime.fromtimestamp(int.from_bytes(seconds), UTC)


def _is_over(issued_at: datetime, at: datetime) -> bool:
    return at >= issued_at + LIFETIME
