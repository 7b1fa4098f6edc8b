"""`openid-client` and `oauth4webapi` (npm), each with a program of its own beside this file.

Both have an option for issuers with plain http, `allowInsecureRequests`.
"""

import shutil
import subprocess
from pathlib import Path

import pytest

from tests.system.clients import required, world
from tests.system.clients.world import World

HERE = Path(__file__).parent
SECONDS = 60.0


@pytest.mark.parametrize(("program", "steps"), [("openid_client.mjs", 25), ("oauth4webapi.mjs", 27)])
def test_every_step_passes(world_of_clients: World, program: str, steps: int) -> None:
    node = shutil.which("node")
    installed = node is not None and (HERE / "node_modules/oauth4webapi/package.json").exists()
    required.installed(installed, "install Node.js 20 (apt-get install nodejs npm), then `make clients`")
    assert node is not None
    done = subprocess.run(  # noqa: S603 - our own program
        [node, HERE / program, world.as_argument(world_of_clients)],
        capture_output=True,
        text=True,
        timeout=SECONDS,
        check=False,
    )
    assert done.returncode == 0, f"{done.stdout}{done.stderr}"
    assert len(done.stdout.splitlines()) == steps, done.stdout
