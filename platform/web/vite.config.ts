import { join } from "node:path";
import tailwind from "@tailwindcss/vite";
import react from "@vitejs/plugin-react";
import { defineConfig } from "vite";

/** Static files under `/page/`, named by their content; the server puts its nonce in the place of the mark. */
export default defineConfig({
  root: import.meta.dirname,
  base: "/",
  plugins: [react(), tailwind()],
  html: { cspNonce: "__NONCE__" },
  build: {
    outDir: join(import.meta.dirname, "dist"),
    emptyOutDir: true,
    assetsDir: "page",
    manifest: true,
    target: "es2023",
    // Inlined files would be data: addresses, which the page's policy does not load.
    assetsInlineLimit: 0,
    reportCompressedSize: false,
    chunkSizeWarningLimit: 600,
  },
  worker: { format: "es" },
  server: { proxy: { "/api": proxied(), "^/t/[^/]+/(api|auth)/": proxied() } },
});

/** `npx vite platform/web` while the page is worked on, beside a running `npm start`. */
function proxied(): { target: string } {
  return { target: process.env["AIRLOCK_URL"] ?? "http://localhost:8080" };
}
