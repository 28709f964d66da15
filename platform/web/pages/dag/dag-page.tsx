import { Empty, PageHead } from "../../parts/panels.tsx";

export function DagPage() {
  return (
    <>
      <PageHead title="DAG" />
      <Empty title="DAG" />
    </>
  );
}
