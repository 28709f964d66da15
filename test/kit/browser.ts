/**
 * A real Chromium, as a person has it. What the page logs as an error, what its policy refuses and every answer of
 * the server that is a failure of the server is kept, so that a journey can promise that there was none.
 */
import { existsSync } from "node:fs";
import { type Browser, chromium, type Page } from "playwright-core";

const places = ["/usr/bin/chromium", "/usr/bin/chromium-browser", "/usr/bin/google-chrome"];
export const chromiumPath = process.env["CHROMIUM"] ?? places.find((path) => existsSync(path));
/** For `test.skipIf`: said by name. */
export const noChromium = chromiumPath === undefined;
if (noChromium)
  console.warn(
    "SKIPPED: everything that needs Chromium (Debian package `chromium`) is not tested.",
  );

export type Visitor = {
  readonly page: Page;
  /** Errors of the console, refusals of the policy, answers ≥ 500. */
  readonly complaints: string[];
  readonly close: () => Promise<void>;
};

export type Visit = {
  readonly url: string;
  readonly width?: number;
  readonly height?: number;
  readonly theme?: "light" | "dark";
  /** Signs in through the page itself. */
  readonly as?: { readonly name: string; readonly password: string };
  readonly touch?: boolean;
};

let shared: Promise<Browser> | undefined;

export async function openVisitor(visit: Visit): Promise<Visitor> {
  shared ??= launch();
  const browser = await shared;
  const context = await browser.newContext({
    viewport: { width: visit.width ?? 1280, height: visit.height ?? 800 },
    colorScheme: visit.theme ?? "light",
    baseURL: visit.url,
    timezoneId: "Europe/Zurich",
    locale: "en-GB",
    hasTouch: visit.touch ?? false,
    permissions: ["clipboard-read", "clipboard-write"],
  });
  const page = await context.newPage();
  page.setDefaultTimeout(15_000);
  const complaints: string[] = [];
  page.on("console", (message) => {
    // A 401 before signing in and a 404 of a thing that is gone are answers, and Chromium logs them as errors.
    if (message.type() === "error" && !/status of 4\d\d/.test(message.text()))
      complaints.push(message.text());
  });
  page.on("pageerror", (error) => complaints.push(String(error.stack ?? error.message)));
  page.on("response", (response) => {
    if (response.status() >= 500 && response.status() !== 503)
      complaints.push(`${response.status()} ${response.url()}`);
  });
  if (visit.as !== undefined) {
    await page.goto("/sign-in");
    await page.getByLabel("Name").fill(visit.as.name);
    await page.getByLabel("Password").fill(visit.as.password);
    await page.getByRole("button", { name: "Sign in" }).click();
    await page.waitForURL((at) => at.pathname !== "/sign-in");
    await page.getByRole("button", { name: /^Find anything/ }).waitFor();
  }
  return { page, complaints, close: () => context.close() };
}

export async function closeBrowser(): Promise<void> {
  await (await shared)?.close();
  shared = undefined;
}

function launch(): Promise<Browser> {
  const root = process.getuid?.() === 0;
  return chromium.launch({
    executablePath: chromiumPath ?? "chromium",
    chromiumSandbox: !root,
    args: [
      "--disable-gpu",
      "--disable-quic",
      "--disable-background-networking",
      "--disable-component-update",
      "--disable-sync",
      "--no-first-run",
      ...(root ? ["--no-sandbox"] : []),
    ],
  });
}
