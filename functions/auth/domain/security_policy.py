"""What a tenant asks of its people when they sign in."""

from typing import Literal

import msgspec

from functions.auth.domain import factors as factor_rules
from functions.auth.domain.factors import Factors
from shared.errors import invalid

AllowedMethod = Literal["totp", "passkey"]

ENROL_SCOPE = "factors:enrol"
"""The only scope of a token whose user must first enrol a second factor."""


class SecurityPolicy(msgspec.Struct, frozen=True):
    """`methods` can be enrolled, and one of them meets `required`. A factor that a user has already is asked
    for even if it is no longer allowed: a policy never makes an account weaker.
    """

    second_factor: Literal["optional", "required"] = "optional"
    methods: tuple[AllowedMethod, ...] = ("totp", "passkey")


DEFAULT = SecurityPolicy()


def checked(policy: SecurityPolicy) -> SecurityPolicy:
    """The policy with each method once, sorted. Raises `Invalid` if there is none."""
    if not policy.methods:
        raise invalid("/methods", "no_method", "Allow at least one method.")
    return msgspec.structs.replace(policy, methods=tuple(sorted(set(policy.methods))))


def must_enrol(policy: SecurityPolicy, factors: Factors) -> bool:
    """Whether the user lacks what the tenant requires."""
    return policy.second_factor == "required" and not satisfies(policy, factors)


def satisfies(policy: SecurityPolicy, factors: Factors) -> bool:
    return not set(policy.methods).isdisjoint(factor_rules.enrolled(factors))


def is_last(policy: SecurityPolicy, before: Factors, after: Factors) -> bool:
    """Whether a change takes away the last factor that the tenant requires."""
    return policy.second_factor == "required" and satisfies(policy, before) and not satisfies(policy, after)
