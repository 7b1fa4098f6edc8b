"""One-time links: which tenant's which document. That document makes a link one-time, and lets it expire."""

from typing import Literal

import msgspec

from functions.auth.domain.sealed import Seal, SealingKeys
from shared.errors import Invalid, invalid

LinkKind = Literal["invitation", "email_verification", "password_reset"]

_PREFIX_OF: dict[LinkKind, str] = {
    "invitation": "inv1_",
    "email_verification": "emv1_",
    "password_reset": "pwr1_",
}


class OneTimeLink(msgspec.Struct, frozen=True):
    """`document_id` is that of an invitation, a change of address or a password reset, as `kind` says.

    `issue` tells the links of one document apart, so that a new one need not bring an older one back.
    """

    kind: LinkKind
    tenant_id: str
    document_id: str
    issue: str = "1"


class OneTimeLinks:
    """`inv1_…`, `emv1_…`, `pwr1_…` ↔ `OneTimeLink`; derived whenever it is needed, stored nowhere."""

    def __init__(self, keys: SealingKeys) -> None:
        self._seals = {kind: Seal(prefix, 3, keys) for kind, prefix in _PREFIX_OF.items()}

    def text(self, link: OneTimeLink) -> str:
        """What the mail holds behind `#token=`."""
        fields = (link.tenant_id, link.document_id, link.issue)
        return self._seals[link.kind].seal(*(field.encode() for field in fields))

    def read(self, kind: LinkKind, text: str) -> OneTimeLink | None:
        """None for anything that was not made by `text` for this `kind`; no store is asked."""
        fields = self._seals[kind].open(text)
        if fields is None:
            return None
        tenant_id, document_id, issue = (field.decode() for field in fields)
        return OneTimeLink(kind, tenant_id, document_id, issue)


def refusal() -> Invalid:
    """For what is no link of ours, and for one that does not work any more."""
    return invalid("/token", "invalid_token", "This link is not valid, or no longer. Ask for a new one.")
