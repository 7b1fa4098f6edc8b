// npm oidc-provider with its in-memory store: a client for each grant, refresh tokens made beforehand.
// Arguments: port, how many refresh tokens, and `jwt` (ES256) or `opaque` for the access tokens.
// Prints a line of JSON when it listens; ends on SIGTERM.
import { generateKeyPairSync, randomBytes } from 'node:crypto';
import Provider from 'oidc-provider';

const [port, sessions] = process.argv.slice(2, 4).map(Number);
const accessTokenFormat = process.argv[4];
const issuer = `http://127.0.0.1:${port}`;
const resource = 'https://api.example';
const { privateKey } = generateKeyPairSync('ec', { namedCurve: 'P-256' });
const secret = randomBytes(32).toString('hex');

const provider = new Provider(issuer, {
  jwks: { keys: [{ ...privateKey.export({ format: 'jwk' }), alg: 'ES256', use: 'sig', kid: 'bench' }] },
  clients: [
    {
      client_id: 'machine',
      client_secret: secret,
      grant_types: ['client_credentials'],
      redirect_uris: [],
      response_types: [],
      token_endpoint_auth_method: 'client_secret_basic',
    },
    {
      client_id: 'app',
      token_endpoint_auth_method: 'none',
      grant_types: ['authorization_code', 'refresh_token'],
      redirect_uris: ['https://app.example/callback'],
      response_types: ['code'],
    },
  ],
  clientDefaults: { id_token_signed_response_alg: 'ES256' },
  scopes: ['openid', 'offline_access', 'usage:read'],
  findAccount: (_, sub) => ({ accountId: sub, claims: () => ({ sub }) }),
  rotateRefreshToken: true,
  ttl: { AccessToken: 600, ClientCredentials: 600, Grant: 86400, RefreshToken: 86400 },
  features: {
    devInteractions: { enabled: false },
    clientCredentials: { enabled: true },
    introspection: { enabled: true },
    resourceIndicators: {
      enabled: true,
      defaultResource: () => resource,
      useGrantedResource: () => true,
      getResourceServerInfo: () => ({
        scope: 'usage:read',
        accessTokenTTL: 600,
        accessTokenFormat,
        ...(accessTokenFormat === 'jwt' && { jwt: { sign: { alg: 'ES256' } } }),
      }),
    },
  },
});

const app = await provider.Client.find('app');
const machine = await provider.Client.find('machine');
const refresh_tokens = [];
for (let number = 0; number < sessions; number += 1) {
  const grant = new provider.Grant({ accountId: `user-${number}`, clientId: 'app' });
  grant.addOIDCScope('openid offline_access');
  grant.addResourceScope(resource, 'usage:read');
  const token = new provider.RefreshToken({
    accountId: `user-${number}`,
    client: app,
    grantId: await grant.save(),
    gty: 'authorization_code',
    scope: 'offline_access usage:read',
    resource,
  });
  refresh_tokens.push(await token.save());
}
const opaque = new provider.ClientCredentials({ client: machine, scope: 'usage:read' });
const access_token = await opaque.save();

const server = provider.listen(port, '127.0.0.1', () => {
  console.log(JSON.stringify({ client_id: 'machine', client_secret: secret, app: 'app', refresh_tokens, access_token }));
});
process.on('SIGTERM', () => server.close(() => process.exit(0)));
