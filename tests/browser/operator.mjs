// An operator registers an endpoint and its credential, tests it, sees a failure, mends it, replays, sees it
// delivered, and has a delivery sent again.
import assert from "node:assert/strict";
import { api, base, isQuiet, key, launch, look, open, receive, signIn, until } from "./driver.mjs";

const browser = await launch();
const receiver = await receive();
const page = await open(browser);
const { calls } = receiver;
const press = (name) => page.getByRole("button", { name, exact: true }).click();
const go = (name) => page.getByRole("link", { name, exact: true }).first().click();
const sees = (text) => page.getByText(text).first().waitFor();

// In by the keyboard alone: the first stop leads past the navigation.
await page.goto(`${base}/console/keys`);
await look(page, "sign-in");
await page.getByLabel("API key").fill("sp_nonsense");
await page.keyboard.press("Enter");
await sees("That is no key");
await page.getByLabel("API key").fill(key);
await page.keyboard.press("Enter");
await page.getByRole("heading", { name: "API keys" }).waitFor();
await page.keyboard.press("Tab");
assert.equal(await page.evaluate(() => document.activeElement.textContent), "Skip to the content");
await page.keyboard.press("Enter");
assert.equal(await page.evaluate(() => document.activeElement.id), "main");

// A customer's first endpoint, with a credential that is made for it and shown once. Its URL is wrong.
await go("Customers");
await sees("No customer yet");
await look(page, "customers-empty");
await page.getByLabel("Customer's id").fill("acme");
await press("Go there");
await sees("No endpoint yet");
await look(page, "endpoints-empty");
await go("Add endpoint");
await look(page, "endpoint-add");
await page.getByLabel("Name", { exact: false }).first().fill("orders");
await page.getByLabel("URL").fill("ftp://wrong.example");
await press("Add endpoint");
await page.locator("#e-url").waitFor();
await look(page, "endpoint-refused");
await page.getByLabel("URL").fill(`${receiver.origin}/wrong`);
await page.getByText("Further settings").click();
await page.getByLabel("All other settings").fill('{"retry": {"maxAttempts": 1}}');
await press("Add endpoint");
await sees("The endpoint is registered");
const made = await page.locator("#made").textContent();
assert.match(made, /^whsec_[A-Za-z0-9+/=]{40,}$/);
await look(page, "credential-made");
await page.getByRole("button", { name: "Copy" }).waitFor();
await go("Continue");
await sees("Deliveries are made.");
await look(page, "endpoint");

// A tenant key, so that jobs are kept from the first on.
await go("Tenant key");
await sees("No tenant key");
await press("Make a tenant key");
await sees("The tenant key is made.");
await page.getByText("Shred the tenant key…").click();
await look(page, "tenant-key");
await go("Endpoints");
await go("orders");

// A test tells every step of one real call, and where it failed.
await go("Test");
await press("Send a test");
await sees("It failed at: Answer.");
await sees("nobody lives here");
assert.match(calls[0].headers["webhook-id"], /^test_/);
await look(page, "test");

// A real event fails, and becomes a dead letter.
await api("POST", "/v1/jobs", { id: "evt_1", customerId: "acme", endpointId: "orders", type: "order.created", data: { n: 1 } });
await until("the dead letter", async () => (await api("GET", "/v1/dead-letters")).data.length === 1);
await go("Deliveries");
await until("the delivery", async () => {
  await page.reload();
  return page.getByRole("link", { name: "evt_1" }).count();
});
await look(page, "deliveries");
await go("evt_1");
await sees("HTTP 404");
await sees("nobody lives here");
await page.getByText("What was sent").click();
assert.match(await page.locator("details pre").first().textContent(), /webhook-signature: \*{8}|webhook-signature: v1,/);
await look(page, "delivery");
await go("To its dead letter");
await sees("nobody lives here");
await look(page, "dead-letter");

