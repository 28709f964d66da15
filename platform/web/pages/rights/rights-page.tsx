import { Empty, PageHead } from "../../parts/panels.tsx";

export function RightsPage() {
  return (
    <>
      <PageHead title="Rights" />
      <Empty title="Rights" />
    </>
  );
}
