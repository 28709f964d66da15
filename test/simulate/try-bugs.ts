import { bugs } from "./planted.ts";
import { runSeed } from "./run-seed.ts";
const [filter = "", most = "100"] = process.argv.slice(2);
for (const b of bugs) {
  if (!b.name.includes(filter)) continue;
  const t = performance.now();
  let found = "";
  let seed = 1;
  for (; seed <= Number(most) && !found; seed++) {
    const r = await runSeed(seed, { planted: b.planted });
    if (r.violation) found = r.violation.message.slice(0, 110);
  }
  console.log(`${found ? "ok  " : "MISS"} ${b.name}: seed ${seed - 1}, ${Math.round(performance.now() - t)} ms: ${found}`);
}
