// A receiver as its users write it: checks what comes with its provider's own library alone.
// usage: node receiver.mjs PROVIDER KEY
// Answers 204 to what the library accepts and 401, with what the library says, to anything else. Prints its
// port, then a line of JSON for every request; ends when its input does.
import crypto from "node:crypto";
import http from "node:http";

const [name, key] = process.argv.slice(2);

// Each gives a function that throws, or gives false, where its library refuses.
const providers = {
  async standard_webhooks() {
    const { Webhook } = await import("standardwebhooks");
    return ({ body, headers }) => new Webhook(key).verify(body, headers);
  },
  async svix() {
    const { Webhook } = await import("svix");
    return ({ body, headers }) => new Webhook(key).verify(body, headers);
  },
  async stripe() {
    const { default: Stripe } = await import("stripe");
    const { webhooks } = new Stripe("sk_test_of_nobody");
    return ({ body, headers }) => webhooks.constructEvent(body, headers["stripe-signature"], key);
  },
  async github() {
    const { verify } = await import("@octokit/webhooks-methods");
    return ({ body, headers }) => verify(key, body.toString(), headers["x-hub-signature-256"]);
  },
  async paddle() {
    const { Paddle } = await import("@paddle/paddle-node-sdk");
    const { webhooks } = new Paddle("key of nobody");
    return ({ body, headers }) => webhooks.isSignatureValid(body.toString(), key, headers["paddle-signature"]);
  },
  async shopify() {
    await import("@shopify/shopify-api/adapters/node");
    const { ApiVersion, LogSeverity, shopifyApi } = await import("@shopify/shopify-api");
    const apiVersion = Object.values(ApiVersion)[0];
    const options = { apiKey: "app", apiSecretKey: key, hostName: "app.example", isEmbeddedApp: false };
    const logger = { level: LogSeverity.Error };
    const { webhooks } = shopifyApi({ ...options, apiVersion, logger });
    return async ({ body, request, response }) => {
      const found = await webhooks.validate({ rawBody: body.toString(), rawRequest: request, rawResponse: response });
      if (!found.valid) throw new Error(found.reason);
    };
  },
  async twilio() {
    const { default: twilio } = await import("twilio");
    return ({ body, headers, url }) => {
      const signature = headers["x-twilio-signature"] ?? "";
      if (headers["content-type"] !== "application/x-www-form-urlencoded") {
        return twilio.validateRequestWithBody(key, signature, url, body.toString());
      }
      return twilio.validateRequest(key, signature, url, Object.fromEntries(new URLSearchParams(body.toString())));
    };
  },
  async linear() {
    const { LinearWebhookClient } = await import("@linear/sdk/webhooks");
    return ({ body, headers }) => new LinearWebhookClient(key).verify(body, headers["linear-signature"]);
  },
  async hook0() {
    const { verifyWebhookSignatureWithCurrentTime: verify } = await import("hook0-client");
    return ({ body, headers }) => verify(headers["x-hook0-signature"], body, new Headers(headers), key, 300, new Date());
  },
  async webflow() {
    const { WebflowClient } = await import("webflow-api");
    const { webhooks } = new WebflowClient({ accessToken: "token of nobody" });
    return ({ body, headers }) => webhooks.verifySignature({ headers, body: body.toString(), secret: key });
  },
  async line() {
    const { validateSignature } = await import("@line/bot-sdk");
    return ({ body, headers }) => validateSignature(body, key, headers["x-line-signature"]);
  },
  // KEY is JSON: {"key": PEM of the public key, or a text, "algorithm"}. The digest of the body is a claim that
  // its receiver compares by itself.
  async jwt() {
    const { importSPKI, jwtVerify } = await import("jose");
    const { key: text, algorithm } = JSON.parse(key);
    const isText = algorithm.startsWith("HS");
    const known = isText ? new TextEncoder().encode(text) : await importSPKI(text, algorithm);
    return async ({ body, headers, url }) => {
      const token = /^Bearer (.+)$/.exec(headers.authorization)[1];
      const expected = { algorithms: [algorithm], issuer: "acme", audience: url, requiredClaims: ["exp", "iat", "jti"] };
      const { payload, protectedHeader } = await jwtVerify(token, known, expected);
      return protectedHeader.kid === "k1" && payload.request_body_sha256 === sha256(body);
    };
  },
  // KEY is JSON: {"key": PEM of the public key, or a text, "algorithm", "components": [names that must be covered]}.
  // The library leaves Content-Digest to its receiver.
  async http_message_signatures() {
    const { createVerifier, httpbis } = await import("http-message-signatures");
    const { key: text, algorithm, components } = JSON.parse(key);
    const known = { id: "k1", algs: [algorithm], verify: createVerifier(text, algorithm) };
    const keyLookup = async ({ keyid }) => (keyid === known.id ? known : null);
    const demands = { requiredParams: ["created", "keyid"], requiredFields: components, maxAge: 300, tolerance: 1 };
    return async ({ body, headers, method, url }) => {
      const digest = headers["content-digest"] === `sha-256=:${sha256(body)}:`;
      return digest && (await httpbis.verifyMessage({ keyLookup, all: true, ...demands }, { method, url, headers })) === true;
    };
  },
};
const sha256 = (body) => crypto.createHash("sha256").update(body).digest("base64");

const verify = await providers[name]();
const server = http.createServer(async (request, response) => {
  const chunks = [];
  for await (const chunk of request) chunks.push(chunk);
  const { headers, method } = request;
  const url = `http://${headers.host}${request.url}`;
  let [status, message] = [204, ""];
  try {
    const found = await verify({ body: Buffer.concat(chunks), headers, method, url, request, response });
    if (found === false) [status, message] = [401, "the library says false"];
  } catch (error) {
    [status, message] = [401, `${error.name}: ${error.message}`];
  }
  console.log(JSON.stringify({ url, headers, body: Buffer.concat(chunks).toString(), status, message }));
  response.writeHead(status).end(message);
});
server.listen(0, "127.0.0.1", () => console.log(server.address().port));
process.stdin.resume().on("end", () => process.exit());
