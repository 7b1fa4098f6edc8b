"""docs/compliance.md: every specification has its rows, and every test that a row names exists."""

import ast
import re
from functools import cache
from pathlib import Path

TESTS = Path(__file__).parent
TABLE = TESTS.parent / "docs" / "compliance.md"
# fmt: off
REQUIRED = frozenset([
    "RFC 6749", "RFC 6750", "RFC 7009", "RFC 7517", "RFC 7519", "RFC 7521", "RFC 7523", "RFC 7636",
    "RFC 7638", "RFC 7662", "RFC 8252", "RFC 8414", "RFC 8628", "RFC 8707", "RFC 8725", "RFC 9068",
    "RFC 9207", "RFC 9470", "OpenID Connect Core", "OpenID Connect Discovery",
    "OpenID Connect RP-Initiated Logout",
])
# fmt: on
CLIENTS = TESTS / "system" / "clients"

_HEADING = re.compile(r"### ([^:]+): .+")
_ROW = re.compile(r"\| ([0-9][0-9., ]*) \| (.+?) \| (.+) \|")
_TEST = re.compile(r"`([\w/]+\.py)::(\w+)`")


def rows(text: str) -> list[tuple[str, str, list[tuple[str, str]]]]:
    """Specification, requirement, and tests as (file below `tests/`, function)."""
    found, spec = [], ""
    for line in text.splitlines():
        if heading := _HEADING.fullmatch(line):
            spec = heading[1]
        elif row := _ROW.fullmatch(line):
            found.append((spec, row[2], _TEST.findall(row[3])))
    return found


@cache
def functions_of(name: str) -> frozenset[str]:
    path = TESTS / name
    module = ast.parse(path.read_text()) if path.exists() else ast.Module([], [])
    functions = (node for node in module.body if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef))
    return frozenset(node.name for node in functions if node.name.startswith("test_"))


def unkept(text: str) -> list[str]:
    """What is wrong with the table."""
    table = rows(text)
    missing = [f"{spec} has no row" for spec in sorted(REQUIRED - {spec for spec, _, _ in table})]
    untested = [f"{spec}: {requirement} has no test" for spec, requirement, tests in table if not tests]
    gone = [
        f"{spec}: {name}::{test} does not exist"
        for spec, _, tests in table
        for name, test in tests
        if test not in functions_of(name)
    ]
    return missing + untested + gone


def test_every_specification_has_rows_and_every_row_tests_that_exist() -> None:
    assert unkept(TABLE.read_text()) == []


def test_every_test_of_a_foreign_client_is_in_the_table() -> None:
    named = {test for _, _, tests in rows(TABLE.read_text()) for test in tests}
    files = [path.relative_to(TESTS).as_posix() for path in CLIENTS.glob("test_*.py")]
    assert len(files) >= 5
    assert {(name, test) for name in files for test in functions_of(name)} - named == set()


def test_what_is_missing_is_noticed() -> None:
    text = TABLE.read_text()
    assert unkept(text.replace("### RFC 9207:", "### RFC 1:")) == ["RFC 9207 has no row"]
    gone = unkept(text.replace("::test_an_assertion_is_used_once`", "::test_gone`"))
    assert gone
    assert all("test_gone does not exist" in each for each in gone)
