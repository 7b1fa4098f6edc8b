// Everything that the library `openid-client` (npm) does, against the suite. Argument: a JSON object, see
// world.py. Prints a line for each step; ends with status 1 and the reason at the first that fails.
import assert from 'node:assert/strict';
import * as oidc from 'openid-client';
import { Browser } from './browser.mjs';

const world = JSON.parse(process.argv[2]);
const options = { execute: [oidc.allowInsecureRequests] }; // the issuer is http://127.0.0.1 here

const authentications = {
  client_secret_basic: [world.web.client_id, oidc.ClientSecretBasic(world.web.client_secret)],
  client_secret_post: [world.web.client_id, oidc.ClientSecretPost(world.web.client_secret)],
  private_key_jwt: [world.web.client_id, oidc.PrivateKeyJwt(await key(world.web.private_jwk))],
  none: [world.native.client_id, oidc.None()],
};

for (const [method, [client_id, authentication]] of Object.entries(authentications)) {
  const config = await oidc.discovery(new URL(world.issuer), client_id, undefined, authentication, options);
  await codeFlow(config, method);
}
await machine();
await device();

async function codeFlow(config, method) {
  const verifier = oidc.randomPKCECodeVerifier();
  const nonce = oidc.randomNonce();
  const state = oidc.randomState();
  const url = oidc.buildAuthorizationUrl(config, {
    redirect_uri: world.redirect_uri,
    scope: world.scope,
    code_challenge: await oidc.calculatePKCECodeChallenge(verifier),
    code_challenge_method: 'S256',
    nonce,
    state,
  });
  const browser = new Browser(world);
  const landed = await browser.visit(url);
  const checks = { pkceCodeVerifier: verifier, expectedNonce: nonce, expectedState: state, idTokenExpected: true };
  const tokens = await oidc.authorizationCodeGrant(config, new URL(landed), checks);
  const claims = tokens.claims();
  assert.equal(claims.nonce, nonce);
  console.log(`${method}: authorization code, PKCE, iss, ID token`);

  const person = await oidc.fetchUserInfo(config, tokens.access_token, claims.sub);
  assert.equal(person.email, world.person.email);
  console.log(`${method}: userinfo`);

  const fresh = await oidc.refreshTokenGrant(config, tokens.refresh_token);
  assert.notEqual(fresh.refresh_token, tokens.refresh_token);
  console.log(`${method}: refresh`);

  if (method !== 'none') {
    assert.equal((await oidc.tokenIntrospection(config, fresh.access_token)).active, true);
    console.log(`${method}: introspection`);
  }
  await oidc.tokenRevocation(config, fresh.refresh_token);
  await assert.rejects(oidc.refreshTokenGrant(config, fresh.refresh_token), { error: 'invalid_grant' });
  console.log(`${method}: revocation`);

  const asked = { post_logout_redirect_uri: world.signed_out_uri, state };
  const signedOut = await browser.visit(oidc.buildEndSessionUrl(config, { ...asked, id_token_hint: tokens.id_token }));
  assert.equal(signedOut, `${world.signed_out_uri}?state=${state}`);
  const silent = await browser.visit(new URL(`${url}&prompt=none`));
  assert.equal(new URL(silent).searchParams.get('error'), 'login_required');
  console.log(`${method}: sign-out`);
}

async function machine() {
  const { client_id, client_secret } = world.machine;
  const config = await oidc.discovery(new URL(world.issuer), client_id, client_secret, undefined, options);
  const tokens = await oidc.clientCredentialsGrant(config, { scope: 'usage:read', resource: world.issuer });
  assert.equal(tokens.scope, 'usage:read');
  console.log('client credentials, resource');
}

async function device() {
  const [client_id, authentication] = authentications.none;
  const config = await oidc.discovery(new URL(world.issuer), client_id, undefined, authentication, options);
  const asked = await oidc.initiateDeviceAuthorization(config, { scope: 'openid users:read' });
  const polling = oidc.pollDeviceAuthorizationGrant(config, asked);
  const shown = await new Browser(world).visit(asked.verification_uri_complete, 'allow');
  assert.match(shown, /^200 /);
  const tokens = await polling;
  assert.ok(tokens.access_token);
  console.log('device code');
}

function key(jwk) {
  return crypto.subtle.importKey('jwk', jwk, { name: 'ECDSA', namedCurve: 'P-256' }, false, ['sign']);
}
