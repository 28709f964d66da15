import { setStage } from "./tenants/supervisor/test-guest/stage.ts";
const own = await setStage("auto", {idleSeconds:1});
await own.run("pass"); console.log(own.guests.stats());
for (let i=0;i<4;i++){await new Promise(r=>setTimeout(r,700)); console.log(own.guests.stats());}
const h = own.run("time.sleep(100)"); await new Promise(r=>setTimeout(r,300)); console.log(own.guests.stats());
own.guests.close().then(()=>console.log("closed")); h.then(x=>console.log(x.outcome));
await new Promise(r=>setTimeout(r,9000)); console.log(own.guests.stats(), own.events); process.exit();
