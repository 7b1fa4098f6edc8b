"""The templates of all mails, as text and as HTML, with placeholders in braces."""

from typing import Literal

import msgspec

TemplateName = Literal[
    "invitation", "password_reset", "password_changed", "email_verification", "email_change_requested"
]


class Template(msgspec.Struct, frozen=True):
    """`page` is the content of `<body>` of the HTML part."""

    subject: str
    text: str
    page: str


TEMPLATES: dict[TemplateName, Template] = {
    "invitation": Template(
        "You are invited",
        """\
You are invited to join {tenant} as {role}.

Open this link, choose a password and you are in:

{link}

The link works once, until {expires}. If the page asks for a code, it is this one:

{code}

Programs send it as `token` to POST {action}

Keep this: where you sign in, the short name of your organisation is

{slug}

If you did not expect this mail, do nothing.
""",
        """\
<p>You are invited to join <b>{tenant}</b> as {role}.</p>
<p><a href="{link}">Choose a password</a> and you are in.</p>
<p>The link works once, until {expires}. If the page asks for a code, it is this one:</p>
<p><code>{code}</code></p>
<p>Keep this: where you sign in, the short name of your organisation is <b>{slug}</b>.</p>
<p>If you did not expect this mail, do nothing.</p>
""",
    ),
    "password_reset": Template(
        "Choose a new password",
        """\
Somebody asked for a new password for this address at {tenant}.

Open this link to choose one:

{link}

The link works once, until {expires}. If the page asks for a code, it is this one:

{code}

Programs send it as `token` to POST {action}

Where you sign in with it, the short name of your organisation is

{slug}

If it was not you, do nothing: your password stays what it is.
""",
        """\
<p>Somebody asked for a new password for this address at <b>{tenant}</b>.</p>
<p><a href="{link}">Choose a new password</a></p>
<p>The link works once, until {expires}. If the page asks for a code, it is this one:</p>
<p><code>{code}</code></p>
<p>Where you sign in with it, the short name of your organisation is <b>{slug}</b>.</p>
<p>If it was not you, do nothing: your password stays what it is.</p>
""",
    ),
    "password_changed": Template(
        "Your password was changed",
        """\
Your password at {tenant} was changed.

If it was not you, tell the owner of {tenant}, and ask for a new password now. Give your address and the short
name {slug} here:

{forgot}
""",
        """\
<p>Your password at <b>{tenant}</b> was changed.</p>
<p>If it was not you, tell the owner of {tenant}, and <a href="{forgot}">ask for a new password</a> now, with
your address and the short name <b>{slug}</b>.</p>
""",
    ),
    "email_verification": Template(
        "Confirm your new address",
        """\
Somebody at {tenant} wants to sign in with this address from now on.

If it is you, open this link and confirm:

{link}

The link works once, until {expires}. If the page asks for a code, it is this one:

{code}

Programs send it as `token` to POST {action}

Where you sign in with it, the short name of your organisation is

{slug}

If it is not you, do nothing.
""",
        """\
<p>Somebody at <b>{tenant}</b> wants to sign in with this address from now on.</p>
<p>If it is you, <a href="{link}">confirm this address</a>.</p>
<p>The link works once, until {expires}. If the page asks for a code, it is this one:</p>
<p><code>{code}</code></p>
<p>Where you sign in with it, the short name of your organisation is <b>{slug}</b>.</p>
<p>If it is not you, do nothing.</p>
""",
    ),
    "email_change_requested": Template(
        "Your address is about to change",
        """\
Somebody who knows your password asked to change your address at {tenant} to {new_email}.

It changes once the link that was sent there is opened. If it was not you, ask for a new password now, which
stops the change. Give this address and the short name {slug} here:

{forgot}
""",
        """\
<p>Somebody who knows your password asked to change your address at <b>{tenant}</b> to {new_email}.</p>
<p>It changes once the link that was sent there is opened. If it was not you,
<a href="{forgot}">ask for a new password</a> now, with this address and the short name <b>{slug}</b>:
that stops the change.</p>
""",
    ),
}
