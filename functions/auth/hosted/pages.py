"""HTML of the hosted pages. They load nothing, and escape every parameter; only passkeys take a script."""

from collections.abc import Sequence
from html import escape

import msgspec

from functions.auth.hosted import markup, passkey_form
from functions.auth.hosted.markup import Link

_SIGN_IN = "/oauth2/sign-in"
_FORGOT = "/forgot-password"
_WORDS = {
    "openid": "Know who you are",
    "profile": "See your name",
    "email": "See your e-mail address",
    "tenant:read": "See your organisation",
}
"""Scopes with a text of their own, shown in this order before all others."""
_VERBS = {"read": "See", "write": "See and change"}


class SignInForm(msgspec.Struct, frozen=True):
    """What the sign-in page shows. `token` is the page token, `client` the application's name (empty: a
    device is to be connected), `organisation` the tenant's name if the application names the tenant,
    `passkey` the options for `navigator.credentials.get()` in that tenant, `done` a message about what has
    just been done.
    """

    token: str = ""
    client: str = ""
    organisation: str = ""
    slug: str = ""
    email: str = ""
    error: str = ""
    passkey: msgspec.Raw | None = None
    done: str = ""


def sign_in(form: SignInForm) -> str:
    to = f"continue to <strong>{escape(form.client)}</strong>" if form.client else "connect a device"
    whose = f"<strong>{escape(form.organisation)}</strong> account" if form.organisation else "account"
    invalid = markup.invalid(bool(form.error))
    focus_password = bool(form.email)
    password = markup.field(
        "password",
        "Password",
        f'type="password" autocomplete="current-password" maxlength="1024"'
        f"{invalid}{markup.autofocus(focus_password and bool(form.organisation or form.slug))}",
    )
    lead = f'<p class="lead">Use your {whose} to {to}.</p>'
    body = markup.form(_SIGN_IN, _account(form) + password + markup.button("Sign in"), form.token)
    if form.passkey is not None:
        body += passkey_form.passkey_form(_SIGN_IN, form.token, form.passkey, "Sign in with a passkey")
    body += _to_forgot_password(form)
    script = "" if form.passkey is None else passkey_form.SCRIPT
    top = "<h1>Sign in</h1>" + lead + markup.status(form.done) + markup.alert(form.error)
    return markup.document("Sign in", top + body, script)


def _to_forgot_password(form: SignInForm) -> str:
    """A form and not a link: it carries the page token, which must not appear in a URL."""
    typed = {"email": form.email} if form.organisation else {"email": form.email, "organisation": form.slug}
    fields = "".join(
        f'<input type="hidden" name="{name}" value="{escape(value)}">' for name, value in typed.items()
    )
    button = '<button type="submit" class="quiet">Forgot your password?</button>'
    return markup.form(_FORGOT, fields + button, form.token)


def forgot_password(form: SignInForm) -> str:
    """Asks for the account to which a link for a new password is mailed."""
    whose = f" of your <strong>{escape(form.organisation)}</strong> account" if form.organisation else ""
    lead = f'<p class="lead">Give the address{whose}. A link to choose a new password is mailed to it.</p>'
    body = markup.form(_FORGOT, _account(form) + markup.button("Send the link"), form.token)
    title = "Forgot your password?"
    return markup.document(title, f"<h1>{title}</h1>{lead}{markup.alert(form.error)}{body}")


def device(token: str, *, person: str, code: str, error: str = "") -> str:
    """Asks for the code that a device shows. `person` is the e-mail address of the user who is signed in."""
    invalid = markup.invalid(bool(error))
    field = markup.field(
        "user_code",
        "Code on your device",
        f'type="text" class="code" autocomplete="off" autocapitalize="characters" spellcheck="false"'
        f' maxlength="64" placeholder="XXXX-XXXX" value="{escape(code)}"{invalid}'
        f"{markup.autofocus(not code)}",
        "Go on only if it is a device of yours that shows this code now." if code else "",
    )
    lead = f'<p class="lead">You are signed in as <strong>{escape(person)}</strong>.</p>'
    body = markup.form("/device", field + markup.button("Continue"), token)
    return markup.document(
        "Connect a device", "<h1>Connect a device</h1>" + lead + markup.alert(error) + body
    )


def device_decision(token: str, *, person: str, client: str, code: str, scopes: Sequence[str]) -> str:
    """Asks whether to allow the device. `code` is written as the device shows it."""
    rights = "".join(f"<li>{escape(right)}</li>" for right in _rights(scopes))
    body = (
        f'<h1>Allow this device?</h1><p class="lead"><strong>{escape(client)}</strong> on the device that'
        f' shows this code wants to act as <strong>{escape(person)}</strong>:</p><p class="big">'
        f"{escape(code)}</p><p>It could then:</p><ul>{rights}</ul>"
        '<p class="warning">Allow it only if you have the device before you and began this yourself.</p>'
    )
    buttons = (
        '<button type="submit" name="decision" value="allow">Allow</button>'
        '<button type="submit" name="decision" value="deny" class="quiet">Do not allow</button>'
    )
    return markup.document("Allow this device?", body + markup.form("/device/decision", buttons, token))


def sign_out(token: str, *, person: str, client: str = "", note: str = "") -> str:
    """Asks whether to sign out. `client` is the application that began it; empty if unknown or none did."""
    asks = f" <strong>{escape(client)}</strong> has asked to sign you out here, too." if client else ""
    lead = f'<p class="lead">You are signed in as <strong>{escape(person)}</strong>.{asks}</p>'
    form = markup.form("/oauth2/logout", markup.button("Sign out here"), token)
    below = f'<p class="hint">{escape(note)}</p>' if note else ""
    return markup.document("Sign out", "<h1>Sign out</h1>" + lead + form + below)


def notice(title: str, text: str, link: Link | None = None) -> str:
    """A message, and perhaps a link."""
    body = f'<h1>{escape(title)}</h1><p class="lead">{escape(text)}</p>{markup.link(link)}'
    return markup.document(title, body)


def _account(form: SignInForm) -> str:
    """The fields that identify the account. The organisation is asked for only if it is not known."""
    invalid = markup.invalid(bool(form.error))
    focus_email = not form.email and bool(form.organisation or form.slug)
    slug = (
        ""
        if form.organisation
        else markup.field(
            "organisation",
            "Organisation",
            f'type="text" autocomplete="organization" autocapitalize="none" spellcheck="false"'
            f' maxlength="64" value="{escape(form.slug)}"{invalid}{markup.autofocus(not form.slug)}',
            "Its short name, like my-company. It is in the mail that invited you.",
        )
    )
    return slug + markup.field(
        "email",
        "E-mail address",
        f'type="email" inputmode="email" autocomplete="username" maxlength="254"'
        f' value="{escape(form.email)}"{invalid}{markup.autofocus(focus_email)}',
    )


def _rights(scopes: Sequence[str]) -> list[str]:
    """Scopes in words. `users:read` (`See users`) is left out beside `users:write`, which includes it."""
    known = [words for scope, words in _WORDS.items() if scope in scopes]
    changing = {scope.rpartition(":")[0] for scope in scopes if scope.endswith(":write")}
    others = (scope for scope in scopes if scope not in _WORDS)
    return known + [
        _described(*scope.rpartition(":"))
        for scope in others
        if not (scope.endswith(":read") and scope.rpartition(":")[0] in changing)
    ]


def _described(what: str, colon: str, action: str) -> str:
    verb = _VERBS.get(action)
    things = what.replace("_", " ").replace(":", " ")
    return f"{verb} {things}" if verb else f"{what}{colon}{action}"
