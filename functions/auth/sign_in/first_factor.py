"""What a sign-in has come to before its session begins."""

import msgspec

from functions.auth.domain.people import Login, User
from functions.auth.records import Found
from functions.auth.sessions.session_start import Proof
from shared.metrics import Counts
from shared.store import Write
from shared.tenant import Tenant


class FirstFactor(msgspec.Struct, frozen=True):
    """A person who has proven who they are, before a session begins. Put `writes` into the commit that begins
    it: they use up the proof, and fail with `Stale` if the login has changed. `device` is the id of the known
    device, if any. `scopes` limits the session; None: it may have all that the user's role can have.
    """

    owner: Found[Tenant]
    login: Found[Login]
    user: Found[User]
    proof: Proof
    writes: tuple[Write, ...]
    device: str | None = None
    scopes: tuple[str, ...] | None = None


def counts() -> Counts:
    """Counts tries by factor (a password, a second factor, a passkey alone) and result."""
    return Counts("energent_sign_ins", "Tries at a factor of a sign-in, by result.", "factor", "result")
