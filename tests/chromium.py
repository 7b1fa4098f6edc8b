"""Debian's headless Chromium, driven over a pipe with the DevTools protocol: what a person does, no more."""

import base64
import contextlib
import json
import os
import select
import shutil
import subprocess
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

PROGRAM = "/usr/bin/chromium"
SECONDS = 15.0
_FLAGS = (
    "--headless",
    "--no-sandbox",
    "--disable-gpu",
    "--no-first-run",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
    "--remote-debugging-pipe",
)


def installed() -> None:
    """Skips the test without the browser, or fails it with `REQUIRE_BROWSER=1`."""
    if shutil.which(PROGRAM) is None:
        missing = f"{PROGRAM} is not installed (apt-get install chromium)"
        if os.environ.get("REQUIRE_BROWSER") == "1":
            pytest.fail(missing)
        pytest.skip(missing)


TYPED_FIRST = "Autofocus processing was blocked because a document already has a focused element"
"""Who types as soon as a page is loaded may be faster than its autofocus: no fault of the page's."""


class Tab:
    """One page. Scripts of pages run in it once they may; what it complains of is kept in `complaints`."""

    def __init__(self, to_browser: int, from_browser: int) -> None:
        self._to = to_browser
        self._from = from_browser
        self._received = b""
        self._last_id = 0
        self._session: str | None = None
        self._loaded = False
        self.complaints: list[str] = []
        target = self._ask("Target.createTarget", url="about:blank")["targetId"]
        self._session = self._ask("Target.attachToTarget", targetId=target, flatten=True)["sessionId"]
        for domain in ("Page", "DOM", "Log", "Audits", "Network"):
            self._ask(f"{domain}.enable")
        self.let_scripts_run(False)

    def let_scripts_run(self, let: bool) -> None:
        """Those of the pages that are opened next."""
        self._ask("Emulation.setScriptExecutionDisabled", value=not let)

    def open(self, url: str) -> None:
        """Nothing is loaded where only what comes after `#` is another."""
        self._loaded = False
        if "loaderId" in self._ask("Page.navigate", url=url):
            self._wait_loaded()

    def type(self, selector: str, text: str) -> None:
        """Replaces what is in a field."""
        self._ask("DOM.focus", nodeId=self._node(selector))
        self._ask("Input.dispatchKeyEvent", type="keyDown", commands=["selectAll"])
        self._ask("Input.insertText", text=text)

    def press_enter(self) -> None:
        """In the field that was typed into last: the form is sent."""
        key = {"key": "Enter", "code": "Enter", "windowsVirtualKeyCode": 13, "text": "\r"}
        self._loading("Input.dispatchKeyEvent", type="keyDown", **key)

    def click(self, selector: str) -> None:
        """On what leads to another page."""
        corners = self._ask("DOM.getBoxModel", nodeId=self._node(selector))["model"]["content"]
        where = {"x": (corners[0] + corners[4]) / 2, "y": (corners[1] + corners[5]) / 2}
        mouse = {**where, "button": "left", "clickCount": 1}
        self._ask("Input.dispatchMouseEvent", type="mousePressed", **mouse)
        self._loading("Input.dispatchMouseEvent", type="mouseReleased", **mouse)

    @property
    def url(self) -> str:
        history = self._ask("Page.getNavigationHistory")
        return str(history["entries"][history["currentIndex"]]["url"])

    @property
    def html(self) -> str:
        return str(self._ask("DOM.getOuterHTML", nodeId=self._root())["outerHTML"])

    def cookies(self) -> list[dict[str, Any]]:
        found: list[dict[str, Any]] = self._ask("Network.getCookies")["cookies"]
        return found

    def focused(self, selector: str) -> bool:
        """Whether the page itself has put the cursor there."""
        found = self._ask("DOM.querySelector", nodeId=self._root(), selector=f"{selector}:focus")
        return bool(found["nodeId"])

    def hold_passkey(self, credential: dict[str, Any]) -> None:
        """The machine has it, and whoever sits there unlocks it. `credential`: WebAuthn.Credential."""
        kind = {"protocol": "ctap2", "transport": "internal", "hasResidentKey": True}
        person = {"hasUserVerification": True, "isUserVerified": True, "automaticPresenceSimulation": True}
        self._ask("WebAuthn.enable")
        added = self._ask("WebAuthn.addVirtualAuthenticator", options=kind | person)
        self._ask("WebAuthn.addCredential", credential=credential, **added)

    def look_like(self, *, width: int, height: int, dark: bool = False) -> None:
        size = {"width": width, "height": height, "deviceScaleFactor": 2, "mobile": width < 600}
        self._ask("Emulation.setDeviceMetricsOverride", **size)
        scheme = {"name": "prefers-color-scheme", "value": "dark" if dark else "light"}
        self._ask("Emulation.setEmulatedMedia", features=[scheme])

    def screenshot(self, path: Path) -> None:
        path.write_bytes(base64.b64decode(self._ask("Page.captureScreenshot", format="png")["data"]))

    def _node(self, selector: str) -> int:
        found = self._ask("DOM.querySelector", nodeId=self._root(), selector=selector)["nodeId"]
        assert found, f"no {selector} in {self.html}"
        return int(found)

    def _root(self) -> int:
        return int(self._ask("DOM.getDocument")["root"]["nodeId"])

    def _loading(self, method: str, **parameters: Any) -> None:
        """Does what makes another page load, and waits until it has."""
        self._loaded = False
        self._ask(method, **parameters)
        self._wait_loaded()

    def _wait_loaded(self) -> None:
        deadline = time.monotonic() + SECONDS
        while not self._loaded:
            self._take(self._next(deadline))

    def _ask(self, method: str, **parameters: Any) -> dict[str, Any]:
        self._last_id += 1
        call: dict[str, Any] = {"id": self._last_id, "method": method, "params": parameters}
        if self._session is not None:
            call["sessionId"] = self._session
        os.write(self._to, json.dumps(call).encode() + b"\0")
        deadline = time.monotonic() + SECONDS
        while True:
            message = self._next(deadline)
            if message.get("id") == self._last_id:
                assert "error" not in message, f"{method}: {message}"
                found: dict[str, Any] = message["result"]
                return found
            self._take(message)

    def _take(self, message: dict[str, Any]) -> None:
        """An event."""
        name, said = message.get("method"), message.get("params", {})
        if name == "Page.loadEventFired":
            self._loaded = True
        elif name == "Log.entryAdded" and said["entry"]["source"] != "network":
            text = str(said["entry"]["text"])
            if not text.startswith(TYPED_FIRST):
                self.complaints.append(text)
        elif name == "Audits.issueAdded":
            self.complaints.append(json.dumps(said["issue"]))

    def _next(self, deadline: float) -> dict[str, Any]:
        while b"\0" not in self._received:
            ready, _, _ = select.select([self._from], [], [], max(0, deadline - time.monotonic()))
            assert ready, "the browser says nothing"
            chunk = os.read(self._from, 65_536)
            assert chunk, "the browser is gone"
            self._received += chunk
        raw, _, self._received = self._received.partition(b"\0")
        message: dict[str, Any] = json.loads(raw)
        return message


@contextlib.contextmanager
def running(folder: Path) -> Iterator[Tab]:
    """A browser of its own, which forgets everything in the end."""
    installed()
    their_in, to_browser = os.pipe()
    from_browser, their_out = os.pipe()
    # They read commands from descriptor 3 and answer on 4.
    launch = f'exec "$@" 3<&{their_in} 4>&{their_out}'
    command = ["bash", "-c", launch, "chromium", PROGRAM, *_FLAGS, f"--user-data-dir={folder}"]
    with (folder.parent / "chromium.log").open("wb") as log:
        browser = subprocess.Popen(  # noqa: S603
            command, pass_fds=(their_in, their_out), stdout=log, stderr=log, start_new_session=True
        )
    os.close(their_in)
    os.close(their_out)
    try:
        yield Tab(to_browser, from_browser)
    finally:
        os.close(to_browser)
        os.close(from_browser)
        _stop(browser)


def _stop(browser: "subprocess.Popen[bytes]") -> None:
    """Without its pipe it ends by itself."""
    try:
        browser.wait(5)
    except subprocess.TimeoutExpired:
        browser.kill()
        browser.wait(5)
