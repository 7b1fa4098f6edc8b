"""Reads the forms of hosted pages, and answers with pages."""

import re
from collections.abc import Awaitable, Callable, Mapping
from urllib.parse import urlsplit

import msgspec

from functions.auth.domain.page_token import Opened, PageTokens, Pending, Step
from functions.auth.guessing.source import Source, source_of
from functions.auth.hosted import markup, pages, passkey_form
from functions.auth.hosted.markup import Link
from functions.auth.hosted.page_cookies import Carried, PageCookies
from functions.auth.hosted.pages import SignInForm
from functions.auth.keyring.keys import KeyRoom
from shared.errors import BadRequest, Error, Forbidden
from shared.http import Call, Handler, Response
from shared.ids import Clock, new_id

_PLAIN_HOST = re.compile(r"[A-Za-z0-9.-]+(?::[0-9]+)?")
_GONE = "This page is not valid any more. Go back to the application, or to your device, and start again."
EXPIRED = "This page was open for too long, or your browser refuses cookies. Try again."

Filled = Callable[[str], str]
"""Renders a page, given its form's page token."""


class Sent(msgspec.Struct, frozen=True):
    """A submitted form with a genuine page token. `is_current`: the token is of this browser and in time."""

    fields: Mapping[str, str]
    pending: Pending
    is_current: bool
    carried: Carried


class PageForms:
    def __init__(self, keys: KeyRoom, issuer: str, clock: Clock) -> None:
        self._keys = keys
        self._issuer = issuer
        self._clock = clock
        self.cookies = PageCookies(issuer)
        self._style = markup.source(markup.STYLE)
        self.passkey_script = markup.source(passkey_form.SCRIPT)

    async def sent(self, call: Call, *steps: Step) -> Sent:
        """The submitted form. Raises `BadRequest` `page_expired` without a genuine page token for one of
        `steps`, `Forbidden` if it comes from another site.
        """
        self.require_own(call.headers)
        fields = await call.form()
        carried = self.cookies.read(call.headers)
        opened = await self._opened(fields.get("page", ""), carried)
        if opened is None or opened.pending.step not in steps:
            raise BadRequest("page_expired", _GONE)
        return Sent(fields, opened.pending, opened.is_current, carried)

    async def shown(
        self,
        call: Call,
        pending: Pending,
        filled: Filled,
        *,
        status: int = 200,
        headers: Mapping[str, str] | None = None,
        script: str = "",
    ) -> Response:
        """A page whose form carries `pending`, bound to this browser. Other parameters as for `page`."""
        known = self.cookies.read(call.headers).browser
        browser = known or new_id("brw")
        token = PageTokens((await self._keys.current()).front_channel).seal(pending, browser, self._clock())
        target = pending.request.redirect_uri if pending.request else pending.onward or None
        cookies = () if known else (self.cookies.browser(browser),)
        text = filled(token)
        return self.page(text, *cookies, status=status, headers=headers, target=target, script=script)

    async def sign_in(
        self,
        call: Call,
        pending: Pending,
        form: SignInForm,
        *,
        status: int = 200,
        headers: Mapping[str, str] | None = None,
    ) -> Response:
        """The sign-in page, with which each flow begins."""

        def filled(token: str) -> str:
            return pages.sign_in(msgspec.structs.replace(form, token=token))

        script = "" if form.passkey is None else self.passkey_script
        return await self.shown(call, pending, filled, status=status, headers=headers, script=script)

    def notice(
        self, title: str, text: str, *cookies: str, status: int = 200, link: Link | None = None
    ) -> Response:
        """A page without a form: a message, and perhaps a link."""
        return self.page(pages.notice(title, text, link), *cookies, status=status)

    def page(
        self,
        text: str,
        *cookies: str,
        status: int = 200,
        headers: Mapping[str, str] | None = None,
        target: str | None = None,
        script: str = "",
    ) -> Response:
        """For its Content-Security-Policy: `target` is the URI to which its form may redirect in the end,
        `script` the source expression of its inline script.
        """
        more = {**(headers or {}), **self._headers(target, script)}
        return Response(status, text.encode(), "text/html", more, cookies)

    def to(self, uri: str, *cookies: str) -> Response:
        """A redirect (303)."""
        return Response(303, b"", "text/html", {"Location": uri, **self._headers()}, cookies)

    def handler(self, handle: Callable[[Call], Awaitable[Response]]) -> Handler:
        """Wraps `handle`, so that its refusals are answered with a page instead of problem+json."""

        async def shown(call: Call) -> Response:
            try:
                return await handle(call)
            except Error as refusal:
                text = pages.notice("That did not work", refusal.detail)
                return self.page(text, status=refusal.status, headers=refusal.headers)

        return shown

    def source(self, call: Call) -> Source:
        return source_of(call, self.cookies.read(call.headers).device)

    def require_own(self, headers: Mapping[str, str]) -> None:
        """Raises `Forbidden` `cross_site` for another site's form, by `Sec-Fetch-Site` (Fetch Metadata) and
        `Origin`, which is `null` for our own forms because of our `Referrer-Policy`.
        """
        site, origin = headers.get("sec-fetch-site"), headers.get("origin")
        if site not in (None, "same-origin", "none") or origin not in (None, "null", self._issuer):
            raise Forbidden("cross_site", "This form was sent from another site. Nothing was done.")

    async def _opened(self, text: str, carried: Carried) -> Opened | None:
        tokens = PageTokens((await self._keys.current()).front_channel)
        return tokens.open(text, carried.browser, self._clock())

    def _headers(self, redirect_uri: str | None = None, script: str = "") -> dict[str, str]:
        """Security headers. CSP's `form-action` applies to a redirect after a form (`redirect_uri`)."""
        target = "" if redirect_uri is None else f" {_source_expression(redirect_uri)}"
        scripts = f"script-src {script}; " if script else ""
        policy = (
            f"default-src 'none'; {scripts}style-src {self._style}; form-action 'self'{target};"
            " frame-ancestors 'none'; base-uri 'none'"
        )
        return {
            "Content-Security-Policy": policy,
            "X-Frame-Options": "DENY",
            "Referrer-Policy": "no-referrer",
            "Cache-Control": "no-store",
        }


def _source_expression(uri: str) -> str:
    """The origin of `uri`; only its scheme if CSP cannot express the origin (IPv6, an app's own scheme)."""
    parts = urlsplit(uri)
    if parts.scheme in ("http", "https") and _PLAIN_HOST.fullmatch(parts.netloc):
        return f"{parts.scheme}://{parts.netloc}"
    return f"{parts.scheme}:"
