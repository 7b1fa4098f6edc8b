"""The arrows and habits of the house hold, and each check fails where something breaks it.

The arrows are import-linter's contracts in pyproject.toml; the habits are in `house_rules.py`.
"""

import re
import shutil
import subprocess
import sys
import tomllib
from collections.abc import Callable
from pathlib import Path

import pytest

from tests import house_rules

ROOT = Path(__file__).resolve().parent.parent
ROOMS = ("functions", "shared", "local", "deploy")

NOTHING_IMPORTS_MAIN = "nothing imports main"
DOORS = "only main imports routes and events"
DOCUMENTS = "routes and events reach documents through use-cases"
RECORDS = "records know the domain and shared"
PURE = "the domain is pure"
ALONE = "no function imports another"
FOLDERS = "auth's folders know those below them"
SHARED = "shared knows no function"
DEPLOYED = "what is deployed knows nothing around it"
DEPLOY = "deploy knows no local, ops, bench or tests"
LOCAL = "local knows no ops, bench or tests"
GOOGLE = "Google's clients are imported in their adapters only"
STRIPE = "Stripe's client is imported in its adapter only"

LATE = "def late():\n    "
"""Imports inside of functions count."""

ARROWS = [
    (NOTHING_IMPORTS_MAIN, "functions.tenants.lifecycle", "import functions.tenants.main"),
    (NOTHING_IMPORTS_MAIN, "local.suite", "import functions.tenants.main"),
    (DOORS, "functions.tenants.lifecycle", "import functions.tenants.routes"),
    (DOORS, "functions.tenants.lifecycle", "import functions.tenants.events"),
    (DOORS, "functions.tenants.routes", "import functions.tenants.events"),
    (DOORS, "functions.tenants.events", "import functions.tenants.routes"),
    (DOORS, "local.suite", "import functions.auth.events"),
    (DOCUMENTS, "functions.tenants.routes", "import functions.tenants.records"),
    (DOCUMENTS, "functions.tenants.events", "import functions.tenants.records"),
    (RECORDS, "functions.tenants.records", "import functions.tenants.provisioning"),
    (RECORDS, "functions.tenants.records", "import httpx"),
    (PURE, "functions.tenants.domain.slugs", "import shared.ids"),
    (PURE, "functions.tenants.domain.slugs", "import functions.tenants.records"),
    (PURE, "functions.tenants.domain.slugs", "import functions.tenants.lifecycle"),
    (PURE, "functions.tenants.domain.slugs", "import httpx"),
    (PURE, "functions.auth.domain", LATE + "import shared.store"),
    (ALONE, "functions.tenants.lifecycle", "import functions.auth.records"),
    (ALONE, "functions.billing.domain", "import functions.tenants.domain.slugs"),
    (FOLDERS, "functions.auth.factors.totp", "import functions.auth.people.users"),
    (FOLDERS, "functions.auth.people.users", LATE + "import functions.auth.hosted.pages"),
    (SHARED, "shared.ids", LATE + "import functions.auth.records"),
    (DEPLOYED, "functions.auth.records", "import local"),
    (DEPLOYED, "shared.ids", "import deploy"),
    (DEPLOYED, "shared.ids", "import ops"),
    (DEPLOYED, "shared.ids", "import bench"),
    (DEPLOYED, "shared.ids", "import tests"),
    (DEPLOY, "deploy.stage", "import local"),
    (DEPLOY, "deploy.stage", "import tests"),
    (LOCAL, "local.suite", "import ops"),
    (LOCAL, "local.suite", "import bench"),
    (LOCAL, "local.suite", "import tests"),
    (GOOGLE, "shared.outbox", LATE + "import google"),
    (GOOGLE, "shared.outbox", LATE + "import grpc"),
    (GOOGLE, "functions.auth.records", "import google_crc32c"),
    (STRIPE, "functions.billing.collection", LATE + "import stripe"),
    (STRIPE, "local.demo.story", "import stripe"),
]
"""Contract, importer, what is planted there."""


