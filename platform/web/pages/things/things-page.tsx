import { Empty, PageHead } from "../../parts/panels.tsx";

export function ThingsPage() {
  return (
    <>
      <PageHead title="Connections, variables, pools" />
      <Empty title="Connections, variables, pools" />
    </>
  );
}
