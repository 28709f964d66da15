import { Empty, PageHead } from "../../parts/panels.tsx";

export function RunsPage() {
  return (
    <>
      <PageHead title="Runs" />
      <Empty title="Runs" />
    </>
  );
}
