"""The hosted pages in a real browser: signing in, connecting a device, and following the links of mails."""

import base64
import hashlib
import tempfile
import threading
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any
from urllib.parse import parse_qsl, urlencode, urlsplit

import httpx
import pytest

from tests import chromium, customers
from tests.chromium import Tab
from tests.customers import PASSWORD, Customer
from tests.suite import Suite, until

VERIFIER = "a-verifier-of-at-least-forty-three-characters"
CHALLENGE = base64.urlsafe_b64encode(hashlib.sha256(VERIFIER.encode()).digest()).rstrip(b"=").decode()
DEVICE_CODE = "urn:ietf:params:oauth:grant-type:device_code"
PICTURES = Path(tempfile.gettempdir()) / "energent-pages"
"""For a person to look at."""


class Application(ThreadingHTTPServer):
    """The client's own page, on a port that nobody registered. By its name it is another site than ours."""

    daemon_threads = True

    def __init__(self) -> None:
        super().__init__(("127.0.0.1", 0), _Callback)
        self.answers: list[dict[str, str]] = []
        self.redirect_uri = f"http://127.0.0.1:{self.server_port}/callback"
        self.signed_out_uri = f"http://localhost:{self.server_port}/signed-out"
        self.page = "<!doctype html><title>The application</title>"


class _Callback(BaseHTTPRequestHandler):
    server: Application

    def do_GET(self) -> None:
        if self.path.startswith("/callback"):
            self.server.answers.append(dict(parse_qsl(urlsplit(self.path).query)))
        self.send_response(200)
        self.end_headers()
        self.wfile.write(self.server.page.encode())

    def log_message(self, format: str, *args: Any) -> None:
        """Quiet."""


@pytest.fixture
def application() -> Iterator[Application]:
    with Application() as application:
        threading.Thread(target=application.serve_forever, daemon=True).start()
        yield application
        application.shutdown()


@pytest.fixture
def tab(tmp_path: Path) -> Iterator[Tab]:
    with chromium.running(tmp_path / "profile") as tab:
        yield tab


def registered(suite: Suite, customer: Customer, application: Application) -> str:
    """The id of a public client."""
    wanted = {
        "name": "Acme Reports",
        "kind": "public",
        "grant_types": ["authorization_code", "refresh_token", DEVICE_CODE],
        "redirect_uris": ["http://127.0.0.1/callback"],
        "post_logout_redirect_uris": [application.signed_out_uri],
        "scopes": ["openid", "email", "tenant:read", "users:read", "users:write"],
    }
    bearer = {"authorization": f"Bearer {customer.access_token}"}
    made = httpx.post(f"{suite.gateway}/v1/clients", json=wanted, headers=bearer)
    assert made.status_code == 201, made.text
    return str(made.json()["client_id"])


def authorize_url(suite: Suite, client_id: str, redirect_uri: str, **more: str) -> str:
    asked = {
        "client_id": client_id,
        "redirect_uri": redirect_uri,
        "response_type": "code",
        "scope": "openid email users:read",
        "state": "a state",
        "nonce": "a nonce",
        "code_challenge": CHALLENGE,
        "code_challenge_method": "S256",
        **more,
    }
    return f"{suite.gateway}/oauth2/authorize?{urlencode(asked)}"


def token(suite: Suite, **form: str) -> httpx.Response:
    return httpx.post(f"{suite.gateway}/oauth2/token", data=form)


def picture(tab: Tab, name: str) -> None:
    """As on a phone, and dark on a desk."""
    PICTURES.mkdir(exist_ok=True)
    tab.look_like(width=1100, height=760, dark=True)
    tab.screenshot(PICTURES / f"{name}-dark.png")
    tab.look_like(width=390, height=760)
    tab.screenshot(PICTURES / f"{name}.png")


@pytest.mark.parametrize("suite", ["suite-embedded"], indirect=True)
def test_a_person_signs_in_with_a_browser_and_connects_a_device(
    suite: Suite, tab: Tab, application: Application
) -> None:
    customer = customers.take_on(suite)
    client_id = registered(suite, customer, application)
    email = f"owner@{customer.slug}.example"
    sign_in_for_the_application(suite, tab, application, client_id, email)
    without_a_password(suite, tab, application, client_id)
    connect_a_device(suite, tab, client_id)
    sign_out(suite, tab, application, client_id)
    assert tab.complaints == []


