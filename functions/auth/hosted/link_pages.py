"""HTML of the pages that mailed links open. A page does not depend on the link's token."""

from html import escape

import msgspec

from functions.auth.hosted import markup
from shared.tenant import Tenant

SCRIPT = """
(function () {
  var field = document.getElementById("token");
  function take() {
    if (location.hash.length > 1) {
      field.value = location.hash.slice(location.hash.indexOf("=") + 1);
      history.replaceState(null, "", location.pathname);
    }
    field.parentNode.hidden = field.value !== "" && !field.hasAttribute("aria-invalid");
  }
  addEventListener("hashchange", take);
  take();
})();
"""
"""Moves the token from the URL's fragment into the form. Browsers send no fragment, so no server logs it.
The field is hidden then, unless the token in it was refused.
"""

_UNSEEN = 'type="password" autocomplete="new-password" maxlength="1024"'
_WHOSE = '<input id="username" type="text" autocomplete="username" hidden>'
"""A hidden field that is never sent. Without it password managers store the token as the user name."""


class LinkForm(msgspec.Struct, frozen=True):
    """The values to show again, without passwords. `wrong` is the name of the field that `error` is about."""

    token: str = ""
    name: str = ""
    error: str = ""
    wrong: str = ""


class Done(msgspec.Struct, frozen=True):
    """`text` tells the person what was done. `email` is the address to sign in with, empty if unchanged."""

    text: str
    email: str = ""


def done(what: Done, owner: Tenant | None) -> str:
    """The page after success. It shows what the person will type to sign in; `owner` is their tenant."""
    account = {
        "Organisation": owner.name if owner else "",
        "Its short name": owner.slug if owner else "",
        "E-mail address": what.email,
    }
    lead = f'<p class="lead">{escape(what.text)}</p>'
    return markup.document("Done", f"<h1>Done</h1>{lead}{markup.facts(account)}")


def invitation(form: LinkForm) -> str:
    name = markup.field(
        "name",
        "Your name",
        f'type="text" autocomplete="name" maxlength="200" value="{escape(form.name)}"{_focus(form, "name")}',
    )
    passwords = _passwords(form, "Password", "At least 15 characters. A few words make a good one.")
    lead = "Say who you are and choose a password."
    return _page("/invitation", "Accept your invitation", lead, form, name + passwords, "Accept")


def password_reset(form: LinkForm) -> str:
    hint = "At least 15 characters; 8 are enough beside a second factor. A few words make a good one."
    lead = "Once it is set you are signed out everywhere."
    passwords = _passwords(form, "New password", hint)
    again = '<p class="hint"><a href="/forgot-password">Ask for a new link</a></p>'
    return _page("/reset-password", "Choose a new password", lead, form, passwords, "Set password", again)


def email_verification(form: LinkForm) -> str:
    lead = "Once it is confirmed you sign in with it."
    return _page("/verify-email", "Confirm your new address", lead, form, "", "Confirm")


def _passwords(form: LinkForm, label: str, hint: str) -> str:
    first = markup.field("password", label, _UNSEEN + _focus(form, "password"), hint)
    return _WHOSE + first + markup.field("password_again", f"{label} again", _UNSEEN)


def _page(
    action: str, title: str, lead: str, form: LinkForm, fields: str, label: str, below: str = ""
) -> str:
    code = markup.field(
        "token",
        "Code from the mail",
        'type="text" autocomplete="off" autocapitalize="none" spellcheck="false" maxlength="2048"'
        f' value="{escape(form.token)}"{_focus(form, "token")}',
        "Most browsers fill it in by themselves. If yours does not, copy it from the mail.",
    )
    top = f'<h1>{title}</h1><p class="lead">{lead}</p>{markup.alert(form.error)}'
    body = markup.form(action, fields + code + markup.button(label))
    return markup.document(title, top + body + below, SCRIPT)


def _focus(form: LinkForm, name: str) -> str:
    wrong = form.wrong == name
    return markup.invalid(wrong) + markup.autofocus(wrong)
