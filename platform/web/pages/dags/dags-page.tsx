import { Empty, PageHead } from "../../parts/panels.tsx";

export function DagsPage() {
  return (
    <>
      <PageHead title="DAGs" />
      <Empty title="DAGs" />
    </>
  );
}
