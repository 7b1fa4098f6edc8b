"""The documents of second factors: what a user has enrolled, and which challenges were answered."""

from typing import Generic, TypeVar

import msgspec

from functions.auth import records
from functions.auth.domain.challenge import Answers
from functions.auth.domain.factors import Factors
from functions.auth.domain.passkeys import credential_document_id
from functions.auth.domain.security_policy import DEFAULT, SecurityPolicy
from shared.store import Check, Create, Delete, Doc, Key, Replace, Store, Version, Write
from shared.store.bodies import from_body, to_body

T = TypeVar("T", bound=msgspec.Struct)


class Kept(msgspec.Struct, Generic[T], frozen=True):
    """A document that may not exist: then `version` is None and `value` is the default."""

    key: Key
    value: T
    version: Version | None

    def write(self, value: T) -> Write:
        """The write of a new value. Fails with `Stale` or `AlreadyExists` if somebody else was faster."""
        if self.version is None:
            return Create(self.key, to_body(value))
        return Replace(self.key, to_body(value), self.version)

    def check(self) -> tuple[Write, ...]:
        """The precondition that the document is unchanged; none for a document that does not exist."""
        return () if self.version is None else (Check(self.key, self.version),)


def factors_key(store: Store, tenant_id: str, user_id: str) -> Key:
    return store.tenant(tenant_id).key("factors", user_id)


def credential_key(store: Store, tenant_id: str, document_id: str) -> Key:
    """Beside the factors of users: their ids begin with `usr_`, those of credentials with `crd_`."""
    return store.tenant(tenant_id).key("factors", document_id)


def challenge_key(store: Store, tenant_id: str, challenge_id: str) -> Key:
    return store.tenant(tenant_id).key("challenges", challenge_id)


def policy_key(store: Store, tenant_id: str) -> Key:
    return store.tenant(tenant_id).key("settings", "security")


def factors(key: Key, doc: Doc | None) -> Kept[Factors]:
    return _kept(key, doc, Factors(user_id=key.id))


def policy(key: Key, doc: Doc | None) -> Kept[SecurityPolicy]:
    return _kept(key, doc, DEFAULT)


def answers(doc: Doc | None) -> Answers | None:
    found = records.found(doc, Answers)
    return None if found is None else found.value


def answers_write(key: Key, doc: Doc | None, value: Answers) -> Write:
    return Create(key, to_body(value)) if doc is None else Replace(key, to_body(value), doc.version)


async def of_user(store: Store, tenant_id: str, user_id: str) -> Kept[Factors]:
    key = factors_key(store, tenant_id, user_id)
    return factors(key, (await store.read(key))[0])


async def gone(store: Store, tenant_id: str, user_id: str) -> list[Write]:
    """The writes that delete all second factors of a user who is deleted."""
    return deletes(store, tenant_id, await of_user(store, tenant_id, user_id))


def deletes(store: Store, tenant_id: str, kept: Kept[Factors]) -> list[Write]:
    """The writes that delete `kept`, even if it has changed since it was read: a user who keeps changing
    factors cannot prevent the deletion. A passkey that was enrolled meanwhile does not work afterwards.
    """
    ids = [credential_document_id(known.credential_id) for known in kept.value.passkeys]
    return [Delete(kept.key), *(Delete(credential_key(store, tenant_id, each)) for each in ids)]


def _kept(key: Key, doc: Doc | None, absent: T) -> Kept[T]:
    if doc is None:
        return Kept(key, absent, None)
    return Kept(key, from_body(doc.body, type(absent)), doc.version)
