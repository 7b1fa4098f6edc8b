"""Which operations take an Idempotency-Key, by contract: those that create, and no others."""

from typing import Any

import pytest

from tests.deploy.test_api_spec import SPEC, operations

KEY = {"$ref": "#/components/parameters/idempotency_key"}
REPLAYED = {"$ref": "#/components/headers/idempotency_replayed"}

SINGLE_USE = {
    ("POST", "/v1/auth/invitations/accept"): "its link is used up by it, and it has no caller yet",
    ("POST", "/v1/me/factors/passkeys"): "its challenge is used up by it",
}
"""What creates without a key, and why."""

CREATING = {
    key: operation
    for key, operation in operations().items()
    if "201" in operation["responses"] and key not in SINGLE_USE
}


def takes_key(operation: dict[str, Any]) -> bool:
    return KEY in operation.get("parameters", ())


def test_what_takes_a_key_is_what_creates() -> None:
    assert set(CREATING) == {key for key, operation in operations().items() if takes_key(operation)}
    assert {method for method, _ in CREATING} == {"POST"}
    assert set(SINGLE_USE) <= set(operations())


@pytest.mark.parametrize("key", sorted(CREATING), ids=" ".join)
def test_an_operation_with_a_key_documents_what_comes_of_it(key: tuple[str, str]) -> None:
    responses = CREATING[key]["responses"]
    assert {"400", "409", "422"} <= set(responses)
    assert responses["201"]["headers"]["Idempotency-Replayed"] == REPLAYED
    assert CREATING[key]["security"], "a key belongs to a caller"


def test_a_secret_that_is_not_replayed_is_not_promised() -> None:
    answers = SPEC["components"]["schemas"]
    for created, secret in (
        ("ServiceAccountCreated", "client_secret"),
        ("ClientSecretCreated", "client_secret"),
        ("ApiKeyCreated", "api_key"),
    ):
        assert secret in answers[created]["properties"]
        assert secret not in answers[created]["required"]
