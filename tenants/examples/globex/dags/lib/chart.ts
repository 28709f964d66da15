export type Point = { readonly label: string; readonly value: number; readonly wet: boolean };

/** A page with a column per day, as one HTML file that opens anywhere. */
export function columnPage(title: string, points: readonly Point[], note: string): string {
  const top = Math.max(1, ...points.map(({ value }) => value));
  const columns = points.map(({ label, value, wet }, at) => {
    const height = (value / top) * 260;
    const x = 20 + at * 50;
    return `<g><rect x="${x}" y="${280 - height}" width="36" height="${height}" rx="3" class="${wet ? "wet" : "dry"}">
<title>${escaped(label)}: ${value}</title></rect><text x="${x + 18}" y="298">${escaped(label.slice(8))}</text></g>`;
  });
  return `<!doctype html><html lang="en"><meta charset="utf-8"><title>${escaped(title)}</title>
<style>body{font:16px system-ui;margin:2rem;color:#222}text{font-size:13px;text-anchor:middle}
.dry{fill:#e0a030}.wet{fill:#3a78b5}</style><h1>${escaped(title)}</h1>
<svg viewBox="0 0 ${points.length * 50 + 40} 310" width="${points.length * 50 + 40}" role="img">${columns.join("\n")}</svg>
<p>${escaped(note)}</p></html>`;
}

const escaped = (text: string): string =>
  text.replaceAll("&", "&amp;").replaceAll("<", "&lt;").replaceAll('"', "&quot;");
