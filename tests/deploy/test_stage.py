"""Staging: what `deploy/stage.py` puts into `build/`, and that it runs alone."""

import os
import signal
import socket
import subprocess
import sys
import time
import urllib.error
import urllib.request
from collections.abc import Iterator, Mapping
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager, suppress
from pathlib import Path

import pytest

from deploy import stage
from deploy.stage import ROOT, StageError

STAGEABLE = [name for name in stage.ENTRY_POINTS if (ROOT / "functions" / name / "main.py").is_file()]


@pytest.fixture
def tree(tmp_path: Path) -> Path:
    """A small repository with two functions."""
    root = tmp_path / "repository"
    for name, text in {
        "requirements.txt": "msgspec==0.22.0\n",
        "functions/__init__.py": "",
        "functions/auth/__init__.py": "",
        "functions/auth/main.py": "async def auth_handler(): ...\n",
        "functions/auth/invitation.html": "<p>Welcome</p>",
        "functions/billing/__init__.py": "",
        "functions/billing/main.py": "async def billing_handler(): ...\n",
        "shared/__init__.py": "",
        "shared/store/__init__.py": "A = 1\n",
        "shared/store/__pycache__/old.cpython-311.pyc": "",
        "shared/.editor.py.swp": "",
        "tests/test_a.py": "",
        "local/__init__.py": "",
    }.items():
        path = root / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text)
    return root


def files(folder: Path) -> dict[str, bytes]:
    return {str(path.relative_to(folder)): path.read_bytes() for path in folder.rglob("*") if path.is_file()}


def test_a_staged_folder_holds_its_function_and_shared_and_nothing_else(tree: Path, tmp_path: Path) -> None:
    stage.stage(["auth"], tmp_path / "build", root=tree)

    assert sorted(files(tmp_path / "build" / "auth")) == [
        "functions/__init__.py",
        "functions/auth/__init__.py",
        "functions/auth/invitation.html",
        "functions/auth/main.py",
        "main.py",
        "requirements.txt",
        "shared/__init__.py",
        "shared/store/__init__.py",
    ]
    assert os.listdir(tmp_path / "build") == ["auth"]


def test_the_generated_main_re_exports_the_entry_point_and_no_more(tree: Path, tmp_path: Path) -> None:
    stage.stage(["billing"], tmp_path / "build", root=tree)

    main = (tmp_path / "build" / "billing" / "main.py").read_text()
    namespace = _run(tmp_path / "build" / "billing", "import main; print(main.__all__, main.billing_handler)")
    assert "from functions.billing.main import billing_handler\n" in main
    assert namespace.startswith("['billing_handler'] <function billing_handler")


def test_the_garbage_collector_is_held_back_before_anything_is_imported(tree: Path, tmp_path: Path) -> None:
    """Walking what a start imports, again and again, was a twentieth of its CPU time."""
    (tree / "functions/auth/main.py").write_text(
        "import gc\n\nSEEN = gc.get_threshold()\n\nasync def auth_handler(): ...\n"
    )
    stage.stage(["auth"], tmp_path / "build", root=tree)

    asked = "import main, functions.auth.main as auth; print(auth.SEEN)"
    assert _run(tmp_path / "build" / "auth", asked).strip() == "(20000, 20, 20)"


@pytest.mark.parametrize("compiled", [False, True])
def test_two_runs_give_the_same_bytes(tree: Path, tmp_path: Path, compiled: bool) -> None:
    stage.stage(["auth"], tmp_path / "one", root=tree, compiled=compiled)
    os.utime(tree / "shared" / "store" / "__init__.py", (1, 1))
    stage.stage(["auth"], tmp_path / "two", root=tree, compiled=compiled)

    first = files(tmp_path / "one" / "auth")
    assert first == files(tmp_path / "two" / "auth")
    assert any(name.endswith(".pyc") for name in first) == compiled


def test_compiled_bytecode_is_what_python_loads(tree: Path, tmp_path: Path) -> None:
    (folder,) = stage.stage(["auth"], tmp_path / "build", root=tree, compiled=True)
    (folder / "shared" / "store" / "__init__.py").write_text("A = 2\n")

    assert _run(folder, "import shared.store; print(shared.store.A)") == "1\n"


