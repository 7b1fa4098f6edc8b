"""Building blocks of the hosted pages. Parameters are escaped here, but `attributes` and `body` are HTML."""

import base64
import hashlib
from collections.abc import Mapping
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
.warning{font-weight:600}
strong{font-weight:600;color:var(--text);overflow-wrap:anywhere}
label{display:block;font-weight:600;font-size:.9375rem;margin:0 0 6px}
.field{margin:0 0 18px}
input{width:100%;font:inherit;color:inherit;background:transparent;border:1px solid var(--line);
border-radius:10px;padding:11px 13px}
input[aria-invalid]{border-color:var(--bad)}
input.code{font:600 1.375rem/1.4 ui-monospace,"DejaVu Sans Mono",monospace;letter-spacing:.14em;
text-align:center;text-transform:uppercase}
input:focus-visible,button:focus-visible,a:focus-visible,.alert:focus-visible{outline:3px solid var(--accent);
outline-offset:2px}
button,.button{width:100%;font:inherit;font-weight:600;border:1px solid transparent;border-radius:10px;
padding:12px;cursor:pointer;background:var(--accent);color:var(--on-accent)}
a.button{color:var(--on-accent)}
.button{display:block;text-align:center;text-decoration:none;overflow-wrap:anywhere}
button.quiet{background:transparent;color:inherit;border-color:var(--line);margin-top:10px}
.alert{border-left:4px solid var(--bad);background:var(--bad-page);border-radius:6px;padding:12px 14px;
margin:0 0 20px}
.alert p{margin:0}
a{color:var(--accent)}
dl{margin:0;border:1px solid var(--line);border-radius:10px;padding:14px 16px}
dt{color:var(--muted);font-size:.875rem}
dd{margin:0 0 10px;font-weight:600;overflow-wrap:anywhere}
dd:last-child{margin:0}
ul{margin:-10px 0 20px;padding:4px 0 4px 22px}
li{margin:4px 0}
.big{font:600 1.5rem/1.4 ui-monospace,"DejaVu Sans Mono",monospace;letter-spacing:.12em;
text-align:center;border:1px dashed var(--line);border-radius:10px;padding:10px;margin:0 0 20px}
@media (max-width:26rem){body{padding:0;justify-content:flex-start;background:var(--card)}
main{box-shadow:none;padding:32px 20px}}
"""


class Link(msgspec.Struct, frozen=True):
    """A link. `uri` is one of ours or registered by a client, never taken from a request as it came."""

    label: str
    uri: str


def source(text: str) -> str:
    """The source expression of an inline style or script (CSP Level 3 §2.3.1)."""
    digest = hashlib.sha256(text.encode()).digest()
    return f"'sha256-{base64.b64encode(digest).decode()}'"


def document(title: str, body: str, script: str = "") -> str:
    """A whole page. `script` stands at its end, so that it finds every element."""
    last = f"<script>{script}</script>" if script else ""
    return (
        '<!doctype html><html lang="en"><head><meta charset="utf-8">'
        '<meta name="viewport" content="width=device-width,initial-scale=1">'
        '<meta name="robots" content="noindex">'
        f"<title>{escape(title)}</title><style>{STYLE}</style></head>"
        f"<body><main>{body}</main>{last}</body></html>"
    )


def form(action: str, body: str, page: str = "") -> str:
    """`page` is the page token of `PageForms`; empty for a form without one."""
    hidden = f'<input type="hidden" name="page" value="{escape(page)}">' if page else ""
    return f'<form method="post" action="{action}">{hidden}{body}</form>'


def field(name: str, label: str, attributes: str, hint: str = "") -> str:
    below = f'<p class="hint">{escape(hint)}</p>' if hint else ""
    return (
        f'<div class="field"><label for="{name}">{label}</label>'
        f'<input id="{name}" name="{name}" required {attributes}>{below}</div>'
    )


def button(label: str) -> str:
    return f'<button type="submit">{label}</button>'


def link(to: Link | None) -> str:
    """The link as a button; empty for None."""
    return f'<a class="button" href="{escape(to.uri)}">{escape(to.label)}</a>' if to else ""


def facts(told: Mapping[str, str]) -> str:
    """A list of labels and values; empty values are left out."""
    rows = (f"<dt>{name}</dt><dd>{escape(text)}</dd>" for name, text in told.items() if text)
    listed = "".join(rows)
    return f"<dl>{listed}</dl>" if listed else ""


def alert(error: str) -> str:
    """An error message; empty without one."""
    return f'<div class="alert" id="problem" role="alert"><p>{escape(error)}</p></div>' if error else ""


def status(done: str) -> str:
    """A message of success; empty without one."""
    return f'<p role="status">{escape(done)}</p>' if done else ""


def invalid(is_invalid: bool) -> str:
    """The attributes that tie a wrong field to the message of `alert`."""
    return ' aria-invalid="true" aria-describedby="problem"' if is_invalid else ""


def autofocus(focused: bool) -> str:
    return " autofocus" if focused else ""
