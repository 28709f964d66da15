import { QueryClientProvider } from "@tanstack/react-query";
import { RouterProvider } from "@tanstack/react-router";
import { createRoot } from "react-dom/client";
import { queryClient } from "./ask/query-client.ts";
import { followTheme } from "./frame/theme.ts";
import { router } from "./router.tsx";
import "./theme.css";

giveNonce();
followTheme();
// Modal dialogs lock the page's scrolling by a style element of their own, which our policy wants a nonce on; the
// library that makes it reads the nonce from here.
Object.assign(globalThis, {
  __webpack_nonce__: document.querySelector<HTMLElement>("script[nonce]")?.nonce,
});
const place = document.getElementById("page");
if (place === null) throw new Error("the document has no place for the page");
createRoot(place).render(
  <QueryClientProvider client={queryClient}>
    <RouterProvider router={router} />
  </QueryClientProvider>,
);

/** Radix locks the scrolling behind a dialog by a style element: it may, if it carries the document's nonce. */
function giveNonce(): void {
  const nonce = document.querySelector<HTMLMetaElement>('meta[property="csp-nonce"]')?.nonce;
  Object.assign(globalThis, { __webpack_nonce__: nonce });
}
