"""Routes to sign out of the hosted pages, begun by a person or by a client (OIDC RP-Initiated Logout 1.0)."""

from urllib.parse import urlencode

from functions.auth.domain import logout_request
from functions.auth.domain.page_token import Pending
from functions.auth.hosted import pages
from functions.auth.hosted.markup import Link
from functions.auth.hosted.page_forms import PageForms
from functions.auth.oauth.rp_initiated_logout import Question
from functions.auth.use_cases import UseCases
from shared.http import PUBLIC, Call, Response, Route

_PATH = "/oauth2/logout"
_SIGNED_OUT = "You are signed out here. Applications that you opened may still have sessions of their own."
_NOWHERE = "The application has not registered the address that you were to go on to, so you stay here."


def table(use_cases: UseCases) -> tuple[Route, ...]:
    on = _Handlers(use_cases)
    shown = on.forms.handler
    return (
        Route("GET", _PATH, shown(on.begin), PUBLIC),
        Route("POST", _PATH, shown(on.sent), PUBLIC),
    )


class _Handlers:
    def __init__(self, use_cases: UseCases) -> None:
        self._do = use_cases
        self.forms = PageForms(use_cases.keys, use_cases.issuer, use_cases.clock)

    async def begin(self, call: Call) -> Response:
        session = self.forms.cookies.read(call.headers).session
        outcome = await self._do.rp_initiated_logout.begin(call.pairs(), session, call.request_id)
        if isinstance(outcome, Question):
            return await self._question(call, outcome)
        cookies = (self.forms.cookies.no_session(),) if outcome.was_signed_in else ()
        onward = outcome.onward
        if onward is None:
            text = f"{_SIGNED_OUT} {_NOWHERE}" if outcome.leads_nowhere else _SIGNED_OUT
            return self.forms.notice("Signed out", text, *cookies)
        if onward.is_proven:
            return self.forms.to(onward.uri, *cookies)
        back = Link(f"Back to {onward.client_name}", onward.uri)
        return self.forms.notice("Signed out", _SIGNED_OUT, *cookies, link=back)

    async def sent(self, call: Call) -> Response:
        """The form of our own page, or a client's request by POST (§2).

        A client's POST is redirected to the GET: only with that does a browser send our `SameSite` cookies.
        """
        pairs = await call.form_pairs()
        if all(name != "page" for name, _ in pairs):
            return self.forms.to(f"{_PATH}?{urlencode(logout_request.counted(pairs))}")
        sent = await self.forms.sent(call, "sign_out")
        if not sent.is_current:
            return self.forms.to(_PATH)
        await self._do.browser_sessions.end(sent.carried.session, call.request_id)
        no_session = self.forms.cookies.no_session()
        if sent.pending.onward:
            return self.forms.to(sent.pending.onward, no_session)
        return self.forms.notice("Signed out", _SIGNED_OUT, no_session)

    async def _question(self, call: Call, question: Question) -> Response:
        onward = question.onward
        client, uri = ("", "") if onward is None else (onward.client_name, onward.uri)
        note = _NOWHERE if question.leads_nowhere else ""

        def filled(token: str) -> str:
            return pages.sign_out(token, person=question.person, client=client, note=note)

        return await self.forms.shown(call, Pending("sign_out", onward=uri), filled)
