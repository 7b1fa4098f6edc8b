"""What is required of a caller beyond a scope, so that a stolen access token alone is not enough."""

from collections.abc import Collection
from datetime import datetime, timedelta

from functions.auth.domain import client_id
from functions.auth.domain.assurance import Acr, acr_of
from functions.auth.domain.session import Session
from shared.errors import Forbidden
from shared.identity import Principal

MAX_AGE = timedelta(minutes=10)


def require_recent(principal: Principal, at: datetime, acr: Acr = "aal1") -> None:
    """Raises `Forbidden` `step_up_required` for a person who last signed in or stepped up over ten minutes
    ago, or at a lower level than `acr`, and for a machine, which cannot. The challenge is that of RFC 9470
    §3.
    """
    if principal.authenticated_at is None or principal.session_id is None:
        raise _refusal("This is for a person who has just signed in; a machine cannot do it.", acr)
    _require(principal.authenticated_at, principal.amr, at, acr)


def require_recent_session(session: Session, at: datetime, acr: Acr = "aal1") -> None:
    """The same by the session's document, which knows of a step-up before any access token does."""
    _require(session.authenticated_at, session.amr, at, acr)


def is_application(caller: Principal) -> bool:
    """Whether it is an application that acts for somebody who signed in to it."""
    return caller.session_id is not None and caller.client_id != client_id.APP


def require_first_party(caller: Principal) -> None:
    """Raises `Forbidden` `first_party_only` for an application that acts for a person: no scope allows it to
    change that person's profile, sign-in methods or sessions.
    """
    if is_application(caller):
        detail = "An application that acts for you cannot do this. Sign in to the product itself."
        raise Forbidden("first_party_only", detail)


def require_person(caller: Principal) -> str:
    """The id of the caller's session. Raises `Forbidden` `no_session` for a machine, and as
    `require_first_party` does.
    """
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
