"""Routes of the pages that mailed links open. A GET neither reads nor changes state; the form's POST does."""

from collections.abc import Awaitable, Callable, Mapping

import msgspec

from functions.auth.domain.one_time_link import LinkKind
from functions.auth.guessing.source import Source, source_of
from functions.auth.hosted import link_pages, markup
from functions.auth.hosted.link_pages import Done, LinkForm
from functions.auth.hosted.page_forms import PageForms
from functions.auth.use_cases import UseCases
from shared.errors import Conflict, Error, Invalid, invalid
from shared.http import PUBLIC, Call, Response, Route

Page = Callable[[LinkForm], str]
Sent = Mapping[str, str]
Use = Callable[[str, Sent, Source], Awaitable[Done]]
"""Carries out what a link is for. Its arguments: the link's token, the form's fields, the client."""


def table(use_cases: UseCases) -> tuple[Route, ...]:
    on = _Handlers(use_cases)
    return (
        *on.routes("/invitation", "invitation", link_pages.invitation, on.accept),
        *on.routes("/reset-password", "password_reset", link_pages.password_reset, on.reset),
        *on.routes("/verify-email", "email_verification", link_pages.email_verification, on.verify),
    )


class _Handlers:
    def __init__(self, use_cases: UseCases) -> None:
        self._do = use_cases
        self._forms = PageForms(use_cases.keys, use_cases.issuer, use_cases.clock)
        self._script = markup.source(link_pages.SCRIPT)

    def routes(self, path: str, kind: LinkKind, page: Page, use: Use) -> tuple[Route, ...]:
        """The GET that shows the page, and the POST of its form."""

        async def opened(call: Call) -> Response:
            return self._shown(page, LinkForm())

        async def sent(call: Call) -> Response:
            return await self._sent(call, kind, page, use)

        shown = self._forms.handler
        return Route("GET", path, shown(opened), PUBLIC), Route("POST", path, shown(sent), PUBLIC)

    async def accept(self, token: str, sent: Sent, source: Source) -> Done:
        password, name = _password(sent), sent.get("name", "")
        user = await self._do.invitations.accept(token, password, name, source.request_id, source.ip)
        return Done("You are in. Go to the application now, and sign in with your password.", user.email)

    async def reset(self, token: str, sent: Sent, source: Source) -> Done:
        await self._do.password_changes.reset(token, _password(sent), source.request_id, source.ip)
        return Done("Your new password is set. Go back to the application, and sign in with it.")

    async def verify(self, token: str, sent: Sent, source: Source) -> Done:
        user = await self._do.email_changes.confirm(token, source.request_id, source.ip)
        return Done("From now on you sign in with your new address. Go back to the application.", user.email)

    async def _sent(self, call: Call, kind: LinkKind, page: Page, use: Use) -> Response:
        """A token that we did not issue is not shown again: the person may have typed a password there."""
        self._forms.require_own(call.headers)
        sent = await call.form()
        form = LinkForm(token=_token(sent.get("token", "")), name=sent.get("name", ""))
        try:
            link = (await self._do.keys.current()).links.read(kind, form.token)
            if link is None:
                return self._refused(page, LinkForm(), _dead())
            # Before `use`, so that a failure here does not use the link up.
            owner = await self._do.organisations.find(link.tenant_id)
            done = await use(form.token, sent, source_of(call))
            return self._forms.page(link_pages.done(done, owner))
        except Error as refusal:
            return self._refused(page, form, refusal)

    def _refused(self, page: Page, form: LinkForm, refusal: Error) -> Response:
        """The page again, with its token. A used, an expired and an unknown link get the same answer."""
        wrong = refusal.fields[0].path.removeprefix("/") if refusal.fields else ""
        if wrong == "token" or (isinstance(refusal, Conflict) and refusal.code != "user_exists"):
            refusal, wrong = _dead(), "token"
        filled = msgspec.structs.replace(form, error=refusal.detail, wrong=wrong)
        return self._shown(page, filled, refusal.status, refusal.headers)

    def _shown(
        self, page: Page, form: LinkForm, status: int = 200, headers: Mapping[str, str] | None = None
    ) -> Response:
        return self._forms.page(page(form), status=status, headers=headers, script=self._script)


def _dead() -> Invalid:
    detail = (
        "This link does not work, or no longer. Each works once, for a limited time, and a newer one replaces"
        " it. If you have used it already, sign in at the application. If not, ask for a new one."
    )
    return invalid("/token", "invalid_token", detail)


def _token(typed: str) -> str:
    """The token, also if it was broken into lines by a mail program, or the whole link was pasted."""
    return "".join(typed.split()).rpartition("token=")[2]


def _password(sent: Sent) -> str:
    """Raises `Invalid` `password_not_repeated`."""
    password = sent.get("password", "")
    if password != sent.get("password_again", ""):
        detail = "The two passwords are not the same. Type both again."
        raise invalid("/password", "password_not_repeated", detail)
    return password
