"""The hosted pages as HTML: no script, no image, nothing from elsewhere. What comes in is escaped here."""

import base64
import hashlib
from collections.abc import Sequence
from html import escape

import msgspec

STYLE = """
:root{color-scheme:light dark;--page:#f3f4f8;--card:#fff;--text:#171a23;--muted:#565d6d;--line:#868e9f;
--accent:#2f4fd8;--on-accent:#fff;--bad:#b3261e;--bad-page:#fdf0ef}
@media (prefers-color-scheme:dark){:root{--page:#12141a;--card:#1c1f28;--text:#eef0f6;--muted:#a5adbd;
--line:#737c91;--accent:#8ea4ff;--on-accent:#10131c;--bad:#ffb4ab;--bad-page:#3a1f1d}}
*{box-sizing:border-box}
body{margin:0;min-height:100vh;display:flex;flex-direction:column;align-items:center;
justify-content:center;padding:24px 16px;background:var(--page);color:var(--text);
font:16px/1.5 system-ui,-apple-system,"Segoe UI",Roboto,"Noto Sans",sans-serif}
main{width:100%;max-width:25rem;background:var(--card);border-radius:16px;padding:32px 28px;
box-shadow:0 1px 2px rgb(0 0 0/.08),0 12px 32px rgb(0 0 0/.08)}
h1{margin:0 0 4px;font-size:1.5rem;line-height:1.25;letter-spacing:-.01em}
p{margin:0 0 16px}
.lead,.hint{color:var(--muted)}
.lead{margin-bottom:24px}
.hint{font-size:.875rem;margin:6px 0 0}
.warning{margin:0 0 16px}
strong{font-weight:600;color:var(--text);overflow-wrap:anywhere}
label{display:block;font-weight:600;font-size:.9375rem;margin:0 0 6px}
.field{margin:0 0 18px}
input{width:100%;font:inherit;color:inherit;background:transparent;border:1px solid var(--line);
border-radius:10px;padding:11px 13px}
input[aria-invalid]{border-color:var(--bad)}
input.code{font:600 1.375rem/1.4 ui-monospace,"DejaVu Sans Mono",monospace;letter-spacing:.14em;
text-align:center;text-transform:uppercase}
input:focus-visible,button:focus-visible,.alert:focus-visible{outline:3px solid var(--accent);
outline-offset:2px}
button{width:100%;font:inherit;font-weight:600;border:1px solid transparent;border-radius:10px;
padding:12px;cursor:pointer;background:var(--accent);color:var(--on-accent)}
button.quiet{background:transparent;color:inherit;border-color:var(--line);margin-top:10px}
.alert{border-left:4px solid var(--bad);background:var(--bad-page);border-radius:6px;padding:12px 14px;
margin:0 0 20px}
.alert p{margin:0}
ul{margin:0 0 20px;padding:4px 0 4px 22px}
li{margin:4px 0}
.big{font:600 1.5rem/1.4 ui-monospace,"DejaVu Sans Mono",monospace;letter-spacing:.12em;
text-align:center;border:1px dashed var(--line);border-radius:10px;padding:10px;margin:0 0 20px}
@media (max-width:26rem){body{padding:0;justify-content:flex-start;background:var(--card)}
main{box-shadow:none;padding:32px 20px}}
"""

_WORDS = {
    "openid": "Know who you are",
    "profile": "See your name",
    "email": "See your e-mail address",
    "tenant:read": "See your organisation",
}
"""Shown in this order, before all others."""
_VERBS = {"read": "See", "write": "See and change"}


class SignInForm(msgspec.Struct, frozen=True):
    """`client`: the application's name; `organisation`: the tenant's, where the application says which."""

    token: str = ""
    client: str = ""
    organisation: str = ""
    slug: str = ""
    email: str = ""
    error: str = ""


def style_hash() -> str:
    """The style element's source expression (CSP Level 3 §2.3.1)."""
    digest = hashlib.sha256(STYLE.encode()).digest()
    return f"'sha256-{base64.b64encode(digest).decode()}'"


def sign_in(form: SignInForm) -> str:
    to = f" to continue to <strong>{escape(form.client)}</strong>" if form.client else ""
    whose = f"<strong>{escape(form.organisation)}</strong> account" if form.organisation else "account"
    invalid = ' aria-invalid="true" aria-describedby="problem"' if form.error else ""
    focus_email = not form.email and bool(form.organisation or form.slug)
    focus_password = bool(form.email)
    slug = (
        ""
        if form.organisation
        else _field(
            "organisation",
            "Organisation",
            f'type="text" autocomplete="organization" autocapitalize="none" spellcheck="false"'
            f' maxlength="64" value="{escape(form.slug)}"{invalid}{_autofocus(not form.slug)}',
            "The short name of your organisation.",
        )
    )
    email = _field(
        "email",
        "E-mail address",
        f'type="email" inputmode="email" autocomplete="username" maxlength="254"'
        f' value="{escape(form.email)}"{invalid}{_autofocus(focus_email)}',
    )
    password = _field(
        "password",
        "Password",
        f'type="password" autocomplete="current-password" maxlength="1024"'
        f"{invalid}{_autofocus(focus_password and bool(form.organisation or form.slug))}",
    )
    lead = f'<p class="lead">Use your {whose}{to}.</p>'
    body = slug + email + password + _button("Sign in")
    return _page(
        "Sign in",
        "<h1>Sign in</h1>" + lead + _alert(form.error) + _form("/oauth2/sign-in", form.token, body),
    )


