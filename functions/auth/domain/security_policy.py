"""What a tenant asks of its people when they sign in."""

from typing import Literal

import msgspec

from functions.auth.domain import factors as factor_rules
from functions.auth.domain.factors import Factors
from shared.errors import invalid

AllowedMethod = Literal["totp", "passkey"]

ENROL_SCOPE = "factors:enrol"
"""All that a token may do whose user has yet to enrol the second factor that the tenant requires."""


class SecurityPolicy(msgspec.Struct, frozen=True):
    """`methods` may be enrolled, and one of them is what `required` asks for. What a user has enrolled
    already is asked for whether it is still allowed or not: a policy never makes an account weaker.
    """

    second_factor: Literal["optional", "required"] = "optional"
    methods: tuple[AllowedMethod, ...] = ("totp", "passkey")


DEFAULT = SecurityPolicy()


def checked(policy: SecurityPolicy) -> SecurityPolicy:
    """The methods once, in one order. Raises `Invalid` where there is none."""
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
