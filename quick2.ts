import { setStage } from "./tenants/supervisor/test-guest/stage.ts";
const s = await setStage((process.argv[2] ?? "auto") as any);
for (let i=0;i<3;i++){
const n = await s.run("out.write('from node\\n') //END", {key: s.key({kind:"node"})}); console.log(n.outcome.kind, n.outcome.usage, n.lines, s.events);
await new Promise(r=>setTimeout(r,300)); console.log(n.lines);}
await s.close();