def second_factor(token: str, *, totp: bool, recovery_codes: bool, error: str = "") -> str:
    """Asks for a one-time password, a recovery code, or one of both; at least one of them works."""
    invalid = ' aria-invalid="true" aria-describedby="problem"' if error else ""
    asked = "Type the code that your authenticator app shows now."
    hint = "No phone at hand? One of your recovery codes works here too." if recovery_codes else ""
    if not totp:
        asked, hint = "Type one of your recovery codes.", "Each of them works once."
    code = _field(
        "code",
        "Code",
        f'type="text" class="code" autocomplete="one-time-code" autocapitalize="none" spellcheck="false"'
        f' maxlength="64"{invalid} autofocus',
        hint,
    )
    body = _form("/oauth2/second-factor", token, code + _button("Continue"))
    return _page("Second factor", f'<h1>One more step</h1><p class="lead">{asked}</p>{_alert(error)}{body}')


def device(token: str, *, person: str, code: str, error: str = "") -> str:
    """Asks for the code that a device shows. `person`: whoever is signed in."""
    invalid = ' aria-invalid="true" aria-describedby="problem"' if error else ""
    field = _field(
        "user_code",
        "Code on your device",
        f'type="text" class="code" autocomplete="off" autocapitalize="characters" spellcheck="false"'
        f' maxlength="64" placeholder="XXXX-XXXX" value="{escape(code)}"{invalid}{_autofocus(not code)}',
        "Go on only if it is a device of yours that shows this code now." if code else "",
    )
    lead = f'<p class="lead">You are signed in as <strong>{escape(person)}</strong>.</p>'
    body = _form("/device", token, field + _button("Continue"))
    return _page("Connect a device", "<h1>Connect a device</h1>" + lead + _alert(error) + body)


def device_decision(token: str, *, person: str, client: str, code: str, scopes: Sequence[str]) -> str:
    """Asks for a yes or no. `code` as the device shows it."""
    rights = "".join(f"<li>{escape(right)}</li>" for right in _rights(scopes))
    body = (
        f'<h1>Allow this device?</h1><p class="lead"><strong>{escape(client)}</strong> on the device that'
        f' shows this code wants to act as <strong>{escape(person)}</strong>:</p><p class="big">'
        f"{escape(code)}</p><p>It could then:</p><ul>{rights}</ul>"
        '<p class="hint warning">Allow it only if you have the device before you and began this yourself.</p>'
    )
    buttons = (
        '<button type="submit" name="decision" value="allow">Allow</button>'
        '<button type="submit" name="decision" value="deny" class="quiet">Do not allow</button>'
    )
    return _page("Allow this device?", body + _form("/device/decision", token, buttons))


def sign_out(token: str, *, person: str) -> str:
    lead = f'<p class="lead">You are signed in as <strong>{escape(person)}</strong>.</p>'
    return _page(
        "Sign out", "<h1>Sign out</h1>" + lead + _form("/oauth2/logout", token, _button("Sign out here"))
    )


def notice(title: str, text: str) -> str:
    """Something to read, nothing to do."""
    return _page(title, f'<h1>{escape(title)}</h1><p class="lead">{escape(text)}</p>')


def _page(title: str, body: str) -> str:
    return (
        '<!doctype html><html lang="en"><head><meta charset="utf-8">'
        '<meta name="viewport" content="width=device-width,initial-scale=1">'
        '<meta name="robots" content="noindex">'
        f"<title>{escape(title)}</title><style>{STYLE}</style></head><body><main>{body}</main></body></html>"
    )


def _form(action: str, token: str, body: str) -> str:
    hidden = f'<input type="hidden" name="page" value="{escape(token)}">'
    return f'<form method="post" action="{action}">{hidden}{body}</form>'


def _field(name: str, label: str, attributes: str, hint: str = "") -> str:
    below = f'<p class="hint">{escape(hint)}</p>' if hint else ""
    return (
        f'<div class="field"><label for="{name}">{label}</label>'
        f'<input id="{name}" name="{name}" required {attributes}>{below}</div>'
    )


def _button(label: str) -> str:
    return f'<button type="submit">{label}</button>'


def _alert(error: str) -> str:
    return f'<div class="alert" id="problem" role="alert"><p>{escape(error)}</p></div>' if error else ""


def _autofocus(focused: bool) -> str:
    return " autofocus" if focused else ""


def _rights(scopes: Sequence[str]) -> list[str]:
    """Scopes in words: `users:read` is `See users`, which whoever may change them does anyway."""
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
