"""Routes of the hosted pages: the authorization endpoint, sign-in, forgotten passwords."""

from urllib.parse import urlencode

import msgspec

from functions.auth.domain.page_token import Pending
from functions.auth.factors.passkey_ceremonies import Assertion
from functions.auth.guessing.source import Source
from functions.auth.hosted import pages, second_factor_page
from functions.auth.hosted.hosted_sign_in import Begun
from functions.auth.hosted.page_forms import EXPIRED, PageForms, Sent
from functions.auth.hosted.pages import SignInForm
from functions.auth.oauth.authorize import Redirect, SignInNeeded
from functions.auth.sign_in.second_factors import Challenge
from functions.auth.use_cases import UseCases
from shared import strict_json
from shared.errors import Forbidden, Invalid, TooManyRequests, Unauthenticated, Unavailable, invalid
from shared.http import PUBLIC, Call, Response, Route

_AUTHORIZE = "/oauth2/authorize"
_LONGEST_QUERY = 8_000
"""In characters; proxies on the way refuse much longer URLs."""
_NO_MATCH = "These details match no account, or there were too many tries. Check them, or wait a while."
_NO_CODE = "This code was not accepted. Enter the next one or a recovery code, or wait a while."
_OVER = "That took too long, or there were too many wrong answers. Sign in again."
_NO_PASSKEY = "This passkey was not accepted. Try it again, or sign in another way."
_MAILED = (
    "If there is an account with this address, a link was mailed to it, good for half an hour. Choose a new"
    " password there, then sign in with it. No mail? Check your spam folder, or check what you typed and ask"
    " again."
)


def table(use_cases: UseCases) -> tuple[Route, ...]:
    on = _Handlers(use_cases)
    shown = on.forms.handler
    return (
        Route("GET", _AUTHORIZE, shown(on.authorize), PUBLIC),
        Route("POST", _AUTHORIZE, shown(on.authorize_by_form), PUBLIC),
        Route("POST", "/oauth2/sign-in", shown(on.sign_in), PUBLIC),
        Route("POST", "/oauth2/second-factor", shown(on.second_factor), PUBLIC),
        Route("GET", "/forgot-password", shown(on.forgot_password_page), PUBLIC),
        Route("POST", "/forgot-password", shown(on.forgot_password), PUBLIC),
    )


