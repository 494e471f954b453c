// What the scripts share: a browser that watches its pages, looks at them in both schemes and both
// widths, and takes pictures. Whatever a page complains of, or loads from elsewhere, fails the test.
import assert from "node:assert/strict";
import fs from "node:fs";
import http from "node:http";
import https from "node:https";
import { createRequire } from "node:module";
import path from "node:path";
import { chromium } from "playwright-core";

const require = createRequire(import.meta.url);
const axe = fs.readFileSync(require.resolve("axe-core/axe.min.js"), "utf8");

export const base = process.env.CONSOLE;
export const key = process.env.KEY;
const pictures = process.env.SCREENSHOTS;

export const launch = async (...more) => {
  fs.mkdirSync(pictures, { recursive: true });
  // Root has no sandbox of its own. Everything is on loopback, where pages from elsewhere may not lead by
  // themselves: the names of the tests stand for hosts of the internet.
  const args = ["--no-sandbox", "--disable-background-networking", "--disable-features=LocalNetworkAccessChecks", ...more];
  return chromium.launch({ executablePath: "/usr/bin/chromium", args });
};

// A page of its own context. `allowed`: what may be loaded beside the console itself.
export const open = async (browser, options = {}, allowed = [base]) => {
  // What moves is looked at only when it has come to rest.
  const usual = { viewport: { width: 1280, height: 800 }, reducedMotion: "reduce" };
  const context = await browser.newContext({ ...usual, ...options });
  context.setDefaultTimeout(30_000);
  const page = await context.newPage();
  page.complaints = [];
  page.on("console", (message) => {
    // A status that is not 2xx is told in the console, too; tests look at statuses themselves.
    if (message.type() === "error" && !message.text().startsWith("Failed to load resource")) {
      page.complaints.push(message.text());
    }
  });
  page.on("pageerror", (error) => page.complaints.push(error.message));
  page.on("request", (request) => {
    if (!allowed.some((origin) => request.url().startsWith(origin))) {
      page.complaints.push(`loads ${request.url()}`);
    }
  });
  return page;
};

export const isQuiet = (page) => assert.deepEqual(page.complaints, []);

// Looks at the page as those do who cannot see it, in light and in dark, on a desk and on a phone.
export const look = async (page, name) => {
  const script = `(() => { const module = undefined; ${axe}; return axe.run(); })()`;
  for (const scheme of ["light", "dark"]) {
    for (const [device, width] of [["desk", 1280], ["phone", 390]]) {
      await page.emulateMedia({ colorScheme: scheme });
      await page.setViewportSize({ width, height: 800 });
      const { violations, passes } = await page.evaluate(script);
      const told = violations.map((v) => `${v.id}: ${v.nodes.map((n) => n.html).join("\n  ")}`);
      assert.deepEqual(told, [], `${name}, ${scheme}, ${device}`);
      assert.ok(passes.some((pass) => pass.id === "color-contrast"), "contrast was looked at");
      const overhang = await page.evaluate(() => document.documentElement.scrollWidth - innerWidth);
      assert.ok(overhang <= 0, `${name} is ${overhang} too wide on a ${device}`);
      const file = path.join(pictures, `${name}-${device}-${scheme}.png`);
      await page.screenshot({ path: file, fullPage: true });
    }
  }
  await page.emulateMedia({ colorScheme: "light" });
  await page.setViewportSize({ width: 1280, height: 800 });
};

// A receiver that answers 404 but under /hook.
export const receive = async () => {
  const calls = [];
  const server = http.createServer(async (request, response) => {
    const pieces = [];
    for await (const piece of request) pieces.push(piece);
    calls.push({ url: request.url, headers: request.headers, body: Buffer.concat(pieces).toString() });
    response.writeHead(request.url === "/hook" ? 200 : 404, { "content-type": "text/plain" });
    response.end(request.url === "/hook" ? "taken" : "nobody lives here");
  });
  await new Promise((listening) => server.listen(0, "127.0.0.1", listening));
  server.unref();
  return { calls, origin: `http://127.0.0.1:${server.address().port}` };
};

// TLS before the console, as an operator's proxy does it; the Host header stays.
export const proxy = async () => {
  const { hostname, port } = new URL(base);
  const options = { cert: process.env.CERTIFICATE, key: process.env.PRIVATE_KEY };
  const server = https.createServer(options, (request, response) => {
    const { url: target, method, headers } = request;
    const onward = http.request({ hostname, port, path: target, method, headers }, (answer) => {
      response.writeHead(answer.statusCode, answer.headers);
      answer.pipe(response);
    });
    request.pipe(onward);
  });
  await new Promise((listening) => server.listen(0, "127.0.0.1", listening));
  server.unref();
  return server.address().port;
};

export const api = async (method, target, body) => {
  const headers = { authorization: `Bearer ${key}`, "content-type": "application/json" };
  const answer = await fetch(base + target, { method, headers, body: body && JSON.stringify(body) });
  const text = await answer.text();
  assert.ok(answer.ok, `${method} ${target}: ${answer.status} ${text}`);
  return text && JSON.parse(text);
};

// Asks until it is so; the number of tries is bounded.
export const until = async (what, is) => {
  for (let tries = 0; tries < 300; tries += 1) {
    if (await is()) return;
    await new Promise((later) => setTimeout(later, 100));
  }
  assert.fail(`${what} did not happen`);
};

export const signIn = async (page, origin = base) => {
  await page.goto(`${origin}/console/login`);
  await page.getByLabel("API key").fill(key);
  await page.getByRole("button", { name: "Sign in" }).click();
  await page.getByRole("heading", { name: "Overview" }).waitFor();
};
