/** What the deeds on many runs are called. */
import type { BulkPreview } from "../../api/ui/runs-explorer.ts";

export const deedWords: Readonly<
  Record<BulkPreview["deed"], { readonly deed: string; readonly will: string }>
> = {
  clear: { deed: "Clear", will: "run again as a whole" },
  clear_failed: { deed: "Clear what failed", will: "run again from what failed" },
  mark_success: { deed: "Mark success", will: "are marked success" },
  mark_failed: { deed: "Mark failed", will: "are marked failed" },
  stop: { deed: "Stop", will: "are stopped and fail" },
  delete: { deed: "Delete", will: "are removed with their history and logs" },
};