def copied(to: Path) -> Path:
    """A copy of everything that the contracts look at."""
    for room in ROOMS:
        shutil.copytree(ROOT / room, to / room, ignore=shutil.ignore_patterns("__pycache__", "*.pyc"))
    shutil.copy(ROOT / "pyproject.toml", to)
    (to / "tests").mkdir()
    shutil.copy(ROOT / "tests" / "import_contracts.py", to / "tests")
    return to


def plant(root: Path, where: str, code: str) -> None:
    path = root / where
    path.parent.mkdir(parents=True, exist_ok=True)
    with path.open("a") as file:
        file.write(f"\n{code}\n")


def broken_contracts(root: Path) -> dict[str, str]:
    """Name to report of each contract that does not hold."""
    lint = str(Path(sys.executable).with_name("lint-imports"))
    done = subprocess.run([lint], cwd=root, capture_output=True, text=True, check=False)  # noqa: S603
    kept, _, reports = done.stdout.partition("Broken contracts\n")
    assert "Contracts: " in kept, done.stdout + done.stderr
    parts = re.split(r"^(.+)\n-+\n", reports, flags=re.MULTILINE)
    broken = dict(zip(parts[1::2], parts[2::2], strict=True))
    assert (done.returncode != 0) == bool(broken)
    return broken


@pytest.fixture(scope="module")
def reports(tmp_path_factory: pytest.TempPathFactory) -> dict[str, str]:
    """What is said about a tree in which every arrow is broken; each report names the imports it is about."""
    tree = copied(tmp_path_factory.mktemp("tree"))
    for _, importer, code in ARROWS:
        path = importer.replace(".", "/")
        plant(tree, f"{path}/__init__.py" if (tree / path).is_dir() else f"{path}.py", code)
    return broken_contracts(tree)


def test_every_arrow_holds() -> None:
    assert broken_contracts(ROOT) == {}


@pytest.mark.parametrize(("contract", "importer", "code"), ARROWS)
def test_an_import_against_an_arrow_is_named(
    reports: dict[str, str], contract: str, importer: str, code: str
) -> None:
    imported = code.rpartition("import ")[2]
    assert re.search(rf"^\W*{importer} -> {imported}( |$)", reports[contract], re.MULTILINE)


def test_every_contract_has_an_import_that_breaks_it() -> None:
    settings = tomllib.loads((ROOT / "pyproject.toml").read_text())
    declared = [contract["name"] for contract in settings["tool"]["importlinter"]["contracts"]]
    assert sorted({contract for contract, _, _ in ARROWS}) == sorted(declared)


def test_an_adapter_may_import_its_google_client(tmp_path: Path) -> None:
    tree = copied(tmp_path)
    plant(tree, "shared/store/firestore.py", "import grpc\nfrom google.cloud import firestore")
    plant(tree, "functions/auth/main.py", LATE + "import shared.store.firestore")
    assert broken_contracts(tree) == {}


Rule = Callable[[Path], list[str]]

RULES: list[Rule] = [
    house_rules.environment_is_read_by_main_only,
    house_rules.imports_do_no_work,
    house_rules.modules_hold_constants_only,
    house_rules.files_are_short,
    house_rules.names_say_what_is_inside,
]

