/** A log of any size for one attempt, written by the database itself: words as a task would print them. */
import type postgres from "postgres";

const linesPerChunk = 600;

/** Replaces what the attempt has. Answers how many lines it has now; one in 97 is an error, one in 31 a warning. */
export async function seedLog(
  sql: postgres.Sql,
  { tenant, attempt, bytes }: { tenant: string; attempt: string; bytes: number },
): Promise<{ readonly lines: number; readonly bytes: number }> {
  await sql`delete from airlock.log_chunk where tenant = ${tenant} and attempt = ${attempt}`;
  const lineBytes = 101;
  const lines = Math.max(1, Math.round(bytes / lineBytes));
  const chunks = Math.ceil(lines / linesPerChunk);
  // In pieces: one statement of a gigabyte would be one long transaction.
  for (let from = 0; from < chunks; from += 500)
    await sql`
      insert into airlock.log_chunk (tenant, attempt, seq, lines, text)
      select ${tenant}, ${attempt}, seq, count(*), string_agg(
               '[' || (1767225600000 + n * 12)::text || ',"'
               || case when n % 97 = 96 then 'error' when n % 31 = 30 then 'warning' else 'info' end
               || '","stdout","processed row ' || n || ' key=' || md5(n::text) || ' in ' || n % 17 || ' ms"]',
               e'\n' order by n)
        from generate_series(${from}::int, least(${from + 499}::int, ${chunks - 1}::int)) seq,
             generate_series(seq::bigint * ${linesPerChunk}::int, least((seq + 1)::bigint * ${linesPerChunk}::int, ${lines}::bigint) - 1) n
       group by seq`;
  const [sum] = await sql<{ lines: number; bytes: number }[]>`
    select coalesce(sum(lines), 0)::float8 as lines, coalesce(sum(octet_length(text)), 0)::float8 as bytes
      from airlock.log_chunk where tenant = ${tenant} and attempt = ${attempt}`;
  const written = sum ?? { lines: 0, bytes: 0 };
  await sql`
    update airlock.attempt set log_bytes = ${written.bytes} where tenant = ${tenant} and attempt = ${attempt}`;
  return written;
}