def test_a_file_that_is_gone_from_the_source_is_gone_from_the_build(tree: Path, tmp_path: Path) -> None:
    stage.stage(["auth"], tmp_path / "build", root=tree)
    (tree / "functions" / "auth" / "invitation.html").unlink()
    stage.stage(["auth"], tmp_path / "build", root=tree)

    assert not (tmp_path / "build" / "auth" / "functions" / "auth" / "invitation.html").exists()
    assert os.listdir(tmp_path / "build") == ["auth"]


def test_a_stage_that_fails_leaves_the_folder_that_stood_there(tree: Path, tmp_path: Path) -> None:
    stage.stage(["auth"], tmp_path / "build", root=tree)
    before = files(tmp_path / "build" / "auth")
    (tree / "functions" / "auth" / "main.py").write_text("changed = True\n")
    (tree / "shared" / "zz.pem").write_text("")

    with pytest.raises(StageError):
        stage.stage(["auth"], tmp_path / "build", root=tree)

    assert files(tmp_path / "build" / "auth") == before
    assert os.listdir(tmp_path / "build") == ["auth"]


def test_a_folder_is_replaced_as_a_whole(tree: Path, tmp_path: Path) -> None:
    """A process that has the old folder open never sees a new file appear in it."""
    (folder,) = stage.stage(["auth"], tmp_path / "build", root=tree)
    before = folder.stat().st_ino
    stage.stage(["auth"], tmp_path / "build", root=tree)

    assert folder.stat().st_ino != before


def test_two_stagers_at_once_both_succeed(tree: Path, tmp_path: Path) -> None:
    def run() -> None:
        for _ in range(5):
            stage.stage(["auth", "billing"], tmp_path / "build", root=tree)

    with ThreadPoolExecutor(2) as pool:
        for running in [pool.submit(run), pool.submit(run)]:
            running.result()

    assert sorted(os.listdir(tmp_path / "build")) == ["auth", "billing"]


def test_a_file_of_an_unexpected_kind_is_refused_by_name(tree: Path, tmp_path: Path) -> None:
    (tree / "shared" / "private.pem").write_text("")

    with pytest.raises(StageError, match=r"shared/private\.pem"):
        stage.stage(["auth"], tmp_path / "build", root=tree)
    assert os.listdir(tmp_path / "build") == []


def test_a_link_out_of_the_tree_is_refused(tree: Path, tmp_path: Path) -> None:
    (tree / "shared" / "linked.py").symlink_to("/etc/hostname")

    with pytest.raises(StageError, match=r"shared/linked\.py"):
        stage.stage(["auth"], tmp_path / "build", root=tree)


def test_a_function_without_an_entry_point_is_refused_by_the_missing_file(tree: Path, tmp_path: Path) -> None:
    (tree / "functions" / "auth" / "main.py").unlink()

    with pytest.raises(StageError, match=r"functions/auth/main\.py is missing"):
        stage.stage(["auth"], tmp_path / "build", root=tree)


def test_a_file_that_does_not_compile_stops_the_stage(tree: Path, tmp_path: Path) -> None:
    """The platform compiles the whole source, so one such file anywhere fails its build."""
    (tree / "shared" / "store" / "__init__.py").write_text("def\n")

    with pytest.raises(StageError, match="does not compile"):
        stage.stage(["auth"], tmp_path / "build", root=tree, compiled=True)
    assert os.listdir(tmp_path / "build") == []


