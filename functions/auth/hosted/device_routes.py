"""Routes of the device flow (RFC 8628): the device's endpoint, and the pages on which a person decides."""

from functions.auth.domain import user_code
from functions.auth.domain.page_token import Pending
from functions.auth.guessing.source import source_of
from functions.auth.hosted import pages
from functions.auth.hosted.page_forms import EXPIRED, PageForms
from functions.auth.hosted.pages import SignInForm
from functions.auth.sessions.browser_sessions import SignedIn
from functions.auth.use_cases import UseCases
from shared.errors import NotFound, OAuthError, TooManyRequests, Unauthenticated
from shared.http import NO_STORE, PUBLIC, Call, Response, Route, json_response
from shared.identity import authorization

_NOTHING_TO_GIVE = "You have none of the rights that this device asks for. Ask your administrator."


def table(use_cases: UseCases) -> tuple[Route, ...]:
    on = _Handlers(use_cases)
    shown = on.forms.handler
    return (
        Route("POST", "/oauth2/device_authorization", on.ask, PUBLIC, oauth=True),
        Route("GET", "/device", shown(on.page), PUBLIC),
        Route("POST", "/device", shown(on.look), PUBLIC),
        Route("POST", "/device/decision", shown(on.decide), PUBLIC),
    )


class _Handlers:
    def __init__(self, use_cases: UseCases) -> None:
        self._do = use_cases
        self.forms = PageForms(use_cases.keys, use_cases.issuer, use_cases.clock)

    async def ask(self, call: Call) -> Response:
        form = await call.form()
        authorized, address = authorization(call.headers), call.client_ip
        client = await self._do.clients.authenticate(form, authorized, call.request_id, address)
        asked = await self._do.device_grants.ask(client, form, address)
        return json_response(asked, headers=NO_STORE)

    async def page(self, call: Call) -> Response:
        """Changes nothing, since link previews and mail scanners open links too."""
        code = user_code.typed(dict(call.pairs()).get("user_code", "")) or ""
        signed_in = await self._do.browser_sessions.find(self.forms.cookies.read(call.headers).session)
        if signed_in is None:
            return await self._sign_in(call, code)
        return await self._code_page(call, signed_in, user_code.shown(code) if code else "")

    async def look(self, call: Call) -> Response:
        sent = await self.forms.sent(call, "device")
        typed = sent.fields.get("user_code", "")
        signed_in = await self._do.browser_sessions.find(sent.carried.session)
        if signed_in is None:
            return await self._sign_in(call, user_code.typed(typed) or "")
        if not sent.is_current:
            return await self._code_page(call, signed_in, typed, EXPIRED, 400)
        try:
            wish = await self._do.device_grants.look(signed_in, typed)
        except (NotFound, TooManyRequests) as refusal:
            return await self._code_page(call, signed_in, typed, refusal.detail, refusal.status)
        except OAuthError:
            return await self._code_page(call, signed_in, typed, _NOTHING_TO_GIVE, 403)
        session_id = signed_in.session.value.id

        def filled(token: str) -> str:
            return pages.device_decision(
                token,
                person=signed_in.user.value.email,
                client=wish.client.value.name,
                code=user_code.shown(wish.user_code),
                scopes=wish.scopes,
            )

        pending = Pending("device_decision", user_code=wish.user_code, session_id=session_id)
        return await self.forms.shown(call, pending, filled)

    async def decide(self, call: Call) -> Response:
        sent = await self.forms.sent(call, "device_decision")
        code, decision = sent.pending.user_code, sent.fields.get("decision")
        if not sent.is_current or decision not in ("allow", "deny"):
            return self.forms.to(f"/device?user_code={code}")
        allow = decision == "allow"
        try:
            await self._do.device_grants.decide(
                sent.carried.session, sent.pending.session_id, code, source_of(call), allow=allow
            )
        except Unauthenticated:
            return self.forms.to(f"/device?user_code={code}")
        except OAuthError:
            return self.forms.notice("Not connected", _NOTHING_TO_GIVE, status=403)
        if allow:
            return self.forms.notice("Device connected", "Go back to your device. You can close this page.")
        return self.forms.notice("Not connected", "The device was refused. You can close this page.")

    async def _sign_in(self, call: Call, code: str) -> Response:
        return await self.forms.sign_in(call, Pending("sign_in", user_code=code), SignInForm())

    async def _code_page(
        self, call: Call, signed_in: SignedIn, code: str, error: str = "", status: int = 200
    ) -> Response:
        person = signed_in.user.value.email

        def filled(token: str) -> str:
            return pages.device(token, person=person, code=code, error=error)

        return await self.forms.shown(call, Pending("device"), filled, status=status)
