import { openVisitor, closeBrowser } from "./test/kit/browser.ts";
import { axe } from "./test/kit/axe.ts";
const [,, path = "/", name = "a", ...sizes] = process.argv;
for (const size of sizes.length ? sizes : ["1280x800-light", "1280x800-dark", "390x844-light"]) {
  const [, w, h, theme] = /(\d+)x(\d+)-(\w+)/.exec(size)!;
  const v = await openVisitor({ url: "http://localhost:8107", as: { name: "admin", password: "journey-password" }, theme: theme as "light", width: Number(w), height: Number(h) });
  await v.page.goto(path);
  await v.page.waitForTimeout(1200);
  await v.page.screenshot({ path: `/tmp/deploys-shots/${name}-${size}.png` });
  console.log(size, JSON.stringify(await axe(v.page)), JSON.stringify(v.complaints), await v.page.evaluate("document.documentElement.scrollWidth"));
  await v.close();
}
await closeBrowser();
