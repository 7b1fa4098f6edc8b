"""The assembly of auth: every use-case, built from the ports of the process."""

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
from functions.auth.guessing.failed_sign_ins import FailedSignIns
from functions.auth.guessing.pause import Pause, Pausing
from functions.auth.guessing.refused_credentials import RefusedCredentials
from functions.auth.guessing.throttle import Throttle
from functions.auth.hosted.hosted_sign_in import HostedSignIn
from functions.auth.hosted.organisations import Organisations
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
from functions.auth.oauth.rp_initiated_logout import RpInitiatedLogout
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
from functions.auth.sessions.session_rate import SessionRate
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
    """The adapters and settings that auth depends on. `issuer` is the public address, `https://host`;
    `environment` is a name like `production`, which is part of API keys.
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
    pause: Pausing = msgspec.field(default_factory=Pause)
    ranges: Ranges | None = None


class UseCases:
    """One instance of each use-case, in the order of the folders, each after those that it depends on."""

    def __init__(self, ports: Ports) -> None:
        store, outbox, clock, issuer = ports.store, ports.outbox, ports.clock, ports.issuer
        self.clock = clock
        self.issuer = issuer
        self.outbox = outbox
        self.idempotency = Idempotency(store, clock)
        self.audit_log = AuditLog(store)

        self.keys = keys = KeyRoom(store, ports.secrets, clock)
        self.jwks_copy = JwksCopy(store, ports.objects)
        self.key_rotation = KeyRotation(store, outbox, ports.secrets, keys, self.jwks_copy, clock)

        self.roles = Roles(store, outbox, clock)

        failed = FailedSignIns(store, outbox, clock, ports.pause)
        refused = RefusedCredentials(store, outbox, clock)
        self.throttle = Throttle(clock, failed.flooded)

        ceremonies = PasskeyCeremonies(issuer)
        challenges = PasskeyChallenges(keys, clock)
        proofs = FactorProofs(keys, ceremonies)
        factor_log = FactorLog(store, outbox)
        self.totp = TotpEnrolment(store, keys, factor_log, clock)
        self.recovery_codes = OwnRecoveryCodes(store, keys, factor_log, clock)
        self.passkeys = OwnPasskeys(store, challenges, ceremonies, factor_log, clock)
        self.tenant_security = TenantSecurity(store, outbox, clock)

        rate = SessionRate(clock)
        self.session_end = SessionEnd(store, outbox, clock)
        self.session_kills = SessionKills(store, self.session_end, clock)
        self.browser_sessions = BrowserSessions(store, self.session_end, keys, clock)

        self.access_tokens = AccessTokens(keys, issuer, clock)
        self.id_tokens = IdTokens(keys, issuer, clock)
        self.sessions = Sessions(
            store, self.access_tokens, self.id_tokens, keys, self.roles, self.session_end, clock
        )
        self.clients = ClientAuthentication(store, refused, issuer, clock)
        self.oauth_clients = OAuthClients(store, outbox, clock)
        self.oauth_client_changes = OAuthClientChanges(store, outbox, clock, self.clients.forget)
        verifier = Verifier(store, issuer, None, clock)
        self.introspection = Introspection(store, self.clients, verifier, keys, clock)
        self.token_revocation = TokenRevocation(store, self.clients, verifier, keys, self.session_end, clock)
        self.userinfo = Userinfo(store)
        client_sessions = ClientSessions(store, self.sessions, self.session_end, rate, clock)
        codes = AuthorizationCodes(
            store, keys, self.roles, self.browser_sessions, client_sessions, issuer, clock
        )
        self.authorize = Authorize(store, self.oauth_clients, self.browser_sessions, codes, issuer, clock)
        self.rp_initiated_logout = RpInitiatedLogout(
            store, self.oauth_clients, self.id_tokens, self.browser_sessions, self.session_end
        )
        self.device_grants = DeviceGrants(
            store,
            keys,
            self.oauth_clients,
            self.roles,
            self.browser_sessions,
            client_sessions,
            issuer,
            clock,
        )
        grants: dict[str, Grant] = {
            "authorization_code": codes,
            DEVICE_CODE: self.device_grants,
            "refresh_token": RefreshTokenGrant(self.sessions, issuer),
            "client_credentials": ClientCredentialsGrant(self.access_tokens, issuer),
        }
        self.tokens = TokenEndpoint(self.clients, grants)
        self.metadata = discovery.metadata(issuer, self.tokens.grant_types)

        self.service_accounts = ServiceAccounts(store, outbox, clock)
        self.service_account_changes = ServiceAccountChanges(store, outbox, clock, self.clients.forget)
        self.api_keys = ApiKeys(store, outbox, keys, ports.environment, clock)
        self.api_key_exchange = ApiKeyExchange(
            store, self.access_tokens, keys, refused, ports.environment, clock
        )

        self.second_factors = SecondFactors(store, keys, proofs, ceremonies, factor_log, clock)
        self.sign_in = SignIn(
            store,
            ports.passwords,
            self.sessions,
            keys,
            failed,
            self.throttle,
            self.second_factors,
            rate,
            clock,
        )
        self.passkey_sign_in = PasskeySignIn(
            store, keys, challenges, proofs, ceremonies, factor_log, self.sign_in, clock
        )
        self.step_up = StepUp(
            store, challenges, proofs, ceremonies, factor_log, self.sign_in, self.sessions, clock
        )
        self.organisations = Organisations(store)
        self.hosted_sign_in = HostedSignIn(
            self.sign_in, self.passkey_sign_in, self.second_factors, self.browser_sessions, keys, clock
        )

        self.password_policy = PasswordPolicy(ports.ranges)
        self.mails = Mails(store, keys, ports.mailer, clock, issuer)
        self.users = Users(store)
        self.user_sessions = UserSessions(store, self.session_end, self.roles, clock)
        self.user_changes = UserChanges(store, outbox, self.roles, self.user_sessions, clock)
        self.factor_reset = FactorReset(store, self.roles, factor_log, clock)
        self.invitations = Invitations(
            store, outbox, ports.passwords, self.password_policy, keys, self.roles, clock
        )
        self.profile = Profile(store, outbox, clock)
        own_password = OwnPassword(store, self.sign_in, clock)
        self.email_changes = EmailChanges(store, outbox, keys, own_password, clock)
        self.password_changes = PasswordChanges(
            store,
            outbox,
            ports.passwords,
            self.password_policy,
            keys,
            own_password,
            self.user_sessions,
            clock,
        )
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