@pytest.mark.parametrize("suite", ["suite-embedded"], indirect=True)
def test_an_application_signs_a_person_out(suite: Suite, tab: Tab, application: Application) -> None:
    """With an ID token by a link, and from another site by a form; without one it takes a person's click."""
    customer = customers.take_on(suite)
    client_id = registered(suite, customer, application)
    email = f"owner@{customer.slug}.example"
    sign_in_for_the_application(suite, tab, application, client_id, email)
    asked = {"post_logout_redirect_uri": application.signed_out_uri, "state": "a state"}
    signed_out = f"{application.signed_out_uri}?state=a+state"
    logout = f"{suite.gateway}/oauth2/logout"

    tab.open(f"{logout}?{urlencode(asked | {'client_id': client_id})}")
    picture(tab, "sign-out-for-an-application")
    tab.click("button")
    assert tab.url == signed_out, tab.html
    require_signed_out(suite, tab, application, client_id)
    tab.open(f"{logout}?{urlencode(asked | {'client_id': client_id})}")
    picture(tab, "signed-out")
    tab.click("a")
    assert tab.url == signed_out, tab.html

    hint = sign_in_for_the_application(suite, tab, application, client_id, email)
    tab.open(f"{logout}?{urlencode(asked | {'id_token_hint': hint})}")
    assert tab.url == signed_out, tab.html
    require_signed_out(suite, tab, application, client_id)
    assert tab.complaints == []

    hint = sign_in_for_the_application(suite, tab, application, client_id, email)
    given = (asked | {"id_token_hint": hint}).items()
    fields = "".join(f'<input name="{name}" value="{value}">' for name, value in given)
    form = f'<form method="post" action="{logout}">{fields}<button>Sign out</button></form>'
    application.page = f"<!doctype html>{form}"
    tab.open(application.signed_out_uri)
    tab.click("button")
    assert tab.url == signed_out, tab.html
    require_signed_out(suite, tab, application, client_id)


def require_signed_out(suite: Suite, tab: Tab, application: Application, client_id: str) -> None:
    tab.open(authorize_url(suite, client_id, application.redirect_uri, prompt="none"))
    assert application.answers[-1]["error"] == "login_required"


def sign_in_for_the_application(
    suite: Suite, tab: Tab, application: Application, client_id: str, email: str
) -> str:
    """The ID token."""
    tab.open(authorize_url(suite, client_id, application.redirect_uri))
    picture(tab, "sign-in")
    assert tab.focused("#email")
    tab.type("#email", email)
    tab.type("#password", "not the password of anybody")
    tab.press_enter()
    assert 'role="alert"' in tab.html
    picture(tab, "sign-in-refused")
    assert tab.focused("#password"), "the address is kept"
    tab.type("#password", PASSWORD)
    tab.click("button")
    assert tab.url.startswith(f"{application.redirect_uri}?")
    answer = application.answers[-1]
    assert answer == {"code": answer["code"], "iss": suite.gateway, "state": "a state"}
    form = {"client_id": client_id, "code": answer["code"], "redirect_uri": application.redirect_uri}
    got = token(suite, grant_type="authorization_code", code_verifier=VERIFIER, **form)
    assert got.status_code == 200, got.text
    assert set(got.json()) >= {"access_token", "refresh_token", "id_token"}
    again = token(suite, grant_type="authorization_code", code_verifier=VERIFIER, **form)
    assert (again.status_code, again.json()["error"]) == (400, "invalid_grant")
    cookies = tab.cookies()
    assert all(cookie["httpOnly"] and cookie["sameSite"] == "Lax" for cookie in cookies)
    return str(got.json()["id_token"])


def without_a_password(suite: Suite, tab: Tab, application: Application, client_id: str) -> None:
    tab.open(authorize_url(suite, client_id, application.redirect_uri, prompt="none"))
    assert application.answers[-1].keys() == {"code", "iss", "state"}


