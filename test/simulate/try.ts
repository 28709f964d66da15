import { runSeed } from "./run-seed.ts";
const [from = "1", n = "1", verbose] = process.argv.slice(2);
const t = performance.now();
let ev = 0;
process.on("unhandledRejection", (e) => { console.error("UNHANDLED", e); process.exit(3); });
for (let s = Number(from); s < Number(from) + Number(n); s++) {
  const r = await runSeed(s, verbose ? { onLine: (l) => console.log(l) } : {});
  ev += r.events;
  if (r.violation || n === "1") { const { acts, ...rest } = r; console.log(JSON.stringify(rest)); }
}
console.log("ms/seed", (performance.now() - t) / Number(n), "events/s", Math.round(ev / (performance.now() - t) * 1000));
