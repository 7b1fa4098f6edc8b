"""A browser without scripts: keeps cookies, fills in the first form of a page, follows redirects."""

from html.parser import HTMLParser
from urllib.parse import urljoin

import httpx
import msgspec

MAX_PAGES = 8


class Person(msgspec.Struct, frozen=True):
    """What somebody types into the fields of the same names."""

    organisation: str
    email: str
    password: str


class Browser:
    """Goes as far as the issuer's own pages do: beyond them is the application."""

    def __init__(self, http: httpx.Client, issuer: str, person: Person) -> None:
        self._http = http
        self._issuer = issuer
        self._known = msgspec.to_builtins(person)

    def visit(self, url: str, button: str = "") -> str:
        """Signs in where that is asked for, and presses `button` where a page has one.

        Returns the address in the application, or the text of the last page.
        """
        answer = self._http.get(url)
        for _ in range(MAX_PAGES):
            if answer.has_redirect_location:
                target = urljoin(str(answer.url), answer.headers["location"])
                if not target.startswith(self._issuer):
                    return target
                answer = self._http.get(target)
                continue
            form = _Form(answer.text)
            if not form.action:
                assert answer.status_code == 200, answer.text
                return answer.text
            fields = form.fields | {name: self._known[name] for name in form.fields.keys() & self._known}
            fields |= {name: button for name, value in form.buttons if value == button}
            answer = self._http.post(urljoin(str(answer.url), form.action), data=fields)
        raise AssertionError(f"no end of pages: {answer.text}")


class _Form(HTMLParser):
    """The page's first. `action` is empty where a page has no form."""

    def __init__(self, page: str) -> None:
        super().__init__()
        self.action = ""
        self.is_over = False
        self.fields: dict[str, str] = {}
        self.buttons: list[tuple[str, str]] = []
        self.feed(page)

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        found = {name: value or "" for name, value in attrs}
        if self.is_over:
            return
        if tag == "form":
            self.action = found["action"]
        elif tag == "input":
            self.fields[found["name"]] = found.get("value", "")
        elif tag == "button" and "name" in found:
            self.buttons.append((found["name"], found["value"]))

    def handle_endtag(self, tag: str) -> None:
        self.is_over = self.is_over or tag == "form"
