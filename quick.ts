import { setStage } from "./tenants/supervisor/test-guest/stage.ts";
const s = await setStage((process.argv[2] ?? "auto") as any);
console.log(s.sandbox.driver);
let r = await s.run("print('hello'); xcom({'a':1})");
console.log(r.outcome, r.lines, r.xcoms, s.events);
const t0=performance.now(); const ts: number[]=[];const ws: number[]=[];
for (let i=0;i<100;i++){ const r=await s.run("pass"); ts.push(r.outcome.usage.start_ms); ws.push(r.outcome.usage.wall_ms); if (r.outcome.kind!=="success") {console.log(r.outcome);break;} }
ts.sort((a,b)=>a-b); ws.sort((a,b)=>a-b); console.log("100 in", performance.now()-t0, "start p50", ts[50], "p95", ts[95], "wall p50", ws[50], ws[95]);
console.log((await s.run("print('x'*10); os._exit(3)")).outcome);
const n = await s.run("process.title='x'; out.write('from node\\n') //END", {key: s.key({kind:"node"})}); console.log(n.outcome, n.lines, s.events);
console.log(await s.parse({"dags/a.py":"print('hi'); done(dags=[{'dag_id':'x'}], packages=['json'])","dags/b.py":"import os; os._exit(7)","dags/c.py":"while True: pass","dags/d.py":"while True: print('x'*1000)"},{parseSeconds:1}));
console.log(s.guests.stats());
await s.close(); console.log("closed");
