"""What the suite's routes read: every struct that one of them asks a body or a query for."""

import re
from functools import reduce
from importlib import import_module
from pathlib import Path
from typing import Any, Literal

import msgspec

ROOT = Path(__file__).parents[3]


def kinds(read: Literal["json", "query"]) -> list[type[msgspec.Struct]]:
    """As `call.json(views.LoginRequest)` has it, each once, by name."""
    found: dict[str, type[msgspec.Struct]] = {}
    for path in sorted((ROOT / "functions").rglob("*.py")):
        names = re.findall(rf"\bcall\.{read}\(([\w.]+)\)", path.read_text())
        if not names:
            continue
        module: Any = import_module(".".join(path.relative_to(ROOT).with_suffix("").parts))
        for name in names:
            kind = reduce(getattr, name.split("."), module)
            found[f"{kind.__module__}.{kind.__name__}"] = kind
    return list(found.values())
