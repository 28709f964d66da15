import postgres from "postgres";

export type SampleDatabase = {
  readonly host: string;
  readonly port: number;
  readonly database: string;
  readonly login: string;
  readonly password: string;
};

/**
 * A database of its own for the sample tenants, with a role that can enter nothing else: what a team's
 * warehouse is to the platform. Made in the server that `ownerUrl` names. Safe to repeat.
 */
export async function ensureSampleDatabase(
  ownerUrl: string,
  password: string,
): Promise<SampleDatabase> {
  const database = "airlock_samples";
  const login = "airlock_samples";
  const url = new URL(ownerUrl);
  const sql = postgres(ownerUrl, { max: 1, onnotice: () => undefined });
  try {
    const [role] = await sql`select 1 from pg_roles where rolname = ${login}`;
    const secret = password.replaceAll("'", "''");
    await sql.unsafe(
      `${role === undefined ? "create" : "alter"} role ${login} login nosuperuser nocreatedb nocreaterole password '${secret}' connection limit 20`,
    );
    const [exists] = await sql`select 1 from pg_database where datname = ${database}`;
    if (exists === undefined) await sql.unsafe(`create database ${database} owner ${login}`);
    // PUBLIC may connect to every database by default: the samples' role must not see ours.
    const own = url.pathname.slice(1);
    await sql.unsafe(
      `revoke connect, temporary on database "${own.replaceAll('"', '""')}" from public`,
    );
    await sql.unsafe("revoke connect, temporary on database postgres from public");
    await sql.unsafe("revoke connect, temporary on database template1 from public");
  } finally {
    await sql.end({ timeout: 2 });
  }
  return { host: url.hostname, port: Number(url.port || 5432), database, login, password };
}

/** The platform's own database in a server of which only the maintenance database is known. */
export async function ensureDatabase(ownerUrl: string, name: string): Promise<string> {
  const sql = postgres(ownerUrl, { max: 1, onnotice: () => undefined });
  try {
    const [exists] = await sql`select 1 from pg_database where datname = ${name}`;
    if (exists === undefined) await sql.unsafe(`create database ${name}`);
  } finally {
    await sql.end({ timeout: 2 });
  }
  const url = new URL(ownerUrl);
  url.pathname = `/${name}`;
  return url.href;
}
