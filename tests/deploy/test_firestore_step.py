"""The indexes that the code declares, as the pipeline makes them: what is missing, once, and then waits."""

import json
from pathlib import Path
from typing import Any

import pytest

from deploy import firestore_fields
from deploy.firestore_fields import DECLARED, FieldsError
from deploy.rehearsal import RehearsalError
from tests.deploy.rehearsals import Rehearsed, commands, replacing, steps

DECLARATION: dict[str, Any] = json.loads(DECLARED.read_text())
MADE = (
    ("firestore", "indexes", "composite", "create"),
    ("firestore", "indexes", "fields", "update"),
    ("firestore", "fields", "ttls", "update"),
)


def test_everything_declared_is_made_on_the_first_deployment_and_nothing_on_the_second(
    rehearsed: Rehearsed,
) -> None:
    overrides = DECLARATION["fieldOverrides"]
    expiring = [override for override in overrides if override.get("ttl")]
    counts = [len(commands(rehearsed.first, *words)) for words in MADE]
    assert counts == [len(DECLARATION["indexes"]), len(overrides), len(expiring)]
    assert min(counts) > 0
    assert [commands(rehearsed.again, *words) for words in MADE] == [[], [], []]


def test_all_is_made_in_the_database_that_the_functions_use(rehearsed: Rehearsed) -> None:
    found = [one for words in MADE for one in commands(rehearsed.first, *words)]
    assert {one["--database"] for one in found} == {"energent-metadata-production"}


def test_an_index_is_listed_with_the_name_as_its_last_field() -> None:
    fields = [
        {"fieldPath": "doc.body.reason", "order": "ASCENDING"},
        {"fieldPath": "doc.body.received_at", "order": "DESCENDING"},
    ]
    index = {"collectionGroup": "quarantine", "queryScope": "COLLECTION", "fields": fields}
    (line,) = firestore_fields.lines({"indexes": [index], "fieldOverrides": []})
    assert line.split("\t") == [
        "index",
        "quarantine|COLLECTION|doc.body.reason;doc.body.received_at;__name__|ASCENDING;DESCENDING;DESCENDING",
        "quarantine",
        "-",
        "--query-scope=collection --field-config=field-path=doc.body.reason,order=ascending"
        " --field-config=field-path=doc.body.received_at,order=descending --async",
    ]


def test_a_field_with_an_expiry_is_changed_one_thing_after_the_other() -> None:
    override = {"collectionGroup": "idempotency", "fieldPath": "expires", "ttl": True, "indexes": []}
    exempt, expires = firestore_fields.lines({"indexes": [], "fieldOverrides": [override]})
    assert exempt == "field\tidempotency/fields/expires||\tidempotency\texpires\t--disable-indexes"
    assert expires == "expires\tidempotency/fields/expires\tidempotency\texpires\t--enable-ttl --async"


def test_a_field_with_two_indexes_has_both() -> None:
    indexes = [
        {"order": "ASCENDING", "queryScope": "COLLECTION"},
        {"order": "DESCENDING", "queryScope": "COLLECTION"},
    ]
    override = {"collectionGroup": "a", "fieldPath": "b.c", "indexes": indexes}
    (line,) = firestore_fields.lines({"indexes": [], "fieldOverrides": [override]})
    assert line.split("\t")[1] == "a/fields/b.c|COLLECTION;COLLECTION|ASCENDING;DESCENDING"
    assert "--index=order=ascending --index=order=descending" in line


def test_what_gcloud_cannot_make_is_refused() -> None:
    indexes = [{"order": "ASCENDING", "queryScope": "COLLECTION_GROUP"}]
    override = {"collectionGroup": "a", "fieldPath": "b", "indexes": indexes}
    with pytest.raises(FieldsError, match="one collection only"):
        list(firestore_fields.lines({"indexes": [], "fieldOverrides": [override]}))


@pytest.mark.parametrize("name", ["a b", "`a`", "a;rm", "", "ä", "$(id)"])
def test_a_name_that_would_need_quoting_is_refused(name: str) -> None:
    override = {"collectionGroup": "a", "fieldPath": name, "indexes": []}
    with pytest.raises(FieldsError, match="no plain name"):
        list(firestore_fields.lines({"indexes": [], "fieldOverrides": [override]}))


def only(tmp_path: Path, *lines: str) -> None:
    path = tmp_path / "project" / "workspace" / "build" / "firestore.txt"
    path.write_text("".join(f"{line}\n" for line in lines))


NEW = (
    "index\ta|COLLECTION|b;__name__|ASCENDING;ASCENDING\ta\t-\t"
    "--query-scope=collection --field-config=field-path=b,order=ascending"
)


def test_an_index_that_is_refused_stops_the_deployment(rehearsed: Rehearsed, tmp_path: Path) -> None:
    refused = "if [[ $* == *'composite create'* ]]; then _fail INVALID_ARGUMENT; else usual \"$@\"; fi"
    rehearsal = rehearsed.copied(tmp_path, replacing("gcloud", refused))
    only(tmp_path, NEW)
    with pytest.raises(RehearsalError, match="INVALID_ARGUMENT"):
        rehearsal.pipeline(steps("firestore"))


def test_an_index_that_exists_though_it_was_not_listed_is_as_good(
    rehearsed: Rehearsed, tmp_path: Path
) -> None:
    """Somebody else made it meanwhile."""
    exists = (
        """usual "$@"; [[ $* != *'composite create'* ]] || _fail 'ALREADY_EXISTS: index already exists'"""
    )
    rehearsal = rehearsed.copied(tmp_path, replacing("gcloud", exists))
    only(tmp_path, NEW)
    assert len(commands(rehearsal.pipeline(steps("firestore")), *MADE[0])) == 1


def test_a_list_that_fails_stops_the_deployment_before_anything_is_made(
    rehearsed: Rehearsed, tmp_path: Path
) -> None:
    forbidden = "if [[ $* == *'composite list'* ]]; then _fail PERMISSION_DENIED; else usual \"$@\"; fi"
    with pytest.raises(RehearsalError, match="PERMISSION_DENIED"):
        rehearsed.copied(tmp_path, replacing("gcloud", forbidden)).pipeline(steps("firestore"))


@pytest.mark.parametrize("kind", ["composite list", "fields list"])
def test_nothing_is_deployed_while_an_index_is_being_built(
    rehearsed: Rehearsed, tmp_path: Path, kind: str
) -> None:
    building = f"if [[ $* == *'{kind}'*state* ]]; then echo CREATING; else usual \"$@\"; fi"
    rehearsal = rehearsed.copied(tmp_path, replacing("gcloud", building))
    with pytest.raises(RehearsalError, match="still being built"):
        rehearsal.pipeline(steps("firestore"))
