"""`make run`: what starts, what is restarted, what is refused, and that nothing stays behind."""

import contextlib
import os
import signal
import socket
import subprocess
import sys
from pathlib import Path

import httpx
import pytest

from local.gateway import FORGEABLE_PREFIXES
from tests import emulators
from tests import suite as suites
from tests.suite import REPOSITORY, Suite, until


def _alive(pid: int) -> bool:
    """Whether it runs; a zombie does not."""
    with contextlib.suppress(OSError):
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0] not in "ZX"
    return False


def _family(suite: Suite) -> set[int]:
    """Runner, watchdog, servers and their workers."""
    ready = suite.ready
    members = {ready["runner_pid"], ready["watchdog_pid"], *suite.pids.values()}
    for parent in tuple(members):
        children = Path(f"/proc/{parent}/task/{parent}/children")
        with contextlib.suppress(OSError):
            members.update(map(int, children.read_text().split()))
    return members


def test_every_function_answers_behind_the_gateway_and_at_its_own_address(suite: Suite) -> None:
    for url in (suite.gateway, *(suite.url(name) for name in ("auth", "billing", "tenants"))):
        assert httpx.get(f"{url}/health").status_code == 200


def test_the_operators_file_is_private_and_gives_a_token_that_the_gateway_accepts(suite: Suite) -> None:
    for name in ("operator.json", "operator.curl"):
        assert (suite.data_dir / name).stat().st_mode & 0o777 == 0o600
    headers = {"authorization": f"Bearer {suite.operator_token()}"}
    assert httpx.get(f"{suite.gateway}/v1/tenants", headers=headers).status_code == 200


def test_a_function_runs_from_its_staged_folder_with_its_own_settings_only(suite: Suite) -> None:
    pid = suite.pids["billing"]
    assert Path(f"/proc/{pid}/cwd").readlink() == suite.data_dir / "build" / "billing"
    settings = dict(
        entry.partition("=")[::2] for entry in Path(f"/proc/{pid}/environ").read_text().split("\0") if entry
    )
    assert settings["HOME"] == str(suite.data_dir / "home" / "billing")
    assert settings["EVENTS_AUDIENCE"] == suite.url("billing")
    assert not [name for name in settings if name.startswith("PYTEST") or name == "PYTHONPATH"]


def test_a_killed_function_is_restarted_on_its_port(suite: Suite) -> None:
    url = suite.url("tenants")
    killed = suite.kill("tenants")
    suite.wait_restarted("tenants", killed)
    assert suite.url("tenants") == url


def test_a_new_tenant_is_provisioned_by_the_cluster_stand_in_over_the_topics(suite: Suite) -> None:
    headers = {"authorization": f"Bearer {suite.operator_token()}"}
    tenant = {"slug": "run-test", "name": "Run test", "tier": "basic", "owner_email": "owner@example.com"}
    created = httpx.post(f"{suite.gateway}/v1/tenants", headers=headers, json=tenant)
    assert created.status_code == 201, created.text
    url = f"{suite.gateway}/v1/tenants/{created.json()['id']}"
    until(lambda: httpx.get(url, headers=headers).json()["status"] == "active", "the tenant to be active", 20)
    suite.wait_drained()
    assert list((suite.data_dir / "mailbox").iterdir())


def test_the_event_door_is_shut_behind_the_gateway(suite: Suite) -> None:
    forged = {"ce-id": "1", "ce-type": "google.cloud.pubsub.topic.v1.messagePublished", "ce-source": "x"}
    answer = httpx.post(suite.gateway, headers=forged, json={"message": {"data": ""}})
    assert (answer.status_code, answer.json()["code"]) == (404, 404)
    for name in ("auth", "billing", "tenants"):
        direct = httpx.post(suite.url(name), headers=forged, json={"message": {"data": ""}})
        assert direct.status_code == 401


