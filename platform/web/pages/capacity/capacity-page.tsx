import { Empty, PageHead } from "../../parts/panels.tsx";

export function CapacityPage() {
  return (
    <>
      <PageHead title="Queue and capacity" />
      <Empty title="Queue and capacity" />
    </>
  );
}
