"""Auth put together: every use-case, made of the ports that a process has."""

import msgspec

from functions.auth.invitation_mail import InvitationMail
from functions.auth.invitations import Invitations
from functions.auth.jwks_copy import JwksCopy
from functions.auth.keys import KeyRoom
from functions.auth.mailbox import Mailer
from functions.auth.oauth import TokenEndpoint
from functions.auth.passwords import Passwords
from functions.auth.service_accounts import ServiceAccounts
from functions.auth.sessions import Sessions
from functions.auth.sign_in import SignIn
from functions.auth.tokens import AccessTokens
from functions.auth.users import Users
from shared.http.idempotency import Idempotency
from shared.ids import Clock
from shared.objects import Objects
from shared.outbox import Outbox
from shared.secrets.cached import CachedSecrets
from shared.store import Store


class Ports(msgspec.Struct, frozen=True):
    """What auth reaches the world through. `issuer` is the public address, `https://host`."""

    store: Store
    outbox: Outbox
    secrets: CachedSecrets
    objects: Objects
    mailer: Mailer
    passwords: Passwords
    clock: Clock
    issuer: str


class UseCases:
    """One of each, as attributes; they share the ports and nothing else."""

    def __init__(self, ports: Ports) -> None:
        store, clock = ports.store, ports.clock
        self.clock = clock
        self.issuer = ports.issuer
        self.outbox = ports.outbox
        self.idempotency = Idempotency(store, clock)
        self.keys = KeyRoom(store, ports.secrets, clock)
        self.jwks_copy = JwksCopy(store, ports.objects)
        self.access_tokens = AccessTokens(self.keys, ports.issuer, clock)
        self.sessions = Sessions(store, ports.outbox, self.access_tokens, self.keys, clock)
        self.sign_in = SignIn(store, ports.passwords, self.sessions, clock)
        self.service_accounts = ServiceAccounts(store, self.access_tokens, clock)
        self.tokens = TokenEndpoint(self.sessions, self.service_accounts)
        self.invitations = Invitations(store, ports.outbox, ports.passwords, self.keys, clock)
        self.invitation_mail = InvitationMail(store, self.keys, ports.mailer, clock, ports.issuer)
        self.users = Users(store)