def test_headers_that_only_the_gateway_sets_do_not_sign_anybody_in(suite: Suite) -> None:
    """T15, H21."""
    token = suite.operator_token()
    for prefix in FORGEABLE_PREFIXES:
        for name in {prefix.rstrip("-"), f"{prefix}userinfo", f"{prefix}userinfo".replace("-", "_")}:
            answer = httpx.get(f"{suite.gateway}/v1/me", headers={name: f"Bearer {token}"})
            assert answer.status_code == 401, name
    direct = httpx.get(f"{suite.url('auth')}/v1/me", headers={"x-apigateway-api-userinfo": "eyJzdWIiOiJ4In0"})
    assert direct.status_code == 401


def test_sigterm_stops_everything_and_a_second_run_goes_on_with_the_same_data(tmp_path: Path) -> None:
    with suites.running(tmp_path) as first:
        family = _family(first)
        operator = first.operator
        first.runner.terminate()
        assert first.runner.wait(30) == 0
        assert not [pid for pid in family if _alive(pid)]
        assert not (tmp_path / "ready.json").exists()
    with suites.running(tmp_path) as second:
        assert second.operator.client_secret == operator.client_secret
        assert second.operator_token()
        family = _family(second)
        second.runner.kill()
        until(lambda: not [pid for pid in family if _alive(pid)], "everything to be gone", 10)


def _refused(*flags: str) -> str:
    command = [sys.executable, "-m", "local.run", *flags]
    done = subprocess.run(command, cwd=REPOSITORY, capture_output=True, text=True, timeout=60, check=False)  # noqa: S603
    assert done.returncode != 0
    assert "Traceback" not in done.stderr
    return done.stderr.strip().splitlines()[-1]


def test_a_taken_port_is_one_clear_line(tmp_path: Path) -> None:
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]
        line = _refused("--port", str(port), "--data-dir", str(tmp_path / "data"))
    assert line.startswith(f"run: port {port} is taken by process {os.getpid()} ")
    assert line.endswith("choose another with PORT= (0: any free one)")


def test_a_folder_that_is_in_use_is_one_clear_line(suite: Suite) -> None:
    line = _refused("--port", "0", "--data-dir", str(suite.data_dir))
    assert f"is used by another runner, process {suite.ready['runner_pid']}" in line


@pytest.mark.parametrize(
    ("flags", "message"),
    [
        (["--port", "70000"], "no port from 0 to 65535"),
        (["--retry-base-seconds", "-1"], "no number of seconds"),
        (["--jwks-cache-seconds", "nan"], "no number of seconds"),
    ],
)
def test_a_wrong_flag_is_named(flags: list[str], message: str) -> None:
    assert message in _refused(*flags)


@pytest.mark.parametrize(
    ("backend", "number"), [("embedded", signal.SIGINT), ("gcp", signal.SIGINT), ("gcp", signal.SIGKILL)]
)
def test_ended_while_it_starts_it_leaves_nothing_behind(
    backend: str, number: signal.Signals, tmp_path: Path
) -> None:
    """Ctrl-C as soon as there is a process, and `kill -9` once an emulator answers."""
    if backend == "gcp":
        emulators.installed()
    command = suites.command(tmp_path / "data", tmp_path / "ready.json")
    runner = subprocess.Popen(command, cwd=REPOSITORY, env={**os.environ, "BACKEND": backend})  # noqa: S603
    family = {runner.pid}

    def has_begun() -> bool:
        family.update(*map(_children, tuple(family)))
        logs = tmp_path / "data" / "logs"
        if number == signal.SIGINT:
            return logs.exists() and len(family) > 1
        return (log := logs / "pubsub.log").exists() and "Server started" in log.read_text()

    until(has_begun, "processes to be started", 40)
    runner.send_signal(number)
    assert runner.wait(30) == (0 if number == signal.SIGINT else -signal.SIGKILL)
    until(lambda: not [pid for pid in family if _alive(pid)], "everything to be gone", 10)


def _children(pid: int) -> list[int]:
    with contextlib.suppress(OSError):
        return [int(child) for child in Path(f"/proc/{pid}/task/{pid}/children").read_text().split()]
    return []
