/**
 * From a scroll position to the row on top, and back. A browser stops at some 17 to 33 million pixels, which is less than
 * two million rows: above a bound the bar is a scale, small moves still go pixel by pixel, and only a drag of the bar jumps.
 */
export type Field = {
  readonly rows: number;
  /** Pixels. */
  readonly rowHeight: number;
  readonly viewport: number;
  /** Rows are laid in more than one line: the last one must be able to come to the top. */
  readonly loose?: boolean;
};
export type Place = {
  /** Row at the upper edge; a fraction of it is above. */
  readonly top: number;
  readonly scroll: number;
};

const heightMax = 8_000_000;

const contentOf = ({ rows, rowHeight, viewport, loose = false }: Field): number =>
  rows * rowHeight + (loose && rows > 0 ? Math.max(0, viewport - rowHeight) : 0);
export const heightOf = (field: Field): number => Math.min(contentOf(field), heightMax);
export const isScaled = (field: Field): boolean => contentOf(field) > heightMax;
export const topMax = (field: Field): number =>
  Math.max(0, (contentOf(field) - field.viewport) / field.rowHeight);
const scrollMax = (field: Field): number => Math.max(0, heightOf(field) - field.viewport);

export function topAt(scroll: number, field: Field): number {
  const most = scrollMax(field);
  if (most === 0) return 0;
  if (!isScaled(field)) return Math.min(Math.max(0, scroll) / field.rowHeight, topMax(field));
  return (Math.min(Math.max(0, scroll), most) / most) * topMax(field);
}

export function scrollAt(top: number, field: Field): number {
  const most = topMax(field);
  if (most === 0) return 0;
  const bounded = Math.min(Math.max(0, top), most);
  return isScaled(field) ? (bounded / most) * scrollMax(field) : bounded * field.rowHeight;
}

/** The bar stands at `scroll` now: by a finger or a key from where it was, or by a drag to somewhere else. */
export function moved(before: Place, scroll: number, field: Field): Place {
  const step = scroll - before.scroll;
  if (!isScaled(field) || Math.abs(step) > field.viewport || scroll <= 0)
    return { top: topAt(scroll, field), scroll };
  if (scroll >= scrollMax(field)) return { top: topMax(field), scroll };
  return { top: bounded(before.top + step / field.rowHeight, field), scroll };
}

/** A turn of the wheel: as many pixels as it says, however long the log is. */
export function turned(before: Place, pixels: number, field: Field): Place {
  const top = bounded(before.top + pixels / field.rowHeight, field);
  return { top, scroll: scrollAt(top, field) };
}

const bounded = (top: number, field: Field): number => Math.min(Math.max(0, top), topMax(field));

/** The row on top so that this one is in sight: unmoved if it is, else a third below the upper edge. */
export function topFor(row: number, top: number, field: Field): number {
  const inSight = Math.floor(field.viewport / field.rowHeight);
  if (row >= Math.ceil(top) && row < Math.floor(top) + inSight - 1) return top;
  return bounded(row - Math.floor(inSight / 3), field);
}

/** Where rows differ in height: so many pixels up or down from a row on top, through rows of which one knows how many lines they take. */
export function walked(
  top: number,
  pixels: number,
  { rows, rowHeight }: Field,
  linesOf: (row: number) => number,
): number {
  if (rows === 0) return 0;
  let row = Math.floor(top);
  const height = (of: number): number => (of < rows ? linesOf(of) * rowHeight : 0);
  let rest = (top - row) * height(row) + pixels;
  while (rest < 0 && row > 0) {
    row -= 1;
    rest += height(row);
  }
  while (row < rows - 1 && rest >= height(row)) {
    rest -= height(row);
    row += 1;
  }
  const share = height(row) === 0 ? 0 : rest / height(row);
  return Math.max(0, row + Math.min(share, row === rows - 1 ? 0 : 1));
}
