"""Maps tenants to Stripe customers and back. Each tenant has one customer."""

from functions.billing import records
from functions.billing.domain.payments import Customer
from functions.billing.stripe_port import Refused, Stripe
from shared import audit, tenant
from shared.audit import Actor
from shared.event_door import Rejected
from shared.ids import Clock
from shared.store import AlreadyExists, Create, Doc, Replace, Stale, Store
from shared.store.bodies import from_body, to_body
from shared.tenant import Tenant


class Customers:
    """Methods raise `Stale` if another process has changed the same document; the caller starts again."""

    def __init__(self, store: Store, clock: Clock) -> None:
        self._store = store
        self._clock = clock

    async def id_of(self, tenant_id: str, stripe: Stripe, actor: Actor) -> str:
        """The tenant's customer id at Stripe. Finds or creates the customer if none is stored.

        Raises what `Stripe` raises, `Rejected` for an unknown tenant, and `Refused` if the customer that was
        found belongs to another tenant.
        """
        key = records.customer_key(self._store, tenant_id, is_live=await stripe.is_live())
        tenant_doc, doc = await self._store.read(tenant.key(self._store, tenant_id), key)
        if doc is None:
            if tenant_doc is None:
                raise Rejected("unknown_tenant", "The subject is no tenant.")
            owner = from_body(tenant_doc.body, Tenant)
            intent = Customer(tenant_id, owner.name, owner.owner_email, self._clock())
            doc = await self._intended(Create(key, to_body(intent)))
        customer = records.customer_of(doc)
        if customer.stripe_id:
            return customer.stripe_id
        found = await stripe.find_customer(customer)
        stripe_id = found or await stripe.create_customer(customer, f"{tenant_id}:customer")
        await self._link(doc, customer, stripe_id, actor)
        return stripe_id

    async def owner_of(self, stripe_customer_id: str) -> str | None:
        """The tenant whose customer this is; None for one that is not ours."""
        (doc,) = await self._store.read(records.owner_key(self._store, stripe_customer_id))
        return None if doc is None else records.owner_of(doc).tenant_id

    async def _intended(self, write: Create) -> Doc:
        try:
            (version,) = await self._store.commit(write)
        except AlreadyExists:
            raise Stale from None
        assert version is not None  # noqa: S101 - a created document has one
        return Doc(write.key, write.body, version)

    async def _link(self, doc: Doc, customer: Customer, stripe_id: str, actor: Actor) -> None:
        linked = Customer(customer.tenant_id, customer.name, customer.email, customer.created_at, stripe_id)
        try:
            await self._store.commit(
                Create(records.owner_key(self._store, stripe_id), to_body(records.Owner(customer.tenant_id))),
                Replace(doc.key, to_body(linked), doc.version),
                audit.record(
                    self._store,
                    customer.tenant_id,
                    actor=actor,
                    action="customer.create",
                    target=stripe_id,
                    at=self._clock(),
                ),
            )
        except AlreadyExists:
            if await self.owner_of(stripe_id) == customer.tenant_id:
                raise Stale from None
            raise Refused("stripe_customer_taken", "The customer found is another tenant's.") from None
