"""An invoice as one HTML page to read and print: no script, nothing loaded, every text escaped."""

import base64
import hashlib
from datetime import timedelta
from html import escape

from functions.billing.domain import money, payments, periods, quantities
from functions.billing.domain.invoices import Invoice, Line
from functions.billing.domain.payments import Payment
from functions.billing.invoices import Statement

_STYLE = """
:root { color-scheme: light; }
body { font: 15px/1.5 system-ui, sans-serif; color: #1c2430; max-width: 52rem; margin: 3rem auto;
  padding: 0 1.5rem; }
header { display: flex; justify-content: space-between; gap: 2rem; border-bottom: 2px solid #1c2430; }
h1 { font-size: 1.6rem; margin: 0 0 .75rem; }
dl { display: grid; grid-template-columns: auto auto; gap: 0 1rem; margin: 0 0 .75rem; }
dt { color: #5b6675; }
dd { margin: 0; text-align: right; }
.party { margin: 1.5rem 0; overflow-wrap: anywhere; }
.party strong { display: block; font-size: 1.1rem; }
table { width: 100%; border-collapse: collapse; }
th, td { padding: .45rem .4rem; text-align: left; vertical-align: top; border-bottom: 1px solid #d8dee6; }
th { font-weight: 600; color: #5b6675; }
.n { text-align: right; white-space: nowrap; font-variant-numeric: tabular-nums; }
tfoot td { border: 0; }
tfoot tr:last-child td { font-weight: 700; font-size: 1.1rem; border-top: 2px solid #1c2430; }
.note { margin-top: 2rem; color: #5b6675; font-size: .85rem; }
.example { border-left: 4px solid #c77700; padding-left: .75rem; color: #1c2430; }
@media print { body { margin: 0; max-width: none; } tr { break-inside: avoid; } }
"""

_ROUNDING = (
    "Amounts are rounded once a line, halves away from zero. Usage that was reported late costs what the "
    "month's new sum costs, less what was billed of it before."
)


def headers() -> dict[str, str]:
    """The page's security headers: they allow its one inline style, and neither other content nor framing."""
    digest = base64.b64encode(hashlib.sha256(_STYLE.encode()).digest()).decode()
    policy = (
        f"default-src 'none'; style-src 'sha256-{digest}'; "
        "base-uri 'none'; form-action 'none'; frame-ancestors 'none'"
    )
    return {"Content-Security-Policy": policy, "Referrer-Policy": "no-referrer"}


def render(statement: Statement) -> bytes:
    invoice, payment = statement.invoice, statement.payment
    number = escape(invoice.number)
    page = f"""<!doctype html>
<html lang="en">
<head>
<meta charset="utf-8">
<meta name="viewport" content="width=device-width, initial-scale=1">
<title>Invoice {number}</title>
<style>{_STYLE}</style>
</head>
<body>
<header>
<h1>Invoice {number}</h1>
<dl>
<dt>Date</dt><dd>{invoice.finalized_at:%Y-%m-%d}</dd>
<dt>Period</dt><dd>{_period(invoice)}</dd>
<dt>Status</dt><dd>{_status(payment)}</dd>
</dl>
</header>
<p class="party"><strong>{escape(invoice.party.name)}</strong>
{escape(invoice.party.slug)}, {escape(invoice.party.tier)} tier</p>
<table>
<thead><tr><th>Month</th><th>Item</th>
<th class="n">Quantity</th><th class="n">Unit price</th><th class="n">Amount</th></tr></thead>
<tbody>
{"".join(_row(line, invoice.currency) for line in invoice.lines)}</tbody>
<tfoot>
{_sum("Subtotal", invoice.subtotal_minor, invoice)}
{_sum("Total", invoice.total_minor, invoice)}
</tfoot>
</table>
{_pay_link(payment)}{_notes(invoice)}
</body>
</html>
"""
    return page.encode()


def _status(payment: Payment | None) -> str:
    shown = payments.shown(payment).replace("_", " ")
    return f"{shown} on {payment.paid_at:%Y-%m-%d}" if payment and payment.paid_at else shown


def _pay_link(payment: Payment | None) -> str:
    if payment is None or payment.hosted_invoice_url is None or payment.status not in ("open", "past_due"):
        return ""
    return f'<p><a href="{escape(payment.hosted_invoice_url)}">Pay this invoice</a></p>\n'


def _row(line: Line, currency: str) -> str:
    cells = (
        quantities.text(line.quantity_micro),
        f"{currency} {money.price_text(line.unit_price_nano)}",
        money.text(line.amount_minor, currency),
    )
    numbers = "".join(f'<td class="n">{escape(cell)}</td>' for cell in cells)
    return f"<tr><td>{escape(line.period)}</td><td>{escape(line.description)}</td>{numbers}</tr>\n"


def _sum(label: str, amount_minor: int, invoice: Invoice) -> str:
    amount = escape(money.text(amount_minor, invoice.currency))
    return f'<tr><td colspan="4" class="n">{label}</td><td class="n">{amount}</td></tr>'


def _period(invoice: Invoice) -> str:
    last = periods.end(invoice.period) - timedelta(days=1)
    return f"{periods.start(invoice.period):%Y-%m-%d} to {last:%Y-%m-%d} (UTC)"


def _notes(invoice: Invoice) -> str:
    catalogue = escape(invoice.catalogue)
    if not invoice.is_example:
        return f'<p class="note">Price list: {catalogue}. {_ROUNDING}</p>'
    return (
        f'<p class="note example">The price list {catalogue} is an example: nothing is owed.</p>'
        f'<p class="note">{_ROUNDING}</p>'
    )
