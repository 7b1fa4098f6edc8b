"""Auth put together: every use-case, made of the ports that a process has."""

import asyncio
from collections.abc import Iterator
from itertools import chain

import msgspec

from functions.auth.audit_log import AuditLog
from functions.auth.domain.oauth_client import DEVICE_CODE
from functions.auth.factors.factor_log import FactorLog
from functions.auth.factors.factor_proofs import FactorProofs
from functions.auth.factors.passkey_ceremonies import PasskeyCeremonies
from functions.auth.factors.passkey_challenges import PasskeyChallenges
from functions.auth.factors.passkeys import OwnPasskeys
from functions.auth.factors.recovery_codes import OwnRecoveryCodes
from functions.auth.factors.tenant_security import TenantSecurity
from functions.auth.factors.totp import TotpEnrolment
from functions.auth.guessing.failed_sign_ins import FailedSignIns, Sleep
from functions.auth.guessing.refused_credentials import RefusedCredentials
from functions.auth.guessing.throttle import Throttle
from functions.auth.hosted.hosted_sign_in import HostedSignIn
from functions.auth.keyring.jwks_copy import JwksCopy
from functions.auth.keyring.key_rotation import KeyRotation
from functions.auth.keyring.keys import KeyRoom
from functions.auth.machines.api_key_exchange import ApiKeyExchange
from functions.auth.machines.api_keys import ApiKeys
from functions.auth.machines.service_account_changes import ServiceAccountChanges
from functions.auth.machines.service_accounts import ServiceAccounts
from functions.auth.mail.mailbox import Mailer
from functions.auth.mail.mails import Mails
from functions.auth.oauth import discovery
from functions.auth.oauth.authorization_codes import AuthorizationCodes
from functions.auth.oauth.authorize import Authorize
from functions.auth.oauth.client_authentication import ClientAuthentication
from functions.auth.oauth.client_sessions import ClientSessions
from functions.auth.oauth.device_grants import DeviceGrants
from functions.auth.oauth.grants import ClientCredentialsGrant, RefreshTokenGrant
from functions.auth.oauth.id_tokens import IdTokens
from functions.auth.oauth.introspection import Introspection
from functions.auth.oauth.oauth_client_changes import OAuthClientChanges
from functions.auth.oauth.oauth_clients import OAuthClients
from functions.auth.oauth.sessions import Sessions
from functions.auth.oauth.token_endpoint import Grant, TokenEndpoint
from functions.auth.oauth.token_revocation import TokenRevocation
from functions.auth.oauth.tokens import AccessTokens
from functions.auth.oauth.userinfo import Userinfo
from functions.auth.people.email_changes import EmailChanges
from functions.auth.people.factor_reset import FactorReset
from functions.auth.people.invitations import Invitations
from functions.auth.people.own_password import OwnPassword
from functions.auth.people.password_changes import PasswordChanges
from functions.auth.people.profile import Profile
from functions.auth.people.user_changes import UserChanges
from functions.auth.people.user_sessions import UserSessions
from functions.auth.people.users import Users
from functions.auth.roles.roles_of_tenant import Roles
from functions.auth.sessions.browser_sessions import BrowserSessions
from functions.auth.sessions.session_end import SessionEnd
from functions.auth.sessions.session_kills import SessionKills
from functions.auth.sign_in.passkey_sign_in import PasskeySignIn
from functions.auth.sign_in.password_policy import PasswordPolicy, Ranges
from functions.auth.sign_in.passwords import Passwords
from functions.auth.sign_in.second_factors import SecondFactors
from functions.auth.sign_in.sign_in import SignIn
from functions.auth.sign_in.step_up import StepUp
from shared.http.idempotency import Idempotency
from shared.identity import Verifier
from shared.ids import Clock
from shared.metrics import Read, Reading
from shared.objects import Objects
from shared.outbox import Outbox
from shared.secrets.cached import CachedSecrets
from shared.store import Store


