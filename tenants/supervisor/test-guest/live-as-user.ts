/** A small life of the supervisor, for the test that starts it as an ordinary user. Says what it saw as one line of JSON. */
import { createServer } from "node:net";
import type { Driver } from "../../sandbox/open-sandbox.ts";
import { setStage } from "./stage.ts";

const stage = await setStage(process.argv[2] as Driver);
const server = createServer((socket) => {
  socket.on("error", () => socket.destroy());
  socket.end("hello");
}).listen(0, "127.0.0.1");
await new Promise((resolve) => server.once("listening", resolve));
const { port } = server.address() as { port: number };
const key = stage.key({ egress: [{ host: "localhost", port }] });
const worked = await stage.run(
  `with socket.create_connection(("localhost", ${String(port)}), timeout=3) as s: xcom(s.recv(10).decode())`,
  { key },
);
const shut = await stage.run(
  `
try: socket.create_connection(("127.0.0.1", ${String(port)}), timeout=2); xcom("open")
except OSError: xcom("shut")`,
);
const greedy = await stage.run("b = []\nwhile True: b.append(bytearray(8 << 20))");
const forking = await stage.run(
  "n = 0\ntry:\n  while n < 5000:\n    if os.fork() == 0: time.sleep(30)\n    n += 1\nexcept OSError: xcom('stopped')",
);
const single = await stage.run("out.write('x') //END", { key: stage.key({ kind: "node" }) });
const parsed = await stage.parse({ "dags/a.py": "done(dags=[{'dag_id': 'a'}])" });
server.close();
const { driver, enforces, warnings } = stage.sandbox;
await stage.close();
process.stdout.write(
  `${JSON.stringify({
    uid: process.getuid?.(),
    driver,
    enforces,
    warnings,
    worked: [worked.outcome.kind, worked.xcoms.get("return_value")],
    usage: worked.outcome.usage.peak_memory_bytes,
    shut: shut.xcoms.get("return_value"),
    greedy: greedy.outcome,
    forking: forking.xcoms.get("return_value"),
    single: single.outcome.kind,
    parsed: parsed[0]?.dags.length,
  })}\n`,
);
