import { type Piece, seen, type Token } from "./tokens.ts";

/** A line's pieces, each in its colour; what changed of it is marked by `mark` and by its ground. */
export function Pieces({ pieces }: { readonly pieces: readonly (Piece | Token)[] }) {
  return pieces.map((piece, at) => {
    const text = seen(piece.text);
    const key = `${String(at)}:${piece.text.length}`;
    const style = piece.color === undefined ? undefined : { color: piece.color };
    return "changed" in piece && piece.changed ? (
      <mark key={key} className="rounded-xs bg-(--focus)/25 text-text" style={style}>
        {text}
      </mark>
    ) : (
      <span key={key} style={style}>
        {text}
      </span>
    );
  });
}
