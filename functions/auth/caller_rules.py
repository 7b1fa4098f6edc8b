"""What is asked of a caller beside a scope, for what must not be done with nothing but a stolen token."""

from collections.abc import Collection
from datetime import datetime, timedelta

from functions.auth.domain import client_id
from functions.auth.domain.assurance import Acr, acr_of
from functions.auth.domain.session import Session
from shared.errors import Forbidden
from shared.identity import Principal

MAX_AGE = timedelta(minutes=10)


def require_recent(principal: Principal, at: datetime, acr: Acr = "aal1") -> None:
    """Raises `Forbidden` `step_up_required` for a person whose last proof is over ten minutes old, or below
    `acr`, and for a machine, which can give none. The challenge is that of RFC 9470 §3.
    """
    if principal.authenticated_at is None or principal.session_id is None:
        raise _refusal("This is for a person who has just signed in; a machine cannot do it.", acr)
    _require(principal.authenticated_at, principal.amr, at, acr)


def require_recent_session(session: Session, at: datetime, acr: Acr = "aal1") -> None:
    """The same where the session was read: a proof counts at once, before a token tells of it."""
    _require(session.authenticated_at, session.amr, at, acr)


def is_application(caller: Principal) -> bool:
    """Whether it is an application that acts for somebody who signed in to it."""
    return caller.session_id is not None and caller.client_id != client_id.APP


def require_first_party(caller: Principal) -> None:
    """Raises `Forbidden` `first_party_only` for an application that acts for somebody: no scope says that it
    may change who that is, how that person signs in, or where they are signed in.
    """
    if is_application(caller):
        detail = "An application that acts for you cannot do this. Sign in to the product itself."
        raise Forbidden("first_party_only", detail)


def require_person(caller: Principal) -> str:
    """The caller's session. Raises `Forbidden` `no_session` for a machine, else as `require_first_party`."""
    if caller.session_id is None:
        raise Forbidden("no_session", "This is for people: a machine has no account of its own. Sign in.")
    require_first_party(caller)
    return caller.session_id


def _require(proven_at: datetime, amr: Collection[str], at: datetime, acr: Acr) -> None:
    if acr == "aal2" and acr_of(amr) != "aal2":
        raise _refusal("Prove a second factor: POST /v1/auth/step-up, then repeat this request.", acr)
    if at >= proven_at + MAX_AGE:
        raise _refusal("Prove again who you are: POST /v1/auth/step-up, then repeat this request.", acr)


def _refusal(detail: str, acr: Acr) -> Forbidden:
    max_age = int(MAX_AGE.total_seconds())
    challenge = (
        'Bearer error="insufficient_user_authentication",'
        f' error_description="{detail}", acr_values="{acr}", max_age="{max_age}"'
    )
    return Forbidden("step_up_required", detail, headers={"WWW-Authenticate": challenge})
