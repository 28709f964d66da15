/** What the address says beside the path: every state of this screen that can be sent. */
import { readSearch } from "../../frame/read-search.ts";
import { logSearchFields } from "../../log/log-address.ts";

export const search = readSearch({ map: "number", try: "number", ...logSearchFields });
