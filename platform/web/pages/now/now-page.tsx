import { Empty, PageHead } from "../../parts/panels.tsx";

export function NowPage() {
  return (
    <>
      <PageHead title="Now" />
      <Empty title="Now" />
    </>
  );
}
