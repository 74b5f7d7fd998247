// A real OpenID Connect provider on loopback, for the tests: node issuer.mjs < settings.json
//
// settings: { port, jwks, claims: { subject: { claim: value } }, expired: [client ids] }. Every subject is a
// client too. A resource urn:AUDIENCE:ALGORITHM gives JWT access tokens for that audience, signed so.
import { readFileSync } from 'node:fs'
import { Provider } from 'oidc-provider'

const settings = JSON.parse(readFileSync(0, 'utf8'))
const url = `http://127.0.0.1:${settings.port}`
const claimsOf = (token) => settings.claims[token.accountId ?? token.clientId] ?? {}

const provider = new Provider(url, {
  jwks: settings.jwks,
  cookies: { keys: ['only for the tests'] },
  clients: [
    ...Object.keys(settings.claims).map((id) => ({
      client_id: id,
      client_secret: `secret of ${id}`,
      grant_types: ['client_credentials'],
      redirect_uris: [],
      response_types: [],
    })),
    {
      client_id: 'portal',
      client_secret: 'secret of portal',
      grant_types: ['authorization_code'],
      redirect_uris: ['https://portal.example.org/callback'],
      response_types: ['code'],
    },
  ],
  findAccount: (_context, id) => ({ accountId: id, claims: () => ({ sub: id }) }),
  extraTokenClaims: (_context, token) => claimsOf(token),
  features: {
    clientCredentials: { enabled: true },
    devInteractions: { enabled: true },
    resourceIndicators: {
      enabled: true,
      defaultResource: () => undefined,
      useGrantedResource: () => true,
      getResourceServerInfo: (_context, resource) => {
        const [, audience, algorithm] = resource.split(':')
        return {
          scope: 'imagery',
          audience,
          accessTokenTTL: 300,
          accessTokenFormat: 'jwt',
          jwt: { sign: { alg: algorithm } },
        }
      },
    },
  },
  formats: {
    customizers: {
      jwt: (_context, token, parts) => {
        if (settings.expired?.includes(token.clientId)) {
          parts.payload.iat -= 600
          parts.payload.exp = parts.payload.iat + 300
        }
        return parts
      },
    },
  },
})

provider.on('server_error', (_context, error) => console.error(error))
provider.listen(settings.port, '127.0.0.1')
