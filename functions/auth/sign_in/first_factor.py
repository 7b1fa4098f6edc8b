"""What a sign-in has come to before its session begins."""

import msgspec

from functions.auth.domain.people import Login, User
from functions.auth.records import Found
from functions.auth.sessions.session_start import Proof
from shared.metrics import Counts
from shared.store import Write
from shared.tenant import Tenant


class FirstFactor(msgspec.Struct, frozen=True):
    """Somebody has proven who they are, by `proof`. `writes` belong into the commit that makes something of
    it: they use up what was proven, and fail if the login has changed since. `device` is the known one.
    `scopes`: all that the session may have, where that is less than the user's roles stand for.
    """

    owner: Found[Tenant]
    login: Found[Login]
    user: Found[User]
    proof: Proof
    writes: tuple[Write, ...]
    device: str | None = None
    scopes: tuple[str, ...] | None = None


def counts() -> Counts:
    """What came of each try at a factor: at the password, a second factor, or a passkey alone."""
    return Counts("energent_sign_ins", "Tries at a factor of a sign-in, by result.", "factor", "result")
