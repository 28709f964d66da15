// Builds the page into platform/web/dist: after `npm ci`, and before a start that finds it missing or older than its sources.
import { buildPage } from "../platform/main/build-page.ts";

await buildPage((line) => console.error(line));
