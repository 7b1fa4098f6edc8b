"""Writes what firestore.indexes.json declares as lines that deploy/steps/firestore.sh compares and hands on.

    python -m deploy.firestore_fields [--out build/firestore.txt]

Five parts with a tab between them: what it is (`index` over several fields, `field` with indexes of its own
or none, `expires` for the field after whose time a document goes), how gcloud lists it where it is there
already, the collection group, the field (`-` for an index), and the flags that make it so.
"""

import argparse
import json
import re
import sys
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

DECLARED = Path(__file__).resolve().parent / "firestore.indexes.json"
_SCOPES = {"COLLECTION": "collection", "COLLECTION_GROUP": "collection-group"}
_ORDERS = {"ASCENDING": "ascending", "DESCENDING": "descending"}


class FieldsError(Exception):
    """What is wrong, in one line for a person."""


def lines(declared: Mapping[str, Any]) -> Iterator[str]:
    """One line for each index, field and expiry. Raises FieldsError for a name with odd characters."""
    for index in declared["indexes"]:
        yield _index(index)
    for override in declared["fieldOverrides"]:
        yield _field(override)
        if override.get("ttl"):
            group, field = _plain(override["collectionGroup"]), _plain(override["fieldPath"])
            yield _line("expires", f"{group}/fields/{field}", group, field, ["--enable-ttl", "--async"])


def _index(index: Mapping[str, Any]) -> str:
    """Google lists the name as the last field, in the direction of the one before."""
    group, scope = _plain(index["collectionGroup"]), index["queryScope"]
    paths = [_plain(field["fieldPath"]) for field in index["fields"]]
    orders = [field["order"] for field in index["fields"]]
    listed = "|".join([group, scope, ";".join([*paths, "__name__"]), ";".join([*orders, orders[-1]])])
    configs = [
        f"--field-config=field-path={path},order={_ORDERS[order]}"
        for path, order in zip(paths, orders, strict=True)
    ]
    return _line("index", listed, group, "-", [f"--query-scope={_SCOPES[scope]}", *configs, "--async"])


def _field(override: Mapping[str, Any]) -> str:
    """Two changes of one field are not made at a time: the one before its expiry is waited for."""
    group, field = _plain(override["collectionGroup"]), _plain(override["fieldPath"])
    scopes, orders = ([index[key] for index in override["indexes"]] for key in ("queryScope", "order"))
    listed = "|".join([f"{group}/fields/{field}", ";".join(scopes), ";".join(orders)])
    if set(scopes) - {"COLLECTION"}:
        raise FieldsError(f"{group}/{field}: gcloud makes indexes of one field for one collection only")
    flags = [f"--index=order={_ORDERS[order]}" for order in orders]
    waits = [] if override.get("ttl") else ["--async"]
    return _line("field", listed, group, field, [*(flags or ["--disable-indexes"]), *waits])


def _line(kind: str, listed: str, group: str, field: str, flags: Sequence[str]) -> str:
    return "\t".join([kind, listed, group, field, " ".join(flags)])


def _plain(name: str) -> str:
    """Itself, if it needs no quoting, neither by Firestore nor by the shell."""
    if not re.fullmatch(r"[A-Za-z0-9_.]+", name):
        raise FieldsError(f"{name!r} is no plain name")
    return name


def main(arguments: Sequence[str]) -> int:
    parser = argparse.ArgumentParser(
        prog="python -m deploy.firestore_fields", description=(__doc__ or "").partition("\n")[0]
    )
    parser.add_argument(
        "--out", type=Path, default=Path("build/firestore.txt"), help="the file to write: %(default)s"
    )
    options = parser.parse_args(arguments)
    try:
        text = "".join(f"{line}\n" for line in lines(json.loads(DECLARED.read_text(encoding="utf-8"))))
        options.out.parent.mkdir(parents=True, exist_ok=True)
        options.out.write_text(text, encoding="utf-8")
    except (FieldsError, KeyError, OSError, json.JSONDecodeError) as wrong:
        print(f"deploy.firestore_fields: {DECLARED.name}: {wrong}", file=sys.stderr)
        return 1
    print(f"wrote {options.out}")
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
