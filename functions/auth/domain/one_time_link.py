"""One-time links: which tenant's which invitation. What makes it one-time is the invitation's document."""

import msgspec

from functions.auth.domain.sealed import Seal, SealingKeys


class InvitationLink(msgspec.Struct, frozen=True):
    tenant_id: str
    invitation_id: str


class InvitationLinks:
    """`inv1_…` ↔ `InvitationLink`; derived whenever it is needed, stored nowhere."""

    def __init__(self, keys: SealingKeys) -> None:
        self._seal = Seal("inv1_", 2, keys)

    def text(self, link: InvitationLink) -> str:
        return self._seal.seal(link.tenant_id.encode(), link.invitation_id.encode())

    def read(self, text: str) -> InvitationLink | None:
        """None for anything that was not made by `text`; no store is asked."""
        fields = self._seal.open(text)
        if fields is None:
            return None
        tenant_id, invitation_id = fields
        return InvitationLink(tenant_id.decode(), invitation_id.decode())
