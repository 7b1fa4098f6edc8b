"""The lifecycle in the pure domain: every move from every state."""

from collections.abc import Callable
from datetime import UTC, datetime
from typing import get_args

import msgspec
import pytest

from functions.tenants.domain import lifecycle
from functions.tenants.domain.lifecycle import Standing, Status
from shared import tenant
from shared.errors import Conflict

AT = datetime(2026, 3, 4, 12, 0, tzinfo=UTC)
LONG_AGO = datetime(2026, 1, 1, tzinfo=UTC)

MOVES: dict[str, Callable[[Standing], Standing]] = {
    "activate": lifecycle.activate,
    "fail": lambda standing: lifecycle.fail(standing, "no_answer"),
    "suspend": lambda standing: lifecycle.suspend(standing, "abuse", AT),
    "resume": lifecycle.resume,
}

LEGAL: dict[tuple[Status, str], Status] = {
    ("provisioning", "activate"): "active",
    ("provisioning", "fail"): "failed",
    ("active", "suspend"): "suspended",
    ("active", "resume"): "active",
    ("suspended", "suspend"): "suspended",
    ("suspended", "resume"): "active",
}

PAIRS: list[tuple[Status, str]] = [(status, move) for status in get_args(Status) for move in MOVES]
WANTED = {"activate": "active", "fail": "failed", "suspend": "suspended", "resume": "active"}


def test_the_domain_and_the_document_have_the_same_states() -> None:
    assert get_args(Status) == get_args(tenant.Status)
    assert len(PAIRS) == 16


@pytest.mark.parametrize(("status", "move"), PAIRS)
def test_each_move_is_legal_from_its_states_only(status: Status, move: str) -> None:
    """T13: an illegal move is a conflict that names where the tenant is and where it cannot go."""
    standing = Standing("tnt_1", status)
    if (status, move) in LEGAL:
        assert MOVES[move](standing).status == LEGAL[status, move]
    else:
        with pytest.raises(Conflict) as refused:
            MOVES[move](standing)
        assert refused.value.code == "illegal_transition"
        assert refused.value.detail == f"A tenant that is {status} cannot become {WANTED[move]}."


def test_a_suspension_ends_every_token_from_before() -> None:
    suspended = lifecycle.suspend(Standing("tnt_1", "active"), "non_payment", AT)
    assert suspended == Standing("tnt_1", "suspended", "non_payment", AT)


def test_suspending_twice_keeps_the_first_reason_and_time() -> None:
    suspended = Standing("tnt_1", "suspended", "non_payment", LONG_AGO)
    assert lifecycle.suspend(suspended, "abuse", AT) == suspended


def test_tokens_from_before_a_suspension_stay_dead_after_it() -> None:
    """T11."""
    suspended = Standing("tnt_1", "suspended", "non_payment", LONG_AGO)
    assert lifecycle.resume(suspended) == Standing("tnt_1", "active", "", LONG_AGO)


def test_resuming_twice_is_the_same_as_once() -> None:
    active = Standing("tnt_1", "active", "", LONG_AGO)
    assert lifecycle.resume(active) == active


def test_a_failure_keeps_why() -> None:
    assert lifecycle.fail(Standing("tnt_1", "provisioning"), "no_answer").reason == "no_answer"


@pytest.mark.parametrize("status", get_args(Status))
def test_the_platform_tenant_is_never_suspended(status: Status) -> None:
    with pytest.raises(Conflict) as refused:
        lifecycle.suspend(Standing("platform", status), "security", AT)
    assert refused.value.code == "platform_tenant"


def test_a_move_changes_the_lifecycle_and_nothing_else() -> None:
    for (status, move), wanted in LEGAL.items():
        before = Standing("tnt_1", status, "", LONG_AGO)
        after = MOVES[move](before)
        same = msgspec.structs.replace(
            after, reason=before.reason, status=status, tokens_valid_after=before.tokens_valid_after
        )
        assert same == before
        assert after.status == wanted
