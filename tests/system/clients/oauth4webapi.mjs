// The lower-level library `oauth4webapi` (npm), against the suite: all that it checks is checked, the
// signature of the ID token and access tokens as RFC 9068 has them too. Argument: a JSON object, see
// world.py. Prints a line for each step; ends with status 1 and the reason at the first that fails.
import assert from 'node:assert/strict';
import * as oauth from 'oauth4webapi';
import { Browser } from './browser.mjs';

const world = JSON.parse(process.argv[2]);
const insecure = { [oauth.allowInsecureRequests]: true }; // the issuer is http://127.0.0.1 here
const issuer = new URL(world.issuer);
const [as] = await Promise.all([discovered('oidc'), discovered('oauth2')]);

const key = { kid: world.web.private_jwk.kid, key: await importKey(world.web.private_jwk) };
await codeFlow(world.web, 'client_secret_basic', oauth.ClientSecretBasic(world.web.client_secret));
await codeFlow(world.web, 'client_secret_post', oauth.ClientSecretPost(world.web.client_secret));
await codeFlow(world.web, 'private_key_jwt', oauth.PrivateKeyJwt(key));
await codeFlow(world.native, 'none', oauth.None());
await refusals();
await machine();
await device();

async function discovered(algorithm) {
  const response = await oauth.discoveryRequest(issuer, { algorithm, ...insecure });
  const metadata = await oauth.processDiscoveryResponse(issuer, response);
  console.log(`discovery (${algorithm})`);
  return metadata;
}

async function codeFlow({ client_id }, method, authentication) {
  const client = { client_id, require_auth_time: true };
  const [verifier, nonce, state] = [oauth.generateRandomCodeVerifier(), oauth.generateRandomNonce(), oauth.generateRandomState()];
  const asked = { scope: world.scope, nonce, state, max_age: '300', resource: world.resource };
  const landed = await new Browser(world).visit(await authorizeUrl(client, verifier, asked));
  const answer = oauth.validateAuthResponse(as, client, new URL(landed), state);
  const code = await oauth.authorizationCodeGrantRequest(as, client, authentication, answer, world.redirect_uri, verifier, insecure);
  const checks = { expectedNonce: nonce, maxAge: 300, requireIdToken: true };
  const tokens = await oauth.processAuthorizationCodeResponse(as, client, code, checks);
  await oauth.validateApplicationLevelSignature(as, code, insecure);
  const claims = oauth.getValidatedIdTokenClaims(tokens);
  console.log(`${method}: authorization code, PKCE, iss, max_age, ID token and its signature`);

  const bearing = new Request(world.resource, { headers: { authorization: `Bearer ${tokens.access_token}` } });
  const said = await oauth.validateJwtAccessToken(as, bearing, world.resource, insecure);
  assert.deepEqual([said.sub, said.client_id], [claims.sub, client_id]);
  console.log(`${method}: access token for a resource`);

  const refreshing = await oauth.refreshTokenGrantRequest(as, client, authentication, tokens.refresh_token, insecure);
  const fresh = await oauth.processRefreshTokenResponse(as, client, refreshing);
  assert.notEqual(fresh.refresh_token, tokens.refresh_token);
  assert.equal(oauth.getValidatedIdTokenClaims(fresh).sub, claims.sub);
  console.log(`${method}: refresh`);

  if (method !== 'none') {
    const introspecting = await oauth.introspectionRequest(as, client, authentication, fresh.access_token, insecure);
    const told = await oauth.processIntrospectionResponse(as, client, introspecting);
    assert.deepEqual([told.active, told.aud], [true, world.resource]);
    console.log(`${method}: introspection`);
  }
  await oauth.processRevocationResponse(await oauth.revocationRequest(as, client, authentication, fresh.refresh_token, insecure));
  const again = await oauth.refreshTokenGrantRequest(as, client, authentication, fresh.refresh_token, insecure);
  await assert.rejects(oauth.processRefreshTokenResponse(as, client, again), { error: 'invalid_grant' });
  console.log(`${method}: revocation`);
}

