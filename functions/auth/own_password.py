"""Somebody who is signed in proves to know the password, before what a stolen access token must not do."""

from functions.auth import own_account, standing, users
from functions.auth.failed_sign_ins import Source
from functions.auth.first_factor import FirstFactor
from functions.auth.sign_in import SignIn
from shared.errors import Forbidden, Unauthenticated
from shared.identity import Principal
from shared.store import Store


class OwnPassword:
    def __init__(self, store: Store, sign_in: SignIn) -> None:
        self._store = store
        self._sign_in = sign_in

    async def proven(self, principal: Principal, password: str, source: Source) -> FirstFactor:
        """As at a sign-in, so guesses count and are slowed down in the same way.

        Raises `Forbidden` `no_session` for a machine, `first_party_only` for an application, and
        `wrong_password`; `Invalid`, `Unavailable`.
        """
        if principal.session_id is None:
            raise Forbidden("no_session", "A machine has no password.")
        own_account.require_first_party(principal)
        owner = await standing.read(self._store, principal)
        user = await users.known(self._store, principal.tenant_id, principal.subject)
        try:
            return await self._sign_in.first_factor(owner.value.slug, user.value.email, password, source)
        except Unauthenticated:
            detail = "This is not your password, or it was wrong too often. Try again later."
            raise Forbidden("wrong_password", detail) from None
