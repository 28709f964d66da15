import { Empty, PageHead } from "../../parts/panels.tsx";

export function DeploysPage() {
  return (
    <>
      <PageHead title="Deploys" />
      <Empty title="Deploys" />
    </>
  );
}
