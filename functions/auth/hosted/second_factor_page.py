"""HTML of the page that asks for the second factor: a typed code, or a passkey (with a script)."""

from collections.abc import Sequence

from functions.auth.hosted import markup, passkey_form
from functions.auth.sign_in.second_factors import Challenge

_ACTION = "/oauth2/second-factor"


def second_factor(token: str, asked: Challenge, error: str = "") -> str:
    """Asks for one of the methods of `asked`."""
    typed = [method for method in asked.methods if method != "passkey"]
    lead = "Prove that it is you with your passkey."
    body = ""
    if typed:
        lead, code = _code(typed, error)
        body = markup.form(_ACTION, code + markup.button("Continue"), token)
    if asked.passkey is not None:
        body += passkey_form.passkey_form(_ACTION, token, asked.passkey, "Use your passkey", alone=not typed)
    top = f'<h1>One more step</h1><p class="lead">{lead}</p>{markup.alert(error)}'
    script = "" if asked.passkey is None else passkey_form.SCRIPT
    return markup.document("Second factor", top + body, script)


def _code(methods: Sequence[str], error: str) -> tuple[str, str]:
    """The instruction, and the input field."""
    lead = "Type the code that your authenticator app shows now."
    hint = "No phone at hand? One of your recovery codes works here too." if len(methods) > 1 else ""
    if "totp" not in methods:
        lead, hint = "Type one of your recovery codes.", "Each of them works once."
    attributes = (
        'type="text" class="code" autocomplete="one-time-code" autocapitalize="none" spellcheck="false"'
        f' maxlength="64"{markup.invalid(bool(error))} autofocus'
    )
    return lead, markup.field("code", "Code", attributes, hint)
