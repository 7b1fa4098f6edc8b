"""The page behind `hosted_invoice_url`: an invoice, and a form that pays it with a test card. No script."""

from html import escape

from starlette.requests import Request
from starlette.responses import HTMLResponse, RedirectResponse, Response
from starlette.routing import Route

from local.stripe import cards, invoice_states, invoices, money
from local.stripe.account import Account
from local.stripe.errors import ApiError, CardDeclined
from local.stripe.form import pairs
from local.stripe.storage import Object
from local.stripe.webhooks import Webhooks

CARDS = {
    "visa": "Visa ending in 4242: is accepted",
    "chargeDeclinedInsufficientFunds": "Visa ending in 9995: is declined",
}
PAYABLE = ("open", "uncollectible")

_HEADERS = {
    "cache-control": "no-store",
    "content-security-policy": "default-src 'none'; style-src 'unsafe-inline'; form-action 'self'",
}
_STYLE = (
    "body{font:16px/1.5 system-ui,sans-serif;max-width:40rem;margin:3rem auto;padding:0 1rem;color:#1a1f36}"
    "table{width:100%;border-collapse:collapse}td{padding:.4rem 0;border-bottom:1px solid #ddd}"
    "td:last-child{text-align:right}button{font:inherit;padding:.5rem 1.5rem;margin-top:1rem}"
    "label{display:block;padding:.2rem 0}.note{color:#57606a}.refused{color:#a40e26}"
)


class HostedPage:
    """Whoever has the link may pay, as with Stripe."""

    def __init__(self, account: Account, webhooks: Webhooks) -> None:
        self._account = account
        self._webhooks = webhooks
        self.route = Route("/i/{token}", self._page, methods=["GET", "POST"])

    async def _page(self, request: Request) -> Response:
        found = self._account.storage.of_kind("invoice", {"$.hosted_invoice_url": request.url.path})
        if not found:
            return _html("Invoice", "<h1>There is no such invoice</h1>", 404)
        if request.method == "GET":
            return self._shown(found[0])
        chosen = _chosen(await request.body())
        if chosen not in CARDS:
            return self._shown(found[0], "Choose a card.", 400)
        refusal = self._paid(found[0], chosen)
        if refusal:
            return self._shown(self._account.in_path("invoice", found[0]["id"], "invoice"), refusal, 402)
        return RedirectResponse(request.url.path, 303)

    def _paid(self, invoice: Object, token: str) -> str:
        """Why the card is refused, or nothing; an invoice that is paid stays as it is."""
        refusal = ""
        with self._account.storage.transaction():
            if invoice["status"] in PAYABLE:
                card = cards.usable(self._account, f"pm_card_{token}", "card")
                self._account.save(card)
                try:
                    invoice_states.charge(self._account, invoice, card)
                except CardDeclined as declined:
                    refusal = str(declined)
        self._webhooks.wake()
        return refusal

    def _shown(self, invoice: Object, refusal: str = "", status: int = 200) -> Response:
        shown = invoices.shown(self._account, invoice)
        lines = invoices.lines(self._account, invoice["id"], {"limit": 100})["data"]
        rows = [(line["description"] or "", money.shown(line["amount"], shown["currency"])) for line in lines]
        rows += [(name, money.shown(shown[field], shown["currency"])) for name, field in _SUMS]
        table = "".join(f"<tr><td>{escape(name)}</td><td>{escape(amount)}</td></tr>" for name, amount in rows)
        parts = [
            f"<h1>Invoice {escape(shown['number'])}</h1>",
            f"<p>To {escape(shown['customer_name'] or shown['customer'])}</p>",
            f"<table>{table}</table>",
            f'<p class="refused">{escape(refusal)}</p>' if refusal else "",
            _form() if shown["status"] in PAYABLE else f"<p>This invoice is {escape(shown['status'])}.</p>",
            '<p class="note">A local stand-in for Stripe: no money moves.</p>',
        ]
        return _html(f"Invoice {shown['number']}", "".join(parts), status)


def _chosen(body: bytes) -> str:
    try:
        return dict(pairs(body)).get("card", "")
    except ApiError:
        return ""


_SUMS = (("Total", "total"), ("Paid", "amount_paid"), ("Due", "amount_remaining"))


def _form() -> str:
    choices = "".join(
        f'<label><input type="radio" name="card" value="{value}" required> {escape(text)}</label>'
        for value, text in CARDS.items()
    )
    return f'<form method="post">{choices}<button>Pay</button></form>'


def _html(title: str, inner: str, status: int = 200) -> Response:
    page = (
        f'<!doctype html><html lang="en"><meta charset="utf-8"><title>{escape(title)}</title>'
        f'<meta name="viewport" content="width=device-width"><style>{_STYLE}</style><body>{inner}</html>'
    )
    return HTMLResponse(page, status, _HEADERS)
