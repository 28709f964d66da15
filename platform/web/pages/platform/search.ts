/** What the address says beside the path: every state of this screen that can be sent. */
import { readSearch } from "../../frame/read-search.ts";

export const search = readSearch({ q: "text", tenant: "text" });
