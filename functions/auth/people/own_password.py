"""A signed-in person gives the password again, before changes that a stolen access token must not make."""

from functions.auth.caller_rules import require_recent_session
from functions.auth.domain import factors as factor_rules
from functions.auth.factors import own_account
from functions.auth.guessing.source import Source
from functions.auth.sign_in.first_factor import FirstFactor
from functions.auth.sign_in.sign_in import SignIn
from shared.errors import Forbidden, Unauthenticated
from shared.identity import Principal
from shared.ids import Clock
from shared.store import Store


class OwnPassword:
    def __init__(self, store: Store, sign_in: SignIn, clock: Clock) -> None:
        self._store = store
        self._sign_in = sign_in
        self._clock = clock

    async def proven(self, principal: Principal, password: str, source: Source) -> FirstFactor:
        """Checks the password like a sign-in, so that guesses count in the same way. A person with a second
        factor must also have proven that in the last ten minutes.

        Raises `Forbidden` `wrong_password`, `step_up_required`; what `OwnAccount.require_whole` and
        `own_account.read` raise; `Invalid`, `Unavailable`.
        """
        account = await own_account.read(self._store, principal)
        account.require_whole()
        if factor_rules.enrolled(account.factors.value):
            require_recent_session(account.session.value, self._clock(), "aal2")
        slug, email = account.owner.value.slug, account.user.value.email
        try:
            return await self._sign_in.first_factor(slug, email, password, source)
        except Unauthenticated:
            detail = "This is not your password, or it was wrong too often. Try again later."
            raise Forbidden("wrong_password", detail) from None
