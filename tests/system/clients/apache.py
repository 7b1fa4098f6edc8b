"""Debian's Apache with mod_auth_openidc as a process of our own, beside whatever the system runs."""

import contextlib
import re
import subprocess
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path
from urllib.parse import urlsplit

import httpx

from local.ports import HOST, Reservation
from shared.ids import new_id
from tests.system.clients.world import World

PROGRAM = Path("/usr/sbin/apache2")
MODULES = Path("/usr/lib/apache2/modules")
SECONDS = 20.0
_LOADED = ("mpm_event", "authn_core", "authz_core", "authz_user", "auth_openidc", "headers", "dir")


def is_installed() -> bool:
    return PROGRAM.exists() and (MODULES / "mod_auth_openidc.so").exists()


@contextlib.contextmanager
def running(world: World) -> Iterator[str]:
    """Its base URL. People sign in below `/people`; below `/api` a bearer token is introspected."""
    # Not below pytest's folder, which workers of another user cannot enter.
    with tempfile.TemporaryDirectory(prefix="energent-apache-") as name, contextlib.ExitStack() as held:
        folder, port = Path(name), Reservation.take()
        held.callback(port.release)
        url = f"http://{HOST}:{port.port}"
        _write(folder, world, url)
        command = [str(PROGRAM), "-d", name, "-f", f"{name}/apache.conf", "-DFOREGROUND"]
        process = subprocess.Popen(command)  # noqa: S603 - Debian's
        try:
            _until_up(process, url, folder)
            yield url
        finally:
            process.terminate()
            process.wait(SECONDS)


def _write(folder: Path, world: World, url: str) -> None:
    folder.chmod(0o755)
    for each in ("people", "api"):
        (folder / "www" / each).mkdir(parents=True)
        (folder / "www" / each / "index.html").write_text(f"<!doctype html><title>{each}</title>")
    (folder / "apache.conf").write_text(_configuration(folder, world, url))


def _configuration(folder: Path, world: World, url: str) -> str:
    modules = "\n".join(f"LoadModule {name}_module {MODULES}/mod_{name}.so" for name in _LOADED)
    callback = urlsplit(world.redirect_uri).path
    return f"""
{modules}
Listen {urlsplit(url).netloc}
ServerName {urlsplit(url).netloc}
User www-data
Group www-data
PidFile {folder}/apache.pid
ErrorLog {folder}/error.log
Mutex posixsem
DocumentRoot {folder}/www
ServerLimit 1
ThreadsPerChild 8
MaxRequestWorkers 8

OIDCProviderMetadataURL {world.issuer}/.well-known/openid-configuration
OIDCClientID {world.web.client_id}
OIDCClientSecret {world.web.client_secret}
OIDCProviderTokenEndpointAuth client_secret_basic
OIDCRedirectURI {url}{callback}
OIDCRedirectURLsAllowed ^{re.escape(world.signed_out_uri)}$
OIDCCryptoPassphrase {new_id("pass")}
OIDCPKCEMethod S256
OIDCScope "{world.scope}"
OIDCRemoteUserClaim email
OIDCOAuthServerMetadataURL {world.issuer}/.well-known/oauth-authorization-server
OIDCOAuthClientID {world.web.client_id}
OIDCOAuthClientSecret {world.web.client_secret}
OIDCOAuthRemoteUserClaim sub

<LocationMatch "^/(people|callback)">
  AuthType openid-connect
  Require valid-user
  OIDCPassRefreshToken On
  OIDCRefreshAccessTokenBeforeExpiry 3600
</LocationMatch>
<Location /api>
  AuthType oauth20
  Require claim scope~users:read
</Location>
Header set X-Remote-User "expr=%{{REMOTE_USER}}"
Header set X-Subject "%{{OIDC_CLAIM_sub}}e"
Header set X-Tenant "%{{OIDC_CLAIM_tid}}e"
Header set X-Name "%{{OIDC_CLAIM_name}}e"
Header set X-Access-Token "%{{OIDC_access_token}}e"
Header set X-Refresh-Token "%{{OIDC_refresh_token}}e"
"""


def _until_up(process: "subprocess.Popen[bytes]", url: str, folder: Path) -> None:
    deadline = time.monotonic() + SECONDS
    while True:
        with contextlib.suppress(httpx.TransportError):
            httpx.get(f"{url}/", trust_env=False)
            return
        waiting = process.poll() is None and time.monotonic() < deadline
        log = folder / "error.log"
        assert waiting, f"Apache does not start: {log.read_text() if log.exists() else 'no log'}"
        time.sleep(0.05)
