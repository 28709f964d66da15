import { Empty, PageHead } from "../../parts/panels.tsx";

export function TaskPage() {
  return (
    <>
      <PageHead title="Task instance" />
      <Empty title="Task instance" />
    </>
  );
}
