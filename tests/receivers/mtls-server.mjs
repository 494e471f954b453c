// An HTTPS server that hears nobody without a certificate of its authority: Node's own `https`.
// usage: node mtls-server.mjs CERTIFICATE KEY AUTHORITY [VERSION]
// The first three are PEM files; VERSION is the one version of TLS it speaks, TLSv1.2 or TLSv1.3.
// Prints its port, then a line of JSON for every request and every refused handshake; ends when its input does.
import fs from "node:fs";
import https from "node:https";

const [cert, key, ca] = process.argv.slice(2, 5).map((path) => fs.readFileSync(path));
const version = process.argv[5];
const only = version ? { minVersion: version, maxVersion: version } : {};
const print = (line) => console.log(JSON.stringify(line));

const options = { cert, key, ca, requestCert: true, rejectUnauthorized: true, ...only };
const server = https.createServer(options, async (request, response) => {
  for await (const _ of request);
  const { subject, fingerprint256 } = request.socket.getPeerCertificate();
  const reused = request.socket.isSessionReused();
  const seen = { path: request.url, subject: { ...subject }, fingerprint256, protocol: request.socket.getProtocol(), reused };
  print(seen);
  response.writeHead(200, { "content-type": "application/json" }).end(JSON.stringify(seen));
});
// In TLS 1.3 the client has finished before the server sees its certificate: the refusal comes to light here.
server.on("tlsClientError", (error) => print({ refused: error.code ?? error.message }));
server.listen(0, "127.0.0.1", () => console.log(server.address().port));
process.stdin.resume().on("end", () => process.exit());
