import { Empty, PageHead } from "../../parts/panels.tsx";

export function RunPage() {
  return (
    <>
      <PageHead title="Run" />
      <Empty title="Run" />
    </>
  );
}