// Mended, planned, replayed, delivered.
await go("orders");
await go("Edit");
await look(page, "endpoint-edit");
await page.getByLabel("URL").fill(`${receiver.origin}/hook`);
await press("Save");
await sees("Saved.");
await go("Dead letters");
await page.getByRole("navigation", { name: "Customer" }).getByText("Dead letters").click().catch(() => {});
await page.goto(`${base}/console/customers/acme/dead-letters`);
await look(page, "dead-letters");
await go("Replay all");
await look(page, "replay-plan");
await press("Send 1 again");
// Its progress comes by itself.
await page.locator("#live").getByText("finished").waitFor();
await sees("1 of 1 sent again");
await look(page, "replay");
await until("the delivery", () => calls.some((call) => call.url === "/hook" && call.headers["webhook-id"] === "evt_1"));
await page.goto(`${base}/console/customers/acme/deliveries`);
await until("delivered", async () => {
  await page.reload();
  return page.getByText("delivered", { exact: true }).count();
});
await page.goto(`${base}/console/customers/acme/dead-letters`);
await sees("No dead letters");

// What was delivered is sent again from its kept job, and arrives.
const arrived = (id) => calls.filter((call) => call.url === "/hook" && call.headers["webhook-id"] === id).length;
await api("POST", "/v1/jobs", { id: "evt_2", customerId: "acme", endpointId: "orders", type: "order.created", data: { n: 2 } });
await until("the first call", () => arrived("evt_2") === 1);
await page.goto(`${base}/console/customers/acme/deliveries`);
await until("its record", async () => {
  await page.reload();
  return page.getByRole("link", { name: "evt_2" }).count();
});
await go("evt_2");
await sees("What happened");
await press("Send again");
await sees("It is sent again, as its next round.");
await sees("Who had it sent again");
await look(page, "delivery-sent-again");
await until("the second call", () => arrived("evt_2") === 2);
await until("its next round", async () => {
  await page.reload();
  return page.getByRole("link", { name: "to the next one" }).count();
});
await go("to the next one");
await page.getByText("delivered", { exact: true }).first().waitFor();

// What happened stands on the first page, and is refreshed there.
await page.goto(`${base}/console`);
await sees("Endpoints that fail most");
await look(page, "overview");
const before = await page.locator(".tile dd").first().textContent();
await api("POST", "/v1/jobs", { customerId: "acme", endpointId: "orders", data: 1 });
await until("a live number", async () => (await page.locator(".tile dd").first().textContent()) !== before);

// Secrets and keys.
await page.goto(`${base}/console/customers/acme/secrets/signing`);
await page.getByLabel("New value").fill("whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw");
await press("Rotate");
await sees("The new value is in use");
await look(page, "secret");
await page.goto(`${base}/console/keys`);
await page.getByLabel("Name").fill("looker");
await press("Make key");
const looker = await page.locator("#made").textContent();
await go("Continue");
await look(page, "keys");

// Somebody who may only look, without scripts.
const quiet = await open(browser, { javaScriptEnabled: false });
await quiet.goto(`${base}/console/login`);
await quiet.getByLabel("API key").fill(looker);
await quiet.getByRole("button", { name: "Sign in" }).click();
await quiet.getByRole("heading", { name: "Overview" }).waitFor();
await quiet.goto(`${base}/console/customers/acme/endpoints/orders`);
assert.equal(await quiet.getByRole("button").count(), 1, "to sign out");
await quiet.getByRole("button", { name: "Sign out" }).click();
await quiet.getByRole("heading", { name: "Sign in" }).waitFor();
isQuiet(quiet);

// A session that ends is noticed by an open page.
await page.goto(`${base}/console`);
const other = await page.context().newPage();
await other.goto(`${base}/console/customers`);
await other.getByRole("button", { name: "Sign out" }).click();
await page.getByRole("heading", { name: "Sign in" }).waitFor();
isQuiet(page);
await browser.close();
console.log("done");
