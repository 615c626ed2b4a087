// Opens a page of `observer report --format html` in Chromium, as several people would, and prints what it is like as one
// JSON object: node page.js CHROMIUM PAGE FOLDER
import { chromium } from "playwright-core";

const [, , executablePath, page, folder] = process.argv;
const browser = await chromium.launch({ executablePath, args: ["--no-sandbox"] });
const told = { errors: [], requests: [], dialogs: [], views: {} };

async function open(name, options) {
  const context = await browser.newContext(options);
  const tab = await context.newPage();
  tab.on("console", (m) => m.type() === "error" && told.errors.push(m.text()));
  tab.on("pageerror", (e) => told.errors.push(String(e)));
  tab.on("request", (r) => told.requests.push(r.url()));
  tab.on("dialog", async (d) => { told.dialogs.push(d.message()); await d.dismiss(); });
  const began = Date.now();
  await tab.goto(`file://${page}`, { waitUntil: "load" });
  const ready = Date.now() - began;
  await tab.screenshot({ path: `${folder}/${name}.png` });
  told.views[name] = {
    ready,
    overflow: await tab.evaluate(() => document.documentElement.scrollWidth - innerWidth),
    background: await tab.evaluate(() => getComputedStyle(document.body).backgroundColor),
  };
  return tab;
}

const desktop = await open("desktop", { viewport: { width: 1300, height: 1000 } });
told.title = await desktop.title();
told.cards = await desktop.locator("details.card").count();
told.nodes = await desktop.locator(".node").count();
told.scripts = await desktop.evaluate(() => document.scripts.length);
told.injected = await desktop.locator("img, iframe, object, embed, [onload], [onerror]").count();

// By keyboard alone: past the skip link to a service in the graph, whose card opens.
await desktop.keyboard.press("Tab");
told.first = await desktop.evaluate(() => document.activeElement.className);
const reached = [];
for (let n = 0; n < 12; n += 1) {
  await desktop.keyboard.press("Tab");
  reached.push(await desktop.evaluate(() => document.activeElement.classList[0] ?? document.activeElement.id));
  if (reached.at(-1) === "node") break;
}
told.reached = reached;
told.focused = await desktop.locator(".canvas.focused").count();
const href = await desktop.evaluate(() => document.activeElement.getAttribute("href"));
await desktop.locator(`${href}`).evaluate((card) => { card.open = false; });
await desktop.keyboard.press("Enter");
await desktop.waitForFunction((id) => document.querySelector(id).open, href);
told.opened = href;

// The filter leaves what it is asked for.
const name = await desktop.locator("details.card").first().getAttribute("data-name");
await desktop.fill("#filter", name);
told.filtered = await desktop.locator("details.card:not([hidden])").count();
await desktop.fill("#filter", "");
told.unfiltered = await desktop.locator("details.card:not([hidden])").count();

await open("dark", { viewport: { width: 1300, height: 1000 }, colorScheme: "dark" });
await open("phone", { viewport: { width: 360, height: 740 }, hasTouch: true, isMobile: true });

// On paper nothing is folded.
await desktop.evaluate(() => dispatchEvent(new Event("beforeprint")));
told.folded = await desktop.locator("details:not([open])").count();
await desktop.pdf({ path: `${folder}/paper.pdf` });

// Without the script all of it is there still.
const plain = await open("plain", { javaScriptEnabled: true, bypassCSP: false, viewport: { width: 800, height: 600 } });
told.text = (await plain.locator("body").innerText()).length;
await browser.close();
console.log(JSON.stringify(told));
