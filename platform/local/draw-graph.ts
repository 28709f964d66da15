import type { DagSpec } from "../model/dag-spec.ts";

/** The DAG as a Mermaid flowchart, groups as boxes. Names are put into quotes: they are a stranger's. */
export function drawMermaid(spec: DagSpec): string {
  const node = new Map(spec.tasks.map((task, at) => [task.task_id as string, `t${at}`]));
  const lines = ["flowchart LR"];
  const draw = (group: string | undefined, indent: string): void => {
    for (const task of spec.tasks) {
      if (task.group !== group) continue;
      const name = label(shortName(task.task_id, group) + (task.map === undefined ? "" : " [ ]"));
      lines.push(
        task.decides === undefined
          ? `${indent}${node.get(task.task_id) ?? ""}["${name}"]`
          : `${indent}${node.get(task.task_id) ?? ""}{"${name}"}`,
      );
    }
    for (const [at, inner] of spec.groups.entries()) {
      if (inner.parent !== group) continue;
      lines.push(`${indent}subgraph g${at}["${label(shortName(inner.group_id, group))}"]`);
      draw(inner.group_id, `${indent}  `);
      lines.push(`${indent}end`);
    }
  };
  draw(undefined, "  ");
  for (const task of spec.tasks)
    for (const down of task.downstream)
      lines.push(`  ${node.get(task.task_id) ?? ""} --> ${node.get(down) ?? ""}`);
  return `${lines.join("\n")}\n`;
}

const shortName = (id: string, group: string | undefined): string =>
  group !== undefined && id.startsWith(`${group}.`) ? id.slice(group.length + 1) : id;
const label = (text: string): string => text.replaceAll('"', "#quot;");
