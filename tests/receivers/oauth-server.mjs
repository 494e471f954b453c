// An OAuth 2.0 authorization server, and a resource that takes its tokens: oidc-provider alone.
// usage: node oauth-server.mjs SETTINGS
// SETTINGS is JSON: {"clients": [client metadata], "lifetime": seconds, "scopes": [...], "resource": URI}.
// In place of "jwks", a client may have "public_key", its public key in PEM.
// Prints its port, then a line of JSON for every request it answered. A line "revoke" on its input revokes
// every token; it ends when the input does.
import crypto from "node:crypto";
import http from "node:http";
import readline from "node:readline";
import { Provider } from "oidc-provider";

const { clients, lifetime = 60, scopes = [], resource } = JSON.parse(process.argv[2]);
const GUARD = { client_id: "resource-server", client_secret: "only this process knows it", grant_types: ["client_credentials"], redirect_uris: [], response_types: [] };
const print = (line) => console.log(JSON.stringify(line));

let handle;
const server = http.createServer((request, response) => handle(request, response));
await new Promise((listening) => server.listen(0, "127.0.0.1", listening));
const origin = `http://127.0.0.1:${server.address().port}`;

const jwks = (pem) => pem && { keys: [crypto.createPublicKey(pem).export({ format: "jwk" })] };
const client = ({ public_key, ...given }) => ({
  ...GUARD,
  client_secret: undefined,
  jwks: jwks(public_key),
  scope: scopes.join(" ") || undefined,
  ...given,
});
const provider = new Provider(origin, {
  clients: [GUARD, ...clients.map(client)],
  scopes,
  clientAuthMethods: ["client_secret_basic", "client_secret_post", "client_secret_jwt", "private_key_jwt"],
  ttl: { ClientCredentials: lifetime },
  features: {
    devInteractions: { enabled: false },
    clientCredentials: { enabled: true },
    introspection: { enabled: true, allowedPolicy: (_, asking) => asking.clientId === GUARD.client_id },
    resourceIndicators: {
      enabled: true,
      getResourceServerInfo: (_, asked) => {
        if (asked !== resource) throw new Error(`${asked} is not a resource`);
        return { scope: scopes.join(" "), audience: asked, accessTokenTTL: lifetime, accessTokenFormat: "opaque" };
      },
    },
  },
});
const issued = [];
provider.on("client_credentials.saved", (token) => issued.push(token));
provider.use(async (context, next) => {
  await next();
  const { path, status, oidc } = context;
  if (path !== "/token/introspection") {
    print({ path, status, client: oidc?.client?.clientId ?? null, error: context.body?.error ?? null });
  }
});
const authorize = provider.callback();

// What the server says of a token: RFC 7662.
async function introspect(token) {
  const credentials = Buffer.from(`${GUARD.client_id}:${encodeURIComponent(GUARD.client_secret).replaceAll("%20", "+")}`);
  const answer = await fetch(`${origin}/token/introspection`, {
    method: "POST",
    headers: { authorization: `Basic ${credentials.toString("base64")}` },
    body: new URLSearchParams({ token }),
  });
  if (!answer.ok) throw new Error(`introspection: ${answer.status} ${await answer.text()}`);
  return answer.json();
}

async function protect(request, response) {
  for await (const _ of request);
  const token = /^Bearer (.+)$/.exec(request.headers.authorization ?? "")?.[1];
  const found = token ? await introspect(token) : { active: false };
  // A token for another audience is no token for this resource (RFC 8707).
  const isGood = found.active && (resource === undefined || found.aud === resource);
  const { client_id = null, scope = null, aud = null } = found;
  print({ path: request.url, status: isGood ? 204 : 401, client: client_id, scope, aud });
  response.writeHead(isGood ? 204 : 401, isGood ? {} : { "www-authenticate": 'Bearer error="invalid_token"' });
  response.end();
}

handle = (request, response) => (request.url.startsWith("/resource") ? protect : authorize)(request, response);
console.log(server.address().port);

const lines = readline.createInterface({ input: process.stdin });
lines.on("line", async (line) => {
  if (line !== "revoke") throw new Error(`unknown command ${line}`);
  await Promise.all(issued.splice(0).map((token) => token.destroy()));
  print({ revoked: true });
});
lines.on("close", () => process.exit());