class Ports(msgspec.Struct, frozen=True):
    """What auth reaches the world through. `issuer` is the public address, `https://host`; `environment` a
    name like `production`, which API keys carry.
    """

    store: Store
    outbox: Outbox
    secrets: CachedSecrets
    objects: Objects
    mailer: Mailer
    passwords: Passwords
    clock: Clock
    issuer: str
    environment: str
    sleep: Sleep = asyncio.sleep
    ranges: Ranges | None = None


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
        self.key_rotation = KeyRotation(store, ports.outbox, ports.secrets, self.keys, self.jwks_copy, clock)
        self.access_tokens = AccessTokens(self.keys, ports.issuer, clock)
        self.id_tokens = IdTokens(self.keys, ports.issuer, clock)
        self.roles = Roles(store, ports.outbox, clock)
        self.session_end = SessionEnd(store, ports.outbox, clock)
        self.session_kills = SessionKills(store, self.session_end, clock)
        self.sessions = Sessions(
            store, self.access_tokens, self.id_tokens, self.keys, self.roles, self.session_end, clock
        )
        refused = RefusedCredentials(store, ports.outbox, clock)
        self.clients = ClientAuthentication(store, refused, ports.issuer, clock)
        self.oauth_clients = OAuthClients(store, ports.outbox, clock)
        self.oauth_client_changes = OAuthClientChanges(store, ports.outbox, clock, self.clients.forget)
        self.user_sessions = UserSessions(store, self.session_end, self.roles, clock)
        verifier = Verifier(store, ports.issuer, None, clock)
        self.introspection = Introspection(store, self.clients, verifier, self.keys, clock)
        self.token_revocation = TokenRevocation(
            store, self.clients, verifier, self.keys, self.session_end, clock
        )
        self.userinfo = Userinfo(store)
        failed = FailedSignIns(store, ports.outbox, clock, ports.sleep)
        self.throttle = Throttle(clock, failed.flooded)
        ceremonies = PasskeyCeremonies(ports.issuer)
        challenges = PasskeyChallenges(store, self.keys, clock)
        proofs = FactorProofs(self.keys, ceremonies)
        factor_log = FactorLog(store, ports.outbox)
        self.second_factors = SecondFactors(store, self.keys, proofs, ceremonies, factor_log, clock)
        self.sign_in = SignIn(
            store,
            ports.passwords,
            self.sessions,
            self.keys,
            failed,
            self.throttle,
            self.second_factors,
            clock,
        )
        self.passkey_sign_in = PasskeySignIn(
            store, self.keys, challenges, proofs, ceremonies, factor_log, self.sign_in, clock
        )
        self.step_up = StepUp(
            store, challenges, proofs, ceremonies, factor_log, self.sign_in, self.sessions, clock
        )
        self.totp = TotpEnrolment(store, self.keys, factor_log, clock)
        self.recovery_codes = OwnRecoveryCodes(store, self.keys, factor_log, clock)
        self.passkeys = OwnPasskeys(store, challenges, ceremonies, factor_log, clock)
        self.factor_reset = FactorReset(store, self.roles, factor_log, clock)
        self.tenant_security = TenantSecurity(store, ports.outbox, clock)
        self.service_accounts = ServiceAccounts(store, ports.outbox, clock)
        self.service_account_changes = ServiceAccountChanges(store, ports.outbox, clock, self.clients.forget)
        self.api_keys = ApiKeys(store, ports.outbox, self.keys, ports.environment, clock)
        self.api_key_exchange = ApiKeyExchange(
            store, self.access_tokens, self.keys, refused, ports.environment, clock
        )
        self.browser_sessions = BrowserSessions(store, self.session_end, self.keys, clock)
        self.hosted_sign_in = HostedSignIn(
            self.sign_in, self.passkey_sign_in, self.second_factors, self.browser_sessions, self.keys, clock
        )
        client_sessions = ClientSessions(store, self.sessions, self.session_end, clock)
        codes = AuthorizationCodes(
            store, self.keys, self.roles, self.browser_sessions, client_sessions, ports.issuer, clock
        )
        self.authorize = Authorize(
            store, self.oauth_clients, self.browser_sessions, codes, ports.issuer, clock
        )
        self.device_grants = DeviceGrants(
            store,
            self.keys,
            self.oauth_clients,
            self.roles,
            self.browser_sessions,
            client_sessions,
            ports.issuer,
            clock,
        )
        grants: dict[str, Grant] = {
            "authorization_code": codes,
            DEVICE_CODE: self.device_grants,
            "refresh_token": RefreshTokenGrant(self.sessions, ports.issuer),
            "client_credentials": ClientCredentialsGrant(self.access_tokens, ports.issuer),
        }
        self.tokens = TokenEndpoint(self.clients, grants)
        self.metadata = discovery.metadata(ports.issuer, self.tokens.grant_types)
        self.password_policy = PasswordPolicy(ports.ranges)
        self.invitations = Invitations(
            store, ports.outbox, ports.passwords, self.password_policy, self.keys, self.roles, clock
        )
        self.mails = Mails(store, self.keys, ports.mailer, clock, ports.issuer)
        self.user_changes = UserChanges(store, ports.outbox, self.roles, self.user_sessions, clock)
        self.profile = Profile(store, ports.outbox, clock)
        own_password = OwnPassword(store, self.sign_in, clock)
        self.email_changes = EmailChanges(store, ports.outbox, self.keys, own_password, clock)
        self.password_changes = PasswordChanges(
            store,
            ports.outbox,
            ports.passwords,
            self.password_policy,
            self.keys,
            own_password,
            self.user_sessions,
            clock,
        )
        self.audit_log = AuditLog(store)
        self.users = Users(store)
        self._counting: tuple[Read, ...] = (
            ports.passwords,
            self.keys,
            self.sign_in.tried,
            self.second_factors.tried,
            self.passkey_sign_in.tried,
            self.sessions.refreshes,
            self.tokens.answered,
            self.api_key_exchange.answered,
        )

    def readings(self) -> Iterator[Reading]:
        """What `Metrics` shows of auth."""
        return chain.from_iterable(source.readings() for source in self._counting)
