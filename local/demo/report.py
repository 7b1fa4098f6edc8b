"""The report page that the demo leaves in its data folder: the invoice itself, and every check."""

from html import escape
from itertools import groupby
from pathlib import Path

from local.demo.screen import Check, Screen

_STYLE = """
body { font: 16px/1.5 system-ui, sans-serif; max-width: 60rem; margin: 2rem auto; padding: 0 1rem }
body { color: #0f172a } h1, h2 { line-height: 1.2 } h2 { margin-top: 2.5rem }
table { border-collapse: collapse; width: 100% } tr { border-bottom: 1px solid #e2e8f0 }
th, td { text-align: left; padding: .3rem .6rem; overflow-wrap: anywhere; vertical-align: top }
th[colspan] { background: #f1f5f9 } .bad { color: #b91c1c; font-weight: 600 } .good { color: #15803d }
iframe { width: 100%; height: 52rem; border: 1px solid #cbd5e1; border-radius: .5rem }
"""


def write(path: Path, screen: Screen, invoice_html: str) -> None:
    """One page without outside references. The invoice stands in a frame that can run nothing."""
    verdict = (
        f"<p class='bad'>{len(screen.failed)} of {len(screen.checks)} checks failed.</p>"
        if screen.failed
        else f"<p class='good'>All {len(screen.checks)} checks hold.</p>"
    )
    chapters = groupby(screen.checks, key=lambda check: check.chapter)
    path.write_text(
        "<!doctype html><html lang='en'><meta charset='utf-8'><title>Demo report</title>"
        f"<style>{_STYLE}</style><h1>A customer's whole life</h1>"
        f"<p>{screen.started:%Y-%m-%d %H:%M} UTC, {screen.seconds:.0f} seconds.</p>{verdict}"
        "<h2>The invoice</h2>"
        f"<iframe sandbox title='Invoice' srcdoc='{escape(invoice_html)}'></iframe>"
        "<h2>What was checked</h2>"
        "<table><tr><th></th><th>Claim</th><th>Must be</th><th>Is</th></tr>"
        f"{''.join(_chapter(title, list(checks)) for title, checks in chapters)}</table></html>",
        encoding="utf-8",
    )


def _chapter(title: str, checks: list[Check]) -> str:
    return f"<tr><th colspan='4'>{escape(title)}</th></tr>{''.join(map(_row, checks))}"


def _row(check: Check) -> str:
    mark = "<td class='good'>✓</td>" if check.holds else "<td class='bad'>✗</td>"
    cells = (check.claim, check.expected, check.found)
    return f"<tr>{mark}{''.join(f'<td>{escape(cell)}</td>' for cell in cells)}</tr>"