VIOLATIONS: list[tuple[Rule, str, str]] = [
    (house_rules.environment_is_read_by_main_only, "shared/a.py", "import os\nHOME = os.environ['HOME']"),
    (house_rules.environment_is_read_by_main_only, "functions/auth/a.py", "from os import getenv"),
    (house_rules.environment_is_read_by_main_only, "shared/store/config.py", "import os\nos.getenv('A')"),
    (house_rules.imports_do_no_work, "shared/a.py", "client = Client()"),
    (house_rules.imports_do_no_work, "shared/a.py", "print('here')"),
    (house_rules.imports_do_no_work, "shared/a.py", "if TYPE_CHECKING:\n    client = Client()"),
    (house_rules.imports_do_no_work, "shared/a.py", "if LATER:\n    import grpc"),
    (house_rules.imports_do_no_work, "shared/a.py", "for name in NAMES:\n    register(name)"),
    (house_rules.imports_do_no_work, "shared/a.py", "class A:\n    lock = asyncio.Lock()"),
    (house_rules.imports_do_no_work, "shared/a.py", "def f(at=datetime.now()): ..."),
    (house_rules.imports_do_no_work, "shared/a.py", "@register('a')\ndef f(): ..."),
    (house_rules.imports_do_no_work, "shared/a.py", "def _load():\n    return open('a')\nDATA = _load()"),
    (house_rules.imports_do_no_work, "functions/auth/domain/a.py", "NOW = utc_now()"),
    (house_rules.modules_hold_constants_only, "shared/a.py", "cache = {}"),
    (
        house_rules.modules_hold_constants_only,
        "shared/a.py",
        "SEEN: list[str] = []\ndef f():\n    SEEN.append('a')",
    ),
    (house_rules.modules_hold_constants_only, "shared/a.py", "SEEN = {}\nasync def f():\n    SEEN['a'] = 1"),
    (
        house_rules.modules_hold_constants_only,
        "shared/a.py",
        "SEEN = {}\nclass A:\n    def f(self):\n        del SEEN['a']",
    ),
    (house_rules.modules_hold_constants_only, "shared/a.py", "N = 0\ndef f():\n    global N\n    N = 1"),
    (
        house_rules.modules_hold_constants_only,
        "functions/auth/main.py",
        "_store = None\ndef f():\n    global _store",
    ),
    (house_rules.modules_hold_constants_only, "shared/a.py", "@functools.lru_cache(maxsize=9)\ndef f(): ..."),
    (house_rules.files_are_short, "functions/auth/a.py", "A = 1\n" * house_rules.MAX_LINES),
    (house_rules.names_say_what_is_inside, "shared/utils.py", ""),
    (house_rules.names_say_what_is_inside, "functions/auth/core/keys.py", ""),
]

HARMLESS = """
import logging, re
if TYPE_CHECKING:
    import grpc
    from google.cloud import firestore
from datetime import timedelta
from functions.billing.domain.money import price
import msgspec
class Limit(msgspec.Struct, frozen=True):
    size: int
    names: list[str] = msgspec.field(default_factory=list)
AGE = timedelta(seconds=5)
LIMITS = {"a": Limit(1), "b": Limit(2)}
WORDS = frozenset("a b".split())
PRICE = price("0.1")
T = TypeVar("T")
_log = logging.getLogger(__name__)
_NAME = re.compile("a")
_decoder = msgspec.json.Decoder(Limit)
def _doubled(n):
    return tuple([n, n])
TWO = _doubled(1)
class Cache:
    def __init__(self):
        self._seen = {}
    def put(self, name):
        self._seen[name] = 1
"""


@pytest.mark.parametrize("rule", RULES, ids=lambda rule: rule.__name__)
def test_every_habit_is_kept(rule: Rule) -> None:
    assert rule(ROOT) == []


@pytest.mark.parametrize(("rule", "where", "code"), VIOLATIONS)
def test_a_broken_habit_is_found_at_its_line(tmp_path: Path, rule: Rule, where: str, code: str) -> None:
    plant(tmp_path, where, code)
    findings = rule(tmp_path)
    assert len(findings) == 1
    assert findings[0].startswith(f"{where}:")


@pytest.mark.parametrize("rule", RULES, ids=lambda rule: rule.__name__)
def test_constants_and_definitions_are_no_finding(tmp_path: Path, rule: Rule) -> None:
    plant(tmp_path, "functions/billing/prices.py", HARMLESS)
    assert rule(tmp_path) == []


def test_main_and_config_may_read_the_environment_and_make_things(tmp_path: Path) -> None:
    code = "import os\nsettings = load(os.environ)"
    plant(tmp_path, "functions/auth/main.py", code)
    plant(tmp_path, "shared/config.py", "import os\nread = os.environ")
    assert house_rules.environment_is_read_by_main_only(tmp_path) == []
    assert house_rules.imports_do_no_work(tmp_path) == []


def test_every_habit_has_a_violation_that_is_found() -> None:
    assert {rule for rule, _, _ in VIOLATIONS} == set(RULES)
