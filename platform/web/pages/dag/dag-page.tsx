import { useNavigate, useParams, useSearch } from "@tanstack/react-router";
import { lazy } from "react";
import { Button } from "../../parts/button.tsx";
import { Empty, PageHead } from "../../parts/panels.tsx";

const GraphTab = lazy(() => import("./graph-tab.tsx"));
const CodeTab = lazy(() => import("./code-tab.tsx"));

export function DagPage() {
  const { tenant, dag } = useParams({ from: "/t/$tenant/dags/$dag" });
  const { tab } = useSearch({ from: "/t/$tenant/dags/$dag" });
  const navigate = useNavigate({ from: "/t/$tenant/dags/$dag" });
  return (
    <div className="flex h-full min-h-0 flex-col">
      <PageHead title={dag}>
        {(["graph", "code"] as const).map((name) => (
          <Button
            key={name}
            onClick={() => void navigate({ search: (old) => ({ ...old, tab: name }) })}
          >
            {name === "graph" ? "Graph" : "Code"}
          </Button>
        ))}
      </PageHead>
      <div className="min-h-0 grow">
        {tab === "graph" ? (
          <GraphTab tenant={tenant} dag={dag} />
        ) : tab === "code" ? (
          <CodeTab tenant={tenant} dag={dag} />
        ) : (
          <Empty title="DAG" />
        )}
      </div>
    </div>
  );
}
