import { setStage } from "./tenants/supervisor/test-guest/stage.ts";
const s = await setStage((process.argv[2] ?? "auto") as any);
let r = await s.run("print('hello'); xcom({'a':1})");
console.log(r.outcome, r.lines, r.xcoms, s.events);
await s.close();
