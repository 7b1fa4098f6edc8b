"""Log files as a person sees them."""

from pathlib import Path

import pytest

from local.logs import SHOWN_AT_ONCE, Logs, Tail, readable
from local.watchdog import left_behind


def test_a_tail_gives_whole_lines_that_came_since(tmp_path: Path) -> None:
    file = tmp_path / "a.log"
    file.write_text("old\n")
    tail = Tail(file)
    with file.open("a") as log:
        log.write("one\ntw")
        log.flush()
        assert tail.lines() == ["one"]
        assert tail.lines() == []
        log.write("o\n")
        log.flush()
    assert tail.lines() == ["two"]


def test_a_tail_waits_for_a_file_that_is_not_there_yet(tmp_path: Path) -> None:
    tail = Tail(tmp_path / "a.log")
    assert tail.lines() == []
    (tmp_path / "a.log").write_text("one\n")
    assert tail.lines() == ["one"]


def test_a_flood_is_cut_and_the_rest_is_counted(tmp_path: Path) -> None:
    file = tmp_path / "a.log"
    shown: list[str] = []
    logs = Logs({"auth": file}, shown.append)
    file.write_text("line\n" * (SHOWN_AT_ONCE + 7))
    logs.poll()
    assert len(shown) == SHOWN_AT_ONCE + 1
    assert "7 more lines" in shown[-1]


@pytest.mark.parametrize(
    ("line", "shown"),
    [
        ("plain [text]", r"plain \[text]"),
        ('{"severity":"INFO","message":"signed in","tenant_id":"tnt_1"}', "signed in [dim]tnt_1[/]"),
        (
            '{"severity":"INFO","message":"GET /x 200","httpRequest":{"latency":"0.001234s"}}',
            "GET /x 200 [dim]1.2 ms[/]",
        ),
        (
            '{"severity":"ERROR","message":"broken\\nmore","stack_trace":"Traceback\\nKeyError: x"}',
            "[bold red]ERROR broken[/] [dim]KeyError: x[/]",
        ),
        ('{"severity":"DEBUG","message":"noise"}', ""),
        ('{"message":7}', "7"),
        ("[1, true]", "[1, true]"),
        ('{"status":200,"method":"GET","path":"/health","details":"via_upstream"}', ""),
        (
            '{"status":401,"method":"GET","path":"/v1/me","details":"jwt_authn_access_denied{Jwt_is_missing}"}',
            "401 GET /v1/me [dim]jwt_authn_access_denied[/]",
        ),
    ],
)
def test_a_line_is_short_and_cannot_write_markup(line: str, shown: str) -> None:
    assert readable(line) == shown


def test_the_watchdog_kills_only_groups_that_began_and_did_not_end() -> None:
    assert left_behind(["+1\n", "+2\n", "-1\n", "+3\n", "-3\n", "+1\n"]) == {1, 2}