class _Handlers:
    def __init__(self, use_cases: UseCases) -> None:
        self._do = use_cases
        self.forms = PageForms(use_cases.keys, use_cases.issuer, use_cases.clock)

    async def authorize(self, call: Call) -> Response:
        session = self.forms.cookies.read(call.headers).session
        return await self._answered(call, await self._do.authorize.begin(call.pairs(), session))

    async def authorize_by_form(self, call: Call) -> Response:
        """OpenID Connect Core §3.1.2.1 requires both methods.

        A browser sends our `SameSite` cookies with a redirect to GET, but not with another site's POST, so a
        POST without the session is redirected to the GET. One too long for a URL is answered as it is: then a
        person who is signed in is asked to sign in again.
        """
        session = self.forms.cookies.read(call.headers).session
        pairs = await call.form_pairs()
        query = urlencode(pairs)
        if session is None and len(query) <= _LONGEST_QUERY:
            return self.forms.to(f"{_AUTHORIZE}?{query}")
        return await self._answered(call, await self._do.authorize.begin(pairs, session))

    async def sign_in(self, call: Call) -> Response:
        sent = await self.forms.sent(call, "sign_in")
        page = await self._sign_in_form(sent)
        if not sent.is_current:
            return await self._again(call, sent.pending, page, EXPIRED, 400)
        try:
            done = await self._first(sent, page.slug, self.forms.source(call))
        except (Unauthenticated, Invalid):
            error = _NO_PASSKEY if "passkey" in sent.fields else _NO_MATCH
            return await self._again(call, sent.pending, page, error, 400)
        except (Forbidden, TooManyRequests, Unavailable) as refusal:
            return await self._again(
                call, sent.pending, page, refusal.detail, refusal.status, refusal.headers
            )
        if isinstance(done, Begun):
            return await self._signed_in(call, sent.pending, done)
        pending = Pending("second_factor", sent.pending.request, sent.pending.user_code, done.challenge)
        return await self._second_factor_page(call, pending, done)

    async def _first(self, sent: Sent, slug: str, source: Source) -> Begun | Challenge:
        passkey = sent.fields.get("passkey")
        if passkey is not None:
            return await self._do.hosted_sign_in.by_passkey(slug, _assertion(passkey), source)
        email, password = sent.fields.get("email", ""), sent.fields.get("password", "")
        return await self._do.hosted_sign_in.first(slug, email, password, source)

    async def forgot_password_page(self, call: Call) -> Response:
        return await self._forgot_page(call, Pending("forgot_password"), SignInForm())

    async def forgot_password(self, call: Call) -> Response:
        """Takes two forms: the button on the sign-in page, which opens this page, and this page's own form.

        The answer does not tell whether the account exists. It leads back to what the sign-in was for.
        """
        sent = await self.forms.sent(call, "sign_in", "forgot_password")
        page = await self._sign_in_form(sent)
        request, user_code = sent.pending.request, sent.pending.user_code
        pending = Pending("forgot_password", request, user_code)
        if sent.pending.step == "sign_in":
            return await self._forgot_page(call, pending, page)
        if not sent.is_current:
            return await self._forgot_page(call, pending, page, EXPIRED, 400)
        try:
            await self._do.throttle.spend(page.slug, self.forms.source(call))
            await self._do.password_changes.forgot(page.slug, page.email)
        except (Invalid, TooManyRequests, Unavailable) as refusal:
            return await self._forgot_page(
                call, pending, page, refusal.detail, refusal.status, refusal.headers
            )
        if request is None and not user_code:
            return self.forms.notice("Check your mailbox", _MAILED)
        back = msgspec.structs.replace(page, done=_MAILED)
        return await self.forms.sign_in(call, Pending("sign_in", request, user_code), back)

    async def second_factor(self, call: Call) -> Response:
        sent = await self.forms.sent(call, "second_factor")
        if not sent.is_current:
            return await self._anew(call, sent, EXPIRED)
        try:
            done = await self._second(sent, self.forms.source(call))
        except (Unauthenticated, Invalid):
            error = _NO_PASSKEY if "passkey" in sent.fields else _NO_CODE
            return await self._second_factor_again(call, sent, error, 400)
        except (Forbidden, TooManyRequests, Unavailable) as refusal:
            return await self._second_factor_again(call, sent, refusal.detail, refusal.status)
        return await self._signed_in(call, sent.pending, done)

    async def _second(self, sent: Sent, source: Source) -> Begun:
        challenge, passkey = sent.pending.challenge, sent.fields.get("passkey")
        if passkey is None:
            return await self._do.hosted_sign_in.second(challenge, sent.fields.get("code", ""), source)
        return await self._do.hosted_sign_in.second_by_passkey(challenge, _assertion(passkey), source)

    async def _answered(self, call: Call, outcome: Redirect | SignInNeeded, *cookies: str) -> Response:
        if isinstance(outcome, Redirect):
            return self.forms.to(outcome.uri, *cookies)
        pending = Pending("sign_in", outcome.request)
        form = await self._form(outcome, outcome.request.login_hint)
        return await self.forms.sign_in(call, pending, form)

    async def _signed_in(self, call: Call, pending: Pending, begun: Begun) -> Response:
        cookies = self.forms.cookies.session(begun.session), self.forms.cookies.device(begun.device)
        if pending.request is not None:
            outcome = await self._do.authorize.go_on(pending.request, begun.session)
            return await self._answered(call, outcome, *cookies)
        query = f"?user_code={pending.user_code}" if pending.user_code else ""
        return self.forms.to(f"/device{query}", *cookies)

    async def _sign_in_form(self, sent: Sent) -> SignInForm:
        """The values to show again, without the password. Raises `BadRequest` if the client is gone."""
        email = sent.fields.get("email", "")
        if sent.pending.request is not None:
            return await self._form(await self._do.authorize.page_of(sent.pending.request), email)
        return SignInForm(slug=sent.fields.get("organisation", "").strip().lower(), email=email)

    async def _form(self, asked: SignInNeeded, email: str) -> SignInForm:
        options = await self._do.passkey_sign_in.options(asked.slug)
        return SignInForm("", asked.client_name, asked.organisation, asked.slug, email, passkey=options)

    async def _again(
        self,
        call: Call,
        pending: Pending,
        page: SignInForm,
        error: str,
        status: int,
        headers: dict[str, str] | None = None,
    ) -> Response:
        form = msgspec.structs.replace(page, error=error)
        return await self.forms.sign_in(call, pending, form, status=status, headers=headers)

    async def _forgot_page(
        self,
        call: Call,
        pending: Pending,
        page: SignInForm,
        error: str = "",
        status: int = 200,
        headers: dict[str, str] | None = None,
    ) -> Response:
        def filled(token: str) -> str:
            return pages.forgot_password(msgspec.structs.replace(page, token=token, error=error))

        return await self.forms.shown(call, pending, filled, status=status, headers=headers)

    async def _anew(self, call: Call, sent: Sent, error: str) -> Response:
        start = Pending("sign_in", sent.pending.request, sent.pending.user_code)
        return await self._again(call, start, await self._sign_in_form(sent), error, 400)

    async def _second_factor_page(
        self, call: Call, pending: Pending, asked: Challenge, error: str = "", status: int = 200
    ) -> Response:
        def filled(token: str) -> str:
            return second_factor_page.second_factor(token, asked, error)

        script = "" if asked.passkey is None else self.forms.passkey_script
        return await self.forms.shown(call, pending, filled, status=status, script=script)

    async def _second_factor_again(self, call: Call, sent: Sent, error: str, status: int) -> Response:
        """The page again; the sign-in page if the challenge is over."""
        try:
            asked = await self._do.second_factors.asked_again(sent.pending.challenge)
        except Unauthenticated:
            return await self._anew(call, sent, _OVER)
        return await self._second_factor_page(call, sent.pending, asked, error, status)


def _assertion(text: str) -> Assertion:
    """The JSON that a browser made of a WebAuthn assertion. Raises `Invalid` for anything else."""
    try:
        return strict_json.decode(text.encode(), Assertion)
    except (strict_json.Malformed, msgspec.ValidationError):
        raise invalid("/passkey", "invalid_value", "This is no answer of a passkey.") from None
