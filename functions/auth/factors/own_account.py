"""The documents that decide about a caller's own second factors, from one read."""

from datetime import datetime

import msgspec

from functions.auth import caller_rules, records, standing
from functions.auth.caller_rules import require_recent_session
from functions.auth.domain import factors as factor_rules
from functions.auth.domain import people, security_policy
from functions.auth.domain.assurance import joined
from functions.auth.domain.custom_role import CustomRole
from functions.auth.domain.factors import Factors
from functions.auth.domain.people import User
from functions.auth.domain.roles import ROLES, held, most_of, scopes_of
from functions.auth.domain.security_policy import ENROL_SCOPE, AllowedMethod, SecurityPolicy
from functions.auth.domain.session import Session, of_user
from functions.auth.factors import factor_documents
from functions.auth.factors.factor_documents import Kept
from functions.auth.records import Found
from shared import tenant
from shared.errors import Conflict, Forbidden
from shared.identity import Principal, invalid_token
from shared.store import Store, Write
from shared.tenant import Tenant


class OwnAccount(msgspec.Struct, frozen=True):
    owner: Found[Tenant]
    user: Found[User]
    session: Found[Session]
    factors: Kept[Factors]
    policy: SecurityPolicy
    is_narrowed: bool
    """Whether the caller's token has fewer scopes than the session can give now (RFC 6749 §6)."""

    def require_whole(self) -> None:
        """Raises `Forbidden` `insufficient_scope` for a narrowed token: whoever got no more than that must
        not come to more by a new password, passkey or address.
        """
        if self.is_narrowed:
            challenge = {"WWW-Authenticate": 'Bearer error="insufficient_scope"'}
            detail = "This token has only some of your scopes. Refresh it without scope, then try again."
            raise Forbidden("insufficient_scope", detail, headers=challenge)

    def require_recent(self, at: datetime) -> None:
        """Raises `Forbidden` `step_up_required` unless the session has a recent proof, by a second factor if
        the user has one; and what `require_whole` raises.
        """
        self.require_whole()
        has_factor = bool(factor_rules.enrolled(self.factors.value))
        require_recent_session(self.session.value, at, "aal2" if has_factor else "aal1")

    def require_allowed(self, method: AllowedMethod) -> None:
        """Raises `Conflict` `method_not_allowed`."""
        if method not in self.policy.methods:
            allowed = " or ".join(self.policy.methods)
            raise Conflict("method_not_allowed", f"Your tenant does not allow this. Enrol {allowed} instead.")

    def require_another(self, after: Factors) -> None:
        """Raises `Conflict` `last_factor` if the tenant requires a factor and `after` no longer has it."""
        if security_policy.is_last(self.policy, self.factors.value, after):
            raise Conflict("last_factor", "Your tenant requires a second factor. Enrol another one first.")

    def checks(self) -> tuple[Write, ...]:
        return (self.owner.check(), self.user.check(), self.session.check())

    def enrolled(self, after: Factors, amr: tuple[str, ...], at: datetime) -> tuple[Write, ...]:
        """The writes that enrol a factor. The session gains its proof by `amr`; a session that could only
        enrol gets all scopes of its user, unless the tenant requires more.
        """
        session = proven(self.session.value, amr, at)
        if ENROL_SCOPE in session.scopes and not security_policy.must_enrol(self.policy, after):
            scopes = tuple(sorted(most_of(self.user.value.role)))
            session = msgspec.structs.replace(session, scopes=scopes)
        return (
            self.owner.check(),
            self.user.check(),
            self.session.replace(session),
            self.factors.write(after),
        )


def proven(session: Session, amr: tuple[str, ...], at: datetime) -> Session:
    """The session after its user has proven who they are, by `amr`."""
    return msgspec.structs.replace(session, authenticated_at=at, amr=joined(session.amr, amr))


async def read(store: Store, caller: Principal) -> OwnAccount:
    """Raises `Forbidden`: `no_session` for a machine, `first_party_only` for an application, which must not
    change how its user signs in; `Unauthenticated` `invalid_token` if the session is over or the user gone;
    and what `standing.of_caller` raises.
    """
    session_id = caller_rules.require_person(caller)
    tenant_id = caller.tenant_id
    factors_key = factor_documents.factors_key(store, tenant_id, caller.subject)
    policy_key = factor_documents.policy_key(store, tenant_id)
    tenant_doc, user_doc, session_doc, factors_doc, policy_doc = await store.read(
        tenant.key(store, tenant_id),
        records.user_key(store, tenant_id, caller.subject),
        records.session_key(store, tenant_id, session_id),
        factors_key,
        policy_key,
    )
    owner = standing.of_caller(tenant_doc, caller)
    user, session = records.found(user_doc, User), records.found(session_doc, Session)
    if user is None or session is None or not people.goes_on(user.value, session.value):
        raise invalid_token()
    return OwnAccount(
        owner,
        user,
        session,
        factor_documents.factors(factors_key, factors_doc),
        factor_documents.policy(policy_key, policy_doc).value,
        await _is_narrowed(store, caller, user.value.role, session.value),
    )


async def _is_narrowed(store: Store, caller: Principal, role: str, session: Session) -> bool:
    """A token that can only enrol a factor goes on to enrol the next one, once the session can do more."""
    if ENROL_SCOPE in caller.scopes or caller.scopes.issuperset(session.scopes):
        return False
    if role in ROLES:
        stands_for = scopes_of([role])
    else:
        found = await records.read(store, records.role_key(store, caller.tenant_id, role), CustomRole)
        stands_for = frozenset(found.value.scopes if found else ())
    return not caller.scopes.issuperset(held(of_user(session, role).scopes, stands_for))