async function refusals() {
  const client = { client_id: world.native.client_id };
  const verifier = oauth.generateRandomCodeVerifier();
  const browser = new Browser(world);
  const silent = await browser.visit(await authorizeUrl(client, verifier, { prompt: 'none', scope: 'openid' }));
  assert.throws(() => oauth.validateAuthResponse(as, client, new URL(silent)), { error: 'login_required' });
  console.log('prompt=none while nobody is signed in');

  const landed = await browser.visit(await authorizeUrl(client, verifier, { scope: 'openid email' }));
  const answer = oauth.validateAuthResponse(as, client, new URL(landed));
  const wrong = oauth.generateRandomCodeVerifier();
  const redeemed = await oauth.authorizationCodeGrantRequest(as, client, oauth.None(), answer, world.redirect_uri, wrong, insecure);
  await assert.rejects(oauth.processAuthorizationCodeResponse(as, client, redeemed), { error: 'invalid_grant' });
  console.log('a wrong code_verifier');

  const unknown = await oauth.userInfoRequest(as, client, 'not-a-token', insecure);
  await assert.rejects(oauth.processUserInfoResponse(as, client, oauth.skipSubjectCheck, unknown), oauth.WWWAuthenticateChallengeError);
  console.log('a challenge for a token that is none');

  const again = await browser.visit(await authorizeUrl(client, verifier, { prompt: 'none', scope: 'openid email' }));
  const known = oauth.validateAuthResponse(as, client, new URL(again));
  const response = await oauth.authorizationCodeGrantRequest(as, client, oauth.None(), known, world.redirect_uri, verifier, insecure);
  const tokens = await oauth.processAuthorizationCodeResponse(as, client, response, { requireIdToken: true });
  const { sub } = oauth.getValidatedIdTokenClaims(tokens);
  const asking = await oauth.userInfoRequest(as, client, tokens.access_token, insecure);
  assert.equal((await oauth.processUserInfoResponse(as, client, sub, asking)).email, world.person.email);
  console.log('prompt=none for somebody who is signed in, userinfo');
}

async function machine() {
  const client = { client_id: world.machine.client_id };
  const authentication = oauth.ClientSecretBasic(world.machine.client_secret);
  const parameters = new URLSearchParams({ scope: 'usage:read', resource: world.resource });
  const response = await oauth.clientCredentialsGrantRequest(as, client, authentication, parameters, insecure);
  const tokens = await oauth.processClientCredentialsResponse(as, client, response);
  const bearing = new Request(world.resource, { headers: { authorization: `Bearer ${tokens.access_token}` } });
  assert.equal((await oauth.validateJwtAccessToken(as, bearing, world.resource, insecure)).scope, 'usage:read');
  console.log('client credentials, access token for a resource');
}

async function device() {
  const client = { client_id: world.native.client_id };
  const asking = await oauth.deviceAuthorizationRequest(as, client, oauth.None(), { scope: 'openid users:read' }, insecure);
  const asked = await oauth.processDeviceAuthorizationResponse(as, client, asking);
  await new Browser(world).visit(asked.verification_uri_complete, 'allow');
  const response = await oauth.deviceCodeGrantRequest(as, client, oauth.None(), asked.device_code, insecure);
  assert.ok(oauth.getValidatedIdTokenClaims(await oauth.processDeviceCodeResponse(as, client, response)).sub);
  console.log('device code');
}

async function authorizeUrl({ client_id }, verifier, more) {
  const url = new URL(as.authorization_endpoint);
  const code_challenge = await oauth.calculatePKCECodeChallenge(verifier);
  const asked = { client_id, redirect_uri: world.redirect_uri, response_type: 'code', code_challenge, code_challenge_method: 'S256' };
  url.search = new URLSearchParams({ ...asked, ...more });
  return url;
}

function importKey(jwk) {
  return crypto.subtle.importKey('jwk', jwk, { name: 'ECDSA', namedCurve: 'P-256' }, false, ['sign']);
}
