/**
 * Where people read a commit's file on the forge that a repository came from. Only for forges that its host's name
 * tells, each with addresses of its own; a link that leads nowhere is worse than none.
 */
export function forgeLink(
  url: string | null,
  at: { readonly commit: string; readonly path: string },
): string | null {
  if (url === null) return null;
  const read = URL.parse(url);
  if (read === null) return null;
  const isPlain =
    (read.protocol === "https:" && read.port === "") ||
    (read.protocol === "ssh:" && ["", "22"].includes(read.port));
  if (!isPlain) return null;
  const place = read.pathname.replace(/^\/+|\/+$/g, "").replace(/\.git$/, "");
  const between = betweenOf(read.hostname.toLowerCase());
  if (between === undefined || !/^[\w.~-]+(?:\/[\w.~-]+)+$/.test(place)) return null;
  const path = at.path.split("/").map(encodeURIComponent).join("/");
  return `https://${read.hostname}/${place}/${between}/${at.commit}/${path}`;
}

function betweenOf(host: string): string | undefined {
  const words = host.split(".");
  if (words.includes("github")) return "blob";
  if (words.includes("gitlab")) return "-/blob";
  if (words.some((word) => ["gitea", "forgejo", "codeberg"].includes(word))) return "src/commit";
  return undefined;
}
