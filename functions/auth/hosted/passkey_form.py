"""A form that a passkey fills in by a script, alone on a page or beside another form."""

from html import escape

import msgspec

from functions.auth.hosted import markup

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
"""Shows the button if the browser supports passkeys, and submits the assertion with the form."""

_HINT = "Passkeys need a browser that supports them, with JavaScript turned on."


def passkey_form(action: str, token: str, options: msgspec.Raw, label: str, *, alone: bool = False) -> str:
    """`options` are for `navigator.credentials.get()`. `alone`: the page has no other form."""
    encoded = escape(bytes(options).decode())
    look = "" if alone else ' class="quiet"'
    return markup.form(
        action,
        f'<input type="hidden" id="passkey" name="passkey" data-options="{encoded}">'
        f'<button type="button" id="use-passkey"{look} hidden>{label}</button>'
        f'<p class="hint" id="no-passkey">{_HINT}</p>',
        token,
    )