def test_an_unknown_function_is_named_in_one_line(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    code = stage.main(["auth", "mailer", "--out", str(tmp_path / "build")])

    assert code == 1
    assert capsys.readouterr().err == "deploy.stage: no function mailer; there are auth, billing, tenants\n"
    assert not (tmp_path / "build").exists()


@pytest.mark.parametrize("function", STAGEABLE)
def test_what_is_deployed_boots_alone_and_answers(function: str, tmp_path: Path) -> None:
    """Nothing of the repository can be imported: not the working folder, no path, no installed package."""
    (folder,) = stage.stage([function], tmp_path / "build")
    (tmp_path / "data").mkdir()
    with _serving(folder, stage.ENTRY_POINTS[function], tmp_path) as url:
        status, body = _get(f"{url}/health")
        assert (status, b"stack" in body) == (200, False)
        status, body = _get(f"{url}/nothing-here")
        assert (status, b'"code"' in body) == (404, True)


def test_what_an_event_trigger_sets_changes_nothing_about_the_door(tmp_path: Path) -> None:
    """The platform names a signature for a function with a trigger; the framework's own envelope handling
    would take messages without asking who sends them, and echo headers.
    """
    (folder,) = stage.stage(["auth"], tmp_path / "build")
    (tmp_path / "data").mkdir()
    trigger = {
        "FUNCTION_SIGNATURE_TYPE": "cloudevent",
        "FUNCTION_TARGET": "auth_handler",
        "DOORS": "events",
        "EVENTS_KEYS": f"file:{tmp_path}/jwks.json",
        "EVENTS_ISSUER": "https://accounts.google.com",
        "EVENTS_AUDIENCE": "https://auth-events.example",
        "EVENTS_CALLER": "events@example.com",
    }
    (tmp_path / "jwks.json").write_text('{"keys": []}')
    with _serving(folder, "auth_handler", tmp_path, trigger) as url:
        assert _get(f"{url}/health")[0] == 200
        pushed = f"{url}/?__GCP_CloudEventsMode=CUSTOM_PUBSUB_projects%2Fp%2Ftopics%2Fauth-events"
        status, body = _get(pushed, b'{"message": {"data": "", "messageId": "1"}}')
        assert (status, b"caller_unproven" in body) == (401, True)


@pytest.mark.parametrize("function", STAGEABLE)
def test_a_staged_folder_imports_nothing_from_the_repository(function: str, tmp_path: Path) -> None:
    (folder,) = stage.stage([function], tmp_path / "build")

    origins = _run(
        folder,
        "import pkgutil, importlib, sys, os\n"
        "import functions, shared\n"
        "for root in (functions, shared):\n"
        "    for found in pkgutil.walk_packages(root.__path__, root.__name__ + '.'):\n"
        "        if not found.name.endswith('.main'): importlib.import_module(found.name)\n"
        "print(*sorted({os.path.realpath(m.__file__ or '') for n, m in sys.modules.items()"
        " if n.split('.')[0] in ('functions', 'shared', 'local', 'deploy')}), sep='\\n')",
    ).split()

    assert len(origins) > 20
    assert [origin for origin in origins if not origin.startswith(str(folder.resolve()))] == []


def _run(folder: Path, code: str) -> str:
    """Runs `code` with `folder` and the installed packages to import from, and nothing else."""
    isolated = f"import sys; sys.path.insert(0, {str(folder)!r}); sys.dont_write_bytecode = True\n{code}"
    done = subprocess.run(  # noqa: S603 - our own interpreter
        [sys.executable, "-I", "-c", isolated], cwd="/", capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stderr
    return done.stdout


@contextmanager
def _serving(
    folder: Path, target: str, tmp_path: Path, settings: Mapping[str, str] | None = None
) -> Iterator[str]:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = probe.getsockname()[1]
    log = tmp_path / "server.log"
    with log.open("wb") as output:
        server = subprocess.Popen(  # noqa: S603 - our own interpreter
            [sys.executable, "-I", "-m", "functions_framework", f"--target={target}", "--source=main.py"],
            cwd=folder,
            env={**_settings(tmp_path, port), **(settings or {})},
            stdout=output,
            stderr=subprocess.STDOUT,
            start_new_session=True,
        )
    try:
        _wait_for(port, server, log)
        yield f"http://127.0.0.1:{port}"
    finally:
        with suppress(ProcessLookupError):
            os.killpg(server.pid, signal.SIGKILL)
        server.wait()


def _settings(tmp_path: Path, port: int) -> dict[str, str]:
    return {
        "PATH": os.environ["PATH"],
        "HOST": "127.0.0.1",
        "PORT": str(port),
        "HOME": str(tmp_path),
        "BACKEND": "embedded",
        "DOORS": "http",
        "ENVIRONMENT": "test",
        "PUBLIC_URL": f"http://127.0.0.1:{port}",
        "DATA_DIR": str(tmp_path / "data"),
    }


def _wait_for(port: int, server: subprocess.Popen[bytes], log: Path) -> None:
    deadline = time.monotonic() + 15
    while time.monotonic() < deadline:
        assert server.poll() is None, log.read_text()
        with socket.socket() as attempt:
            if attempt.connect_ex(("127.0.0.1", port)) == 0:
                return
        time.sleep(0.05)
    raise AssertionError(f"no answer within 15 s:\n{log.read_text()}")


def _get(url: str, posted: bytes | None = None) -> tuple[int, bytes]:
    try:
        with urllib.request.urlopen(url, posted, timeout=10) as answer:  # noqa: S310 - loopback
            return answer.status, answer.read()
    except urllib.error.HTTPError as refusal:
        with refusal:
            return refusal.code, refusal.read()
