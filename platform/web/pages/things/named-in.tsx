import { useQuery } from "@tanstack/react-query";
import { Link } from "@tanstack/react-router";
import type { Uses } from "../../../api/ui/things.ts";
import { ask, path, query } from "../../ask/ask-server.ts";
import { useMay } from "../../ask/session.ts";

/** Live DAG files whose text names the thing: likely users of it. */
export function NamedIn({
  tenant,
  kind,
  name,
}: {
  readonly tenant: string;
  readonly kind: "conn" | "var" | "pool";
  readonly name: string;
}) {
  const may = useMay(tenant);
  const { data, error } = useQuery({
    queryKey: ["named-in", tenant, kind, name],
    queryFn: ({ signal }) =>
      ask<Uses>(path`/t/${tenant}/api/ui/named-in` + query({ kind, name }), { signal }),
    enabled: may("code.read"),
  });
  if (!may("code.read")) return null;
  return (
    <section aria-label="Named in" className="mt-4 border-t border-line pt-3 text-sm">
      <h3 className="font-semibold">Named in</h3>
      {error !== null && <p className="text-danger">It could not be searched: {error.message}</p>}
      {data === undefined && error === null && <p className="text-muted">Searching …</p>}
      {data?.files.length === 0 && (
        <p className="text-muted">
          No live DAG file names it ({data.files_searched} searched). A name that is put together at
          run time is not found.
        </p>
      )}
      <ul>
        {data?.files.map((file) => (
          <li key={`${file.repository} ${file.path}`} className="tenant-text">
            <code>
              {file.path}:{file.line}
            </code>{" "}
            {file.dag_ids.slice(0, 5).map((dag) => (
              <Link
                key={dag}
                to="/t/$tenant/dags/$dag"
                params={{ tenant, dag }}
                className="mr-2 underline decoration-line-strong hover:decoration-current"
              >
                {dag}
              </Link>
            ))}
            {file.dag_ids.length > 5 && (
              <span className="text-muted">and {file.dag_ids.length - 5} more</span>
            )}
          </li>
        ))}
      </ul>
      {data?.is_partial === true && (
        <p className="text-muted">Not every file was searched: they are too many or too large.</p>
      )}
    </section>
  );
}
