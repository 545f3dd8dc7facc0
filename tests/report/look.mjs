// Opens reports in headless Chromium and checks them: at four widths, light and dark, with scripts and without.
//
//   npm ci && node look.mjs [--brief] [--shots DIR] FILE.html…
//
// No console error, no request, nothing wider than the page, every link within the page leads somewhere, the first stops of the
// tab key are visible, and axe-core finds no violation. One line of JSON for each file; exit code 1 when anything is wrong, 3 when
// Chromium is not there (CHROMIUM names it, else /usr/bin/chromium). With --brief two of the eight views, with --shots pictures of
// the pages and PDF files.
import { chromium } from "playwright-core";
import axe from "axe-core";
import { existsSync, mkdirSync } from "node:fs";
import { basename, join, resolve } from "node:path";
import { pathToFileURL } from "node:url";

const program = process.env.CHROMIUM ?? "/usr/bin/chromium";
if (!existsSync(program)) {
  console.error(`there is no Chromium at ${program}`);
  process.exit(3);
}
const args = process.argv.slice(2);
const at = args.indexOf("--shots");
const shots = at < 0 ? null : args.splice(at, 2)[1];
const brief = args.includes("--brief") && args.splice(args.indexOf("--brief"), 1).length > 0;
const all = [320, 800, 1440, 3840].flatMap((width) => ["light", "dark"].map((colorScheme) => ({ width, colorScheme })));
const views = brief ? [{ width: 320, colorScheme: "light" }, { width: 1440, colorScheme: "dark" }] : all;
const browser = await chromium.launch({
  executablePath: program,
  args: ["--no-sandbox", "--disable-gpu", "--disable-quic", "--no-first-run", "--disable-background-networking", "--disable-component-update", "--disable-sync"],
});

async function look(file) {
  const url = pathToFileURL(resolve(file)).href;
  const wrong = [];
  let opened = 0;
  for (const [number, { width, colorScheme }] of views.entries()) {
    const page = await browser.newPage({ viewport: { width, height: Math.max(640, Math.round(width * 0.6)) }, colorScheme });
    const where = `${width} px, ${colorScheme}`;
    page.on("console", (message) => ["error", "warning"].includes(message.type()) && wrong.push(`${where}: console: ${message.text()}`));
    page.on("pageerror", (error) => wrong.push(`${where}: ${error}`));
    page.on("request", (request) => request.url() !== url && !request.url().startsWith("data:") && wrong.push(`${where}: asks for ${request.url()}`));
    const since = performance.now();
    await page.goto(url);
    opened = Math.max(opened, performance.now() - since);
    const found = await page.evaluate(() => {
      document.querySelectorAll("details").forEach((details) => (details.open = true));
      const root = document.documentElement, wide = [], dead = [];
      if (root.scrollWidth > root.clientWidth) {
        for (const it of document.body.querySelectorAll("*")) {
          if (it.getBoundingClientRect().right > root.clientWidth + 1 && !it.closest(".wide, .way, pre")) wide.push(it.outerHTML.slice(0, 120));
        }
      }
      for (const link of document.querySelectorAll("a[href]")) {
        const href = link.getAttribute("href");
        if (href.startsWith("#") ? !document.getElementById(href.slice(1)) : !href.startsWith("data:")) dead.push(href);
      }
      const scripts = document.querySelectorAll("script").length;
      return { scroll: root.scrollWidth - root.clientWidth, wide: wide.slice(0, 3), dead: dead.slice(0, 5), scripts };
    });
    if (found.scroll > 0) wrong.push(`${where}: ${found.scroll} px wider than the page: ${found.wide.join(" | ")}`);
    if (found.dead.length) wrong.push(`${where}: links that lead nowhere: ${found.dead.join(" ")}`);
    if (found.scripts !== 1) wrong.push(`${where}: ${found.scripts} scripts`);
    if (brief || width === 800 || width === 320) {
      await page.evaluate(axe.source);
      const result = await page.evaluate(() => globalThis.axe.run(document, { resultTypes: ["violations"] }));
      for (const it of result.violations) wrong.push(`${where}: axe: ${it.id}, ${it.nodes.length} times: ${it.nodes[0].html.slice(0, 160)}`);
    }
    await page.evaluate(() => document.querySelectorAll("details").forEach((details) => (details.open = false)));
    if (number === 0) wrong.push(...(await tabbed(page)));
    if (shots) {
      mkdirSync(shots, { recursive: true });
      const name = basename(file, ".html");
      await page.evaluate(() => scrollTo(0, 0));
      await page.screenshot({ path: join(shots, `${name}-${width}-${colorScheme}.png`), fullPage: true });
      if (width === 800 && colorScheme === "light") await page.pdf({ path: join(shots, `${name}.pdf`), preferCSSPageSize: true, printBackground: true });
    }
    await page.close();
  }
  wrong.push(...(await without(url)));
  console.log(JSON.stringify({ file: basename(file), opened_ms: Math.round(opened), wrong }));
  return wrong.length === 0;
}

// The tab key goes from the link to the results through what can be seen.
async function tabbed(page) {
  const wrong = [];
  for (let stop = 0; stop < 12; stop += 1) {
    await page.keyboard.press("Tab");
    const seen = await page.evaluate(() => {
      const it = document.activeElement, box = it.getBoundingClientRect();
      return { name: it.tagName, wide: box.width, skip: it.className === "skip" };
    });
    if (stop === 0 && !seen.skip) wrong.push("the first stop of the tab key is not the link to the results");
    if (seen.name !== "BODY" && seen.wide === 0) wrong.push(`stop ${stop} of the tab key, ${seen.name}, cannot be seen`);
  }
  return wrong;
}

// Without scripts everything can still be read.
async function without(url) {
  const context = await browser.newContext({ javaScriptEnabled: false, viewport: { width: 1440, height: 900 } });
  const page = await context.newPage();
  const wrong = [];
  page.on("console", (message) => message.type() === "error" && wrong.push(`without scripts: ${message.text()}`));
  await page.goto(url);
  const text = (await page.locator("main").innerText()).trim();
  const heading = (await page.locator("h1").innerText()).trim();
  if (!heading || (!text && (await page.locator("main *").count()) > 0)) wrong.push("without scripts: nothing can be read");
  const hidden = await page.locator(".way figure").evaluateAll((slides) => slides.filter((slide) => slide.hidden).length).catch(() => 0);
  if (hidden > 0) wrong.push("without scripts: pictures are hidden");
  await context.close();
  return wrong;
}

let well = true;
for (const file of args) well = (await look(file)) && well;
await browser.close();
process.exit(well ? 0 : 1);
