import { Empty, PageHead } from "../../parts/panels.tsx";

export function PlatformPage() {
  return (
    <>
      <PageHead title="Platform" />
      <Empty title="Platform" />
    </>
  );
}