def connect_a_device(suite: Suite, tab: Tab, client_id: str) -> None:
    asked = httpx.post(f"{suite.gateway}/oauth2/device_authorization", data={"client_id": client_id}).json()
    tab.open(asked["verification_uri"])
    tab.type("#user_code", asked["user_code"].lower().replace("-", " "))
    picture(tab, "device")
    tab.press_enter()
    picture(tab, "device-decision")
    tab.click('button[value="allow"]')
    picture(tab, "device-connected")
    assert "Device connected" in tab.html
    form = {"client_id": client_id, "device_code": asked["device_code"], "grant_type": DEVICE_CODE}
    got = token(suite, **form)
    assert got.status_code == 200, got.text
    assert set(got.json()) >= {"access_token", "refresh_token", "id_token"}


def sign_out(suite: Suite, tab: Tab, application: Application, client_id: str) -> None:
    tab.open(f"{suite.gateway}/oauth2/logout")
    tab.click("button")
    assert "Signed out" in tab.html
    require_signed_out(suite, tab, application, client_id)


NEW_PASSWORD = "staple battery horse incorrect"


@pytest.mark.parametrize("suite", ["suite-embedded"], indirect=True)
def test_a_person_goes_by_the_links_of_mails(suite: Suite, tab: Tab, application: Application) -> None:
    customer = customers.take_on(suite)
    client_id = registered(suite, customer, application)
    email = f"ada@{customer.slug}.example"
    accept_an_invitation(suite, tab, customer, email)
    sign_in_for_the_application(suite, tab, application, client_id, email)
    sign_in_page = authorize_url(suite, client_id, application.redirect_uri, prompt="login")
    choose_a_new_password_without_scripts(suite, tab, sign_in_page, email)
    tab.open(authorize_url(suite, client_id, application.redirect_uri, prompt="none"))
    assert application.answers[-1]["error"] == "login_required", "a new password ends the browser's session"
    tab.open(authorize_url(suite, client_id, application.redirect_uri, login_hint=email))
    tab.type("#password", NEW_PASSWORD)
    tab.press_enter()
    assert application.answers[-1].keys() == {"code", "iss", "state"}
    assert tab.complaints == []


def accept_an_invitation(suite: Suite, tab: Tab, customer: Customer, email: str) -> None:
    bearer = {"authorization": f"Bearer {customer.access_token}"}
    invited = {"email": email, "role": "member"}
    assert httpx.post(f"{suite.gateway}/v1/invitations", json=invited, headers=bearer).status_code == 201
    link = link_to(suite, email, "invitation")
    tab.let_scripts_run(True)
    page = f"{suite.gateway}/invitation"
    for address in (f"{page}#token=another", link):
        tab.open(address)
        until(lambda: tab.url == page, "the code to be gone from the address", 5)
    tab.type("#name", "Ada")
    tab.type("#password", PASSWORD)
    tab.type("#password_again", NEW_PASSWORD)
    tab.press_enter()
    assert "not the same" in tab.html
    assert f'value="{link.partition("#token=")[2]}"' in tab.html
    assert '<div class="field" hidden=""><label for="token">' in tab.html
    assert tab.focused("#password")
    picture(tab, "invitation-refused")
    tab.type("#password", PASSWORD)
    tab.type("#password_again", PASSWORD)
    tab.click("button")
    assert all(f"<dd>{told}</dd>" in tab.html for told in (customer.slug, email))
    picture(tab, "invitation-accepted")
    tab.let_scripts_run(False)


def choose_a_new_password_without_scripts(suite: Suite, tab: Tab, sign_in_page: str, email: str) -> None:
    tab.open(sign_in_page)
    tab.click('form[action="/forgot-password"] button')
    assert tab.focused("#email")
    picture(tab, "forgot-password")
    tab.type("#email", email)
    tab.press_enter()
    assert 'role="status"' in tab.html
    picture(tab, "forgot-password-sent")
    link = link_to(suite, email, "reset-password")
    tab.open(link)
    tab.type("#token", link.partition("#token=")[2])
    tab.type("#password", NEW_PASSWORD)
    tab.type("#password_again", NEW_PASSWORD)
    picture(tab, "reset-password")
    tab.click("button")
    assert "Your new password is set" in tab.html


def link_to(suite: Suite, email: str, page: str) -> str:
    """The one in the mail to somebody, once it is there."""
    prefix = f"{suite.gateway}/{page}#token="

    def found() -> list[str]:
        words = (word for mail in customers.mails_to(suite, email) for word in mail.split())
        return [word for word in words if word.startswith(prefix)]

    until(lambda: bool(found()), f"a mail to {email}", 30)
    (link,) = found()
    return link
