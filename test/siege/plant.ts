/**
 * Things of each kind under one name: in the other tenant (`theirs`, and again for a second asker), and in the asker's own tenant where only some
 * may see them (`hidden`). Nothing anywhere begins with `nobodys`: a request that names the first and one that
 * names the last must be answered alike.
 */
import { known } from "../../platform/model/ids.ts";
import { sealConnection } from "../../platform/secrets/connection-value.ts";
import { canary, type Stage } from "../kit/api-stage.ts";

export const theirs = "zz_theirs";
export const theirsToo = "zz_theirs2";
export const hidden = "zz_hidden";
export const nobodys = "zz_nobody";

export async function plantThings(stage: Stage): Promise<void> {
  await plantUnder(stage, "globex", theirs);
  await plantUnder(stage, "globex", theirsToo);
  await plantUnder(stage, "acme", hidden);
  await stage.database.owner`insert into airlock.person (name) values ('zed')`;
}

async function plantUnder(stage: Stage, tenant: string, name: string): Promise<void> {
  const { owner } = stage.database;
  /** The rows that match, once more, with these columns changed. */
  const copy = async (
    table: string,
    where: { readonly [column: string]: string },
    changes: { readonly [column: string]: unknown },
  ): Promise<void> => {
    const columns = await owner<{ name: string }[]>`
      select column_name as name from information_schema.columns
       where table_schema = 'airlock' and table_name = ${table} and is_generated = 'NEVER' and is_identity = 'NO'`;
    const listed = columns.map((column) => `"${column.name}"`);
    const matches = Object.entries(where).map(([column, value]) => `t.${column} = '${value}'`);
    await owner.unsafe(
      `insert into airlock.${table} (${listed.join(", ")})
       select ${listed.map((column) => `r.${column}`).join(", ")}
         from airlock.${table} t, lateral jsonb_populate_record(t, $1::text::jsonb) r
        where t.tenant = '${tenant}' and ${matches.join(" and ")}`,
      [JSON.stringify(changes)],
    );
  };
  const [seed] = await owner<{ run: string }[]>`
    select run from airlock.dag_run where tenant = ${tenant} and dag_id = 'orders_etl' and run_id = 'r1'`;
  const [spec] = await owner<{ spec: object }[]>`
    select spec from airlock.dag_version where tenant = ${tenant} and dag_id = 'orders_etl'`;
  const from = seed?.run ?? "";
  const run = 900_000 + Number(from) * 10 + name.length;
  const attempt = crypto.randomUUID();
  const commit = "c".repeat(40);
  const path = `dags/${name}.py`;
  const error = `an error of ${tenant}`;
  await copy("dag", { dag_id: "orders_etl" }, { dag_id: name, tags: [name], owners: [name] });
  await copy(
    "dag_version",
    { dag_id: "orders_etl" },
    {
      dag_id: name,
      id: crypto.randomUUID(),
      spec: JSON.parse(JSON.stringify(spec?.spec).replaceAll('"extract"', `"${name}"`)) as object,
    },
  );
  await copy("dag_run", { run: from }, { run, dag_id: name, run_id: name, triggering_user: name });
  await copy(
    "task_instance",
    { run: from, task_id: "extract" },
    { run, dag_id: name, task_id: name, id: crypto.randomUUID(), pool: name, queue: name },
  );
  await copy(
    "attempt",
    { run: from, try_number: "1" },
    { run, attempt, dag_id: name, task_id: name },
  );
  await copy("xcom", { run: from, key: "return_value" }, { run, task_id: name, key: name });
  await copy("connection", { conn_id: "warehouse" }, { conn_id: name });
  await copy("variable", { key: "city" }, { key: name });
  // A value is sealed for its own name.
  const sealed = {
    connection: await sealConnection(stage.keyring, known.tenant(tenant), name, {
      password: `${canary}-planted`,
      extra: undefined,
    }),
    variable: await stage.keyring.seal(known.tenant(tenant), "variable", name, `${tenant} value`),
  };
  await owner`update airlock.connection set sealed = ${sealed.connection} where tenant = ${tenant} and conn_id = ${name}`;
  await owner`update airlock.variable set sealed = ${sealed.variable} where tenant = ${tenant} and key = ${name}`;
  await owner`
    insert into airlock.log_chunk (tenant, attempt, seq, lines, text)
    values (${tenant}, ${attempt}, 0, 1, ${`[1767225600000,"info","task","a line of ${tenant}"]\n`})`;
  await owner`
    insert into airlock.artifact (tenant, attempt, name, bytes, content_type, object)
    values (${tenant}, ${attempt}, ${name}, 9, 'text/plain', 'file')`;
  await owner`
    insert into airlock.pool (tenant, pool, slots, description) values (${tenant}, ${name}, 3, ${`of ${tenant}`})`;
  await owner`
    insert into airlock.repository (tenant, repository, kind, url, branch)
    values (${tenant}, ${name}, 'external', ${`https://git.${tenant}.example/plans.git`}, 'main')`;
  await owner`
    insert into airlock.deploy (tenant, repository, commit, reason, state, errors)
    values (${tenant}, ${name}, ${commit}, 'push', 'live',
            ${JSON.stringify([{ path, line: 1, message: error, hint: "" }])}::text::json)`;
  await owner`
    insert into airlock.import_error (tenant, repository, path, commit, message, problems)
    values (${tenant}, ${name}, ${path}, ${commit}, ${error}, '[]')`;
  await owner`
    insert into airlock.bulk_deed (tenant, id, actor, deed, state, total, due_at)
    values (${tenant}, gen_random_uuid(), 'user:gil', 'clear', 'done', 1, clock_timestamp())`;
  await owner`
    insert into airlock.audit (id, tenant, at, actor, deed, thing, outcome, mac)
    values (gen_random_uuid(), ${tenant}, clock_timestamp(), 'user:gil', 'pool.write', ${`pool:${name}`}, 'done', '\\x00')`;
}
