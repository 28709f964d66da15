/** The world outside: tasks write their effects here over the network, past the platform. It is never hit by the storm. */
import { createServer, type Socket } from "node:net";
import type postgres from "postgres";

type Effect = {
  readonly tenant: string;
  readonly dag_id: string;
  readonly run_id: string;
  readonly task_id: string;
  readonly map_index: number;
  readonly try_number: number;
  /** Of one execution of the task's code: two of them under one try are a task that ran twice. */
  readonly execution: string;
};

export type Effects = {
  readonly port: number;
  readonly count: () => number;
  /** Into the table `storm.effect`, to be compared with the platform's rows. */
  store(sql: postgres.Sql): Promise<void>;
  close(): Promise<void>;
};

const lineMax = 2_000;

export async function openEffects(): Promise<Effects> {
  const effects: Effect[] = [];
  const sockets = new Set<Socket>();
  const server = createServer((socket) => {
    sockets.add(socket);
    let line = "";
    socket.setEncoding("utf8");
    socket.on("data", (text: string) => {
      line += text;
      if (!line.includes("\n")) {
        if (line.length > lineMax) socket.destroy();
        return;
      }
      const effect = readEffect(line);
      // Counted before it is answered: who hears "ok" may rely on it.
      if (effect !== undefined) effects.push(effect);
      socket.end(effect === undefined ? "no" : "ok");
    });
    socket.on("error", () => socket.destroy());
    socket.once("close", () => sockets.delete(socket));
  });
  await new Promise<void>((done) => server.listen(0, "127.0.0.1", done));
  const address = server.address();
  return {
    port: typeof address === "object" && address !== null ? address.port : 0,
    count: () => effects.length,
    async store(sql) {
      await sql`create schema if not exists storm`;
      await sql`drop table if exists storm.effect`;
      await sql`create table storm.effect (tenant text, dag_id text, run_id text, task_id text, map_index int, try_number int, execution text)`;
      for (let at = 0; at < effects.length; at += 10_000)
        await sql`
          insert into storm.effect select * from json_to_recordset(${JSON.stringify(effects.slice(at, at + 10_000))}::text::json)
            as e(tenant text, dag_id text, run_id text, task_id text, map_index int, try_number int, execution text)`;
      await sql`create index on storm.effect (tenant, run_id, task_id, map_index)`;
      await sql`analyze storm.effect`;
    },
    async close() {
      for (const socket of sockets) socket.destroy();
      await new Promise<void>((done) => server.close(() => done()));
    },
  };
}

function readEffect(line: string): Effect | undefined {
  const [tenant, dag_id, run_id, task_id, map_index, try_number, execution] = line
    .trimEnd()
    .split("\t");
  if (
    tenant === undefined ||
    dag_id === undefined ||
    run_id === undefined ||
    task_id === undefined ||
    execution === undefined
  )
    return undefined;
  return {
    tenant,
    dag_id,
    run_id,
    task_id,
    map_index: Number(map_index),
    try_number: Number(try_number),
    execution,
  };
}
