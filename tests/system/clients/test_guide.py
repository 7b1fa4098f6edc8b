"""The programs in docs/guide/auth.md do what the guide says, as they are written there."""

import os
import re
import shutil
import subprocess
import sys
import time
from pathlib import Path
from urllib.parse import parse_qs, urlsplit

import httpx

from local.ports import Reservation
from tests.suite import REPOSITORY
from tests.system.clients import required
from tests.system.clients.world import RESOURCE, Client, World

GUIDE = REPOSITORY / "docs" / "guide" / "auth.md"
README = REPOSITORY / "README.md"
MODULES = Path(__file__).parent / "node_modules"
APP = "http://127.0.0.1:3000"
SECONDS = 15.0


def program(language: str) -> str:
    """The one of the guide in that language."""
    (found,) = re.findall(rf"^```{language}\n(.*?)^```", GUIDE.read_text(), re.DOTALL | re.MULTILINE)
    return str(found)


def token(world: World, client: Client, **form: str) -> str:
    asked = {"grant_type": "client_credentials", **form}
    proof = (client.client_id, client.client_secret)
    answer = httpx.post(f"{world.issuer}/oauth2/token", data=asked, auth=proof)
    assert answer.status_code == 200, answer.text
    return str(answer.json()["access_token"])


def once_up(url: str) -> httpx.Response:
    """Its first answer."""
    end = time.monotonic() + SECONDS
    while True:
        try:
            return httpx.get(url)
        except httpx.TransportError:
            assert time.monotonic() < end, f"nothing answers {url}"
            time.sleep(0.05)


def test_the_web_app_signs_a_person_in(world_of_clients: World, tmp_path: Path) -> None:
    world = world_of_clients
    node = shutil.which("node")
    installed = node is not None and (MODULES / "openid-client/package.json").exists()
    required.installed(installed, "install Node.js 20 (apt-get install nodejs npm), then `make clients`")
    assert node is not None
    reservation = Reservation.take()
    app = APP.replace("3000", str(reservation.port))
    (tmp_path / "node_modules").symlink_to(MODULES)
    written = tmp_path / "web.mjs"
    written.write_text(program("js").replace("3000", str(reservation.port)))
    settings = {
        "ISSUER": world.issuer,
        "CLIENT_ID": world.web.client_id,
        "CLIENT_SECRET": world.web.client_secret,
    }
    process = subprocess.Popen([node, written], env={**os.environ, **settings})  # noqa: S603 - the guide's
    try:
        begun = once_up(f"{app}/login")
        landed = world.visit(begun.headers["location"])
        assert landed.startswith(f"{app}/callback?")
        assert httpx.get(landed).status_code == 400, "without the cookie of the browser that began"
        signed_in = httpx.get(landed, headers={"cookie": begun.headers["set-cookie"].partition(";")[0]})
        assert signed_in.text == f"signed in: {world.person.email} (aal1)\n"
        assert 'href="/logout"' in httpx.get(f"{app}/").text
        leaving = httpx.get(f"{app}/logout").headers["location"]
        assert leaving.startswith(f"{world.metadata()['end_session_endpoint']}?")
        assert parse_qs(urlsplit(leaving).query) == {
            "client_id": [world.web.client_id],
            "post_logout_redirect_uri": [f"{app}/"],
        }
    finally:
        process.terminate()
        process.wait(SECONDS)
        reservation.release()


def test_the_command_line_tool_gets_its_tokens_once_a_person_allows_it(world_of_clients: World) -> None:
    world = world_of_clients
    required.installed(shutil.which("curl") is not None, "apt-get install curl")
    (json_of_readme,) = re.findall(r"^json\(\) .*$", README.read_text(), re.MULTILINE)
    script = json_of_readme.replace(".venv/bin/python", sys.executable) + "\n" + program("sh")
    settings = {**os.environ, "ISSUER": world.issuer, "CLIENT_ID": world.native.client_id}
    process = subprocess.Popen(["bash", "-c", script], env=settings, stdout=subprocess.PIPE, text=True)  # noqa: S603, S607 - the guide's
    try:
        assert process.stdout is not None
        told = re.match(r"Open (\S+) ", process.stdout.readline())
        assert told is not None
        world.visit(told[1], "allow")
        said, _ = process.communicate(timeout=SECONDS)
        assert f'"email":"{world.person.email}"' in said
    finally:
        process.kill()
        process.wait(SECONDS)


def test_the_resource_server_takes_tokens_for_itself_alone(world_of_clients: World, tmp_path: Path) -> None:
    world = world_of_clients
    required.installed(True, "")
    written = tmp_path / "verify.py"
    written.write_text(program("python"))

    def run(of: str) -> subprocess.CompletedProcess[str]:
        settings = {**os.environ, "ISSUER": world.issuer, "TOKEN": of}
        command = [sys.executable, str(written)]
        return subprocess.run(command, env=settings, capture_output=True, text=True, check=False)  # noqa: S603

    good = run(token(world, world.machine, resource=RESOURCE))
    tenant_id, _, own_id = world.machine.client_id.partition(".")
    assert good.stdout.split()[:2] == [tenant_id, own_id], good.stderr
    assert "InvalidAudienceError" in run(token(world, world.machine)).stderr
