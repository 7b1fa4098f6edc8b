"""The page for the second factor: a code that somebody types, or a passkey, which takes a script."""

from collections.abc import Sequence
from html import escape

from functions.auth.hosted import markup
from functions.auth.sign_in.second_factors import Challenge

SCRIPT = """
(function () {
  var field = document.getElementById("passkey"), button = document.getElementById("use-passkey");
  if (!window.PublicKeyCredential || !PublicKeyCredential.parseRequestOptionsFromJSON) return;
  document.getElementById("no-passkey").hidden = true;
  button.hidden = false;
  button.addEventListener("click", function () {
    var options = PublicKeyCredential.parseRequestOptionsFromJSON(JSON.parse(field.dataset.options));
    navigator.credentials.get({publicKey: options}).then(function (given) {
      field.value = JSON.stringify(given);
      field.form.submit();
    }, function () {
      document.getElementById("no-passkey").hidden = false;
    });
  });
})();
"""
"""Shows the button where the browser knows passkeys, and sends what one of them signed with its form."""

_ACTION = "/oauth2/second-factor"
_NO_PASSKEY = '<p class="warning" id="no-passkey">A passkey takes a browser that has it and runs scripts.</p>'


def second_factor(token: str, asked: Challenge, error: str = "") -> str:
    """Asks for what is enough: one of the methods of `asked`."""
    typed = [method for method in asked.methods if method != "passkey"]
    lead = "Prove that it is you with your passkey."
    body = ""
    if typed:
        lead, code = _code(typed, error)
        body = markup.form(_ACTION, code + markup.button("Continue"), token)
    if asked.passkey is not None:
        options = escape(bytes(asked.passkey).decode())
        field = f'<input type="hidden" id="passkey" name="passkey" data-options="{options}">'
        quiet = ' class="quiet"' if typed else ""
        button = f'<button type="button"{quiet} id="use-passkey" hidden>Use your passkey</button>'
        body += markup.form(_ACTION, field + _NO_PASSKEY + button, token)
    top = f'<h1>One more step</h1><p class="lead">{lead}</p>{markup.alert(error)}'
    return markup.document("Second factor", top + body, SCRIPT if asked.passkey is not None else "")


def _code(methods: Sequence[str], error: str) -> tuple[str, str]:
    """What is asked for, and its field."""
    lead = "Type the code that your authenticator app shows now."
    hint = "No phone at hand? One of your recovery codes works here too." if len(methods) > 1 else ""
    if "totp" not in methods:
        lead, hint = "Type one of your recovery codes.", "Each of them works once."
    attributes = (
        'type="text" class="code" autocomplete="one-time-code" autocapitalize="none" spellcheck="false"'
        f' maxlength="64"{markup.invalid(bool(error))} autofocus'
    )
    return lead, markup.field("code", "Code", attributes, hint)
