// The operator makes a link; the customer opens it, and sees its own things; the operator's product shows
// the same page in a frame, over TLS and across sites.
import assert from "node:assert/strict";
import { api, base, isQuiet, launch, look, open, proxy, receive, signIn, until } from "./driver.mjs";

const port = await proxy();
const browser = await launch(`--host-resolver-rules=MAP hooks.example 127.0.0.1:${port}, MAP product.example 127.0.0.1:${port}`);
const receiver = await receive();
for (const customer of ["acme", "globex"]) {
  await api("POST", `/v1/customers/${customer}/endpoints`, { endpointId: `${customer}-orders`, url: `${receiver.origin}/hook` });
}

// The link, as the operator is shown it.
const operator = await open(browser);
await signIn(operator);
await operator.goto(`${base}/console/customers/acme/access`);
await look(operator, "access");
await operator.getByRole("button", { name: "Make a link" }).click();
const link = await operator.locator("#made").textContent();
assert.match(link, /\/customer\/enter#spt_/);
await look(operator, "access-made");
isQuiet(operator);

// Opened, it leaves the address at once, and is good for the customer's own things.
const asked = [];
const customer = await open(browser);
customer.on("request", (request) => asked.push(request.url()));
await customer.goto(link);
await customer.getByRole("heading", { name: "Endpoints" }).waitFor();
assert.equal(customer.url(), `${base}/customer`);
assert.ok(asked.every((url) => !url.split("#")[0].includes("spt_")), asked.join("\n"));
assert.ok(await customer.getByText("acme-orders").count());
assert.equal(await customer.getByText("globex").count(), 0);
await look(customer, "customer-endpoints");
await customer.getByRole("link", { name: "Add endpoint" }).count();
await customer.getByRole("link", { name: "acme-orders" }).click();
await customer.getByText("Deliveries are made.").waitFor();
await look(customer, "customer-endpoint");
for (const [tab, name] of [["Secrets", "secrets"], ["Deliveries", "deliveries"], ["Dead letters", "dead-letters"], ["Replays", "replays"]]) {
  await customer.getByRole("link", { name: tab, exact: true }).click();
  await customer.getByRole("heading", { name: tab }).waitFor();
  await look(customer, `customer-${name}`);
}
// It opens no page of the operator's.
await customer.goto(`${base}/console/customers/globex`);
await customer.getByRole("heading", { name: "Sign in" }).waitFor();
await customer.goto(`${base}/customer`);
await customer.getByRole("button", { name: "Sign out" }).click();
await customer.getByRole("heading", { name: "Your webhooks" }).waitFor();
await look(customer, "customer-enter");
isQuiet(customer);

// In the frame of another site, over TLS: a cookie of its own, kept for that site alone.
const hooks = "https://hooks.example";
const framed = link.replace(base, hooks);
const frame = (origin) => ({ contentType: "text/html", body: `<!doctype html><title>Product</title><iframe src="${origin}" width="900" height="600"></iframe>` });
const product = await open(browser, { ignoreHTTPSErrors: true }, [hooks, "https://product.example"]);
await product.route("https://product.example/**", (route) => route.fulfill(frame(framed)));
await product.goto("https://product.example/webhooks");
const inner = product.frameLocator("iframe");
await inner.getByRole("heading", { name: "Endpoints" }).waitFor();
await inner.getByRole("link", { name: "acme-orders" }).click();
await inner.getByText("Deliveries are made.").waitFor();
await inner.getByRole("button", { name: "Pause" }).click();
await inner.getByText("Deliveries wait.").waitFor();
const cookies = (await product.context().cookies(hooks)).filter((cookie) => cookie.name === "__Host-sealpost-customer");
assert.equal(cookies.length, 1);
assert.ok(cookies[0].httpOnly && cookies[0].secure && cookies[0].sameSite === "None", JSON.stringify(cookies));
isQuiet(product);

// Another site may not, and the console is framed by nobody.
for (const [origin, target] of [["https://other.example", `${hooks}/customer/enter`], ["https://product.example", `${hooks}/console/login`]]) {
  const page = await open(browser, { ignoreHTTPSErrors: true }, [hooks, origin]);
  await page.route(`${origin}/**`, (route) => route.fulfill(frame(target)));
  await page.goto(`${origin}/`);
  await until("a refusal", () => page.complaints.some((complaint) => complaint.includes("frame-ancestors")));
  assert.equal(await page.frameLocator("iframe").locator("form").count(), 0, `${origin} frames ${target}`);
  await page.context().close();
}

// Over TLS the operator signs in, too: the cookie is the host's own, and is sent over TLS alone.
const remote = await open(browser, { ignoreHTTPSErrors: true }, [hooks]);
await signIn(remote, hooks);
const [cookie] = await remote.context().cookies(hooks);
assert.ok(cookie.name === "__Host-sealpost-console" && cookie.secure && cookie.httpOnly && cookie.sameSite === "Lax", JSON.stringify(cookie));
isQuiet(remote);
await browser.close();
console.log("done");
