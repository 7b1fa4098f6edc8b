"""The four tiers and what each may use."""

from typing import Literal

import msgspec

Tier = Literal["basic", "standard", "premium", "enterprise"]


class Limits(msgspec.Struct, frozen=True):
    """What the cluster grants a tenant: whole vCPUs, GB, GB, and workflows at the same time."""

    cpu: int
    memory_gb: int
    storage_gb: int
    concurrent_workflows: int


LIMITS: dict[Tier, Limits] = {
    "basic": Limits(cpu=1, memory_gb=2, storage_gb=10, concurrent_workflows=1),
    "standard": Limits(cpu=2, memory_gb=4, storage_gb=25, concurrent_workflows=2),
    "premium": Limits(cpu=4, memory_gb=8, storage_gb=50, concurrent_workflows=4),
    "enterprise": Limits(cpu=8, memory_gb=16, storage_gb=100, concurrent_workflows=8),
}
