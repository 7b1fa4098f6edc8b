"""What was set aside, as a person at a terminal meets it."""

import base64
import io
import json
from pathlib import Path
from typing import Any

import httpx
import msgspec
import pytest
from rich.console import Console

from local import set_aside
from local.first_operator import Credential
from local.layout import Layout
from local.set_aside import Failed, Shelf

OPERATOR = Credential("platform.sa_1", "hunter2", "http://gateway.invalid/oauth2/token")
ITEM = {
    "id": "qrn_1",
    "received_at": "2026-03-04T12:00:00.000001Z",
    "function": "billing",
    "reason": "usage_bad_shape",
    "tenant_id": "tnt_1",
    "detail": "no id",
}


class Gateway:
    """Answers as the real one; `answers` by method and path, a list is taken one by one."""

    def __init__(self) -> None:
        self.asked: list[tuple[str, str, Any]] = []
        self.answers: dict[str, Any] = {}
        self.console = Console(file=io.StringIO(), width=160)
        client = httpx.Client(base_url="http://gateway.invalid", transport=httpx.MockTransport(self._answer))
        self.shelf = Shelf(client, OPERATOR, self.console)

    @property
    def shown(self) -> str:
        assert isinstance(self.console.file, io.StringIO)
        return self.console.file.getvalue()

    def _answer(self, request: httpx.Request) -> httpx.Response:
        if request.url.path == "/oauth2/token":
            expected = base64.b64encode(b"platform.sa_1:hunter2").decode()
            known = request.headers["authorization"] == f"Basic {expected}"
            return httpx.Response(200 if known else 401, json={"access_token": "t"})
        assert request.headers["authorization"] == "Bearer t"
        body = json.loads(request.content) if request.content else None
        self.asked.append((request.method, request.url.path, body))
        answer = self.answers[f"{request.method} {request.url.path}"]
        answer = answer.pop(0) if isinstance(answer, list) else answer
        return answer if isinstance(answer, httpx.Response) else httpx.Response(200, json=answer)


@pytest.fixture
def gateway() -> Gateway:
    return Gateway()


def test_the_newest_are_listed_with_their_reasons(gateway: Gateway) -> None:
    gateway.answers["GET /v1/quarantine"] = {"items": [ITEM], "next_cursor": None}
    gateway.shelf.listed()
    for told in ("qrn_1", "2026-03-04 12:00:00", "billing", "usage_bad_shape", "tnt_1", "no id"):
        assert told in gateway.shown


def test_an_empty_shelf_is_said(gateway: Gateway) -> None:
    gateway.answers["GET /v1/quarantine"] = {"items": [], "next_cursor": None}
    gateway.shelf.listed()
    assert "Nothing" in gateway.shown


def test_one_is_shown_with_its_data_as_text(gateway: Gateway) -> None:
    data = base64.b64encode(b'{"a": "\xff"}').decode()
    gateway.answers["GET /v1/quarantine/qrn_1"] = {**ITEM, "data": data}
    gateway.shelf.show("qrn_1")
    assert json.loads(gateway.shown)["data"] == '{"a": "\\xff"}'


def test_all_are_sent_again_part_by_part_and_what_stays_is_named(gateway: Gateway) -> None:
    skipped = {"id": "qrn_9", "code": "not_replayable", "detail": "It was too large to be kept whole."}
    gateway.answers["POST /v1/quarantine/replay"] = [
        {"replayed": 2, "skipped": [skipped], "next_cursor": "c1"},
        {"replayed": 1, "skipped": [], "next_cursor": None},
    ]
    gateway.shelf.replay_all()
    assert [body for _, _, body in gateway.asked] == [{"all": True}, {"all": True, "cursor": "c1"}]
    assert "qrn_9 stays: It was too large" in gateway.shown


def test_one_is_sent_again_and_one_thrown_away(gateway: Gateway) -> None:
    gateway.answers["POST /v1/quarantine/qrn_1/replay"] = httpx.Response(204)
    gateway.answers["DELETE /v1/quarantine/qrn_2"] = httpx.Response(204)
    gateway.shelf.replay("qrn_1")
    gateway.shelf.dismiss("qrn_2")
    assert len(gateway.asked) == 2


def test_a_refusal_is_told_in_its_own_words(gateway: Gateway) -> None:
    refusal = httpx.Response(404, json={"detail": "There is no such message."})
    gateway.answers["GET /v1/quarantine/qrn_1"] = refusal
    with pytest.raises(Failed, match="no such message"):
        gateway.shelf.show("qrn_1")


def test_a_folder_where_nothing_ran_is_said(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert set_aside.main(["--data-dir", str(tmp_path)]) == 1
    assert "make run" in capsys.readouterr().err


def test_a_suite_that_does_not_run_is_said(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    nobody = msgspec.structs.replace(OPERATOR, token_endpoint="http://127.0.0.1:1/oauth2/token")
    Layout(tmp_path).operator.write_bytes(msgspec.json.encode(nobody))
    assert set_aside.main(["--data-dir", str(tmp_path), "replay", "all"]) == 1
    said = capsys.readouterr().err
    assert "make run" in said
    assert "hunter2" not in said
