/** Upstreams before downstreams; otherwise as given. What is in a cycle comes last. */
export function orderTasks(
  tasks: readonly { readonly task_id: string; readonly downstream: readonly string[] }[],
): readonly string[] {
  const waits = new Map(tasks.map(({ task_id }) => [task_id, 0]));
  for (const { downstream } of tasks)
    for (const id of downstream) {
      const n = waits.get(id);
      if (n !== undefined) waits.set(id, n + 1);
    }
  const byId = new Map(tasks.map((task) => [task.task_id, task]));
  const ready = tasks.map(({ task_id }) => task_id).filter((id) => waits.get(id) === 0);
  for (const id of ready)
    for (const down of byId.get(id)?.downstream ?? []) {
      const left = (waits.get(down) ?? 0) - 1;
      waits.set(down, left);
      if (left === 0) ready.push(down);
    }
  const seen = new Set(ready);
  return [...ready, ...tasks.map(({ task_id }) => task_id).filter((id) => !seen.has(id))];
}
