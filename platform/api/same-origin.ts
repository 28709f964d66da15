/** The session's cookie, and whether a request comes from our own pages. */

/** `__Host-` (Secure, whole host, no domain) wherever the address is https; loopback without TLS cannot have it. */
export const cookieName = (publicUrl: string): string =>
  isSecure(publicUrl) ? "__Host-airlock_session" : "airlock_session";

export const sessionCookie = (publicUrl: string, id: string, seconds: number): string =>
  `${cookieName(publicUrl)}=${id}; Path=/; HttpOnly; SameSite=Lax; Max-Age=${seconds}${isSecure(publicUrl) ? "; Secure" : ""}`;

const isSecure = (publicUrl: string): boolean => publicUrl.startsWith("https:");

export function readCookie(request: Request, name: string): string | undefined {
  const header = request.headers.get("cookie");
  if (header === null || header.length > 8_192) return undefined;
  for (const part of header.split(";")) {
    const at = part.indexOf("=");
    if (at > 0 && part.slice(0, at).trim() === name) return part.slice(at + 1).trim();
  }
  return undefined;
}

/**
 * The Origin is ours (the public address, or the host that was asked), or, where a browser sends none, it says
 * itself that the request is same-origin. Neither: refused.
 */
export function isFromOurPages(request: Request, publicUrl: string): boolean {
  const origin = request.headers.get("origin");
  if (origin === null) return request.headers.get("sec-fetch-site") === "same-origin";
  const from = tryUrl(origin);
  const host = request.headers.get("host") ?? new URL(request.url).host;
  return from !== undefined && (from.origin === tryUrl(publicUrl)?.origin || from.host === host);
}

function tryUrl(text: string): URL | undefined {
  try {
    return new URL(text);
  } catch {
    return undefined;
  }
}
