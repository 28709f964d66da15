import type { Endpoint } from "../endpoint.ts";
import { capacityEndpoints } from "./capacity.ts";
import { dagIndexEndpoints } from "./dag-index.ts";
import { deedPreviewEndpoints } from "./deed-previews.ts";
import { deploysEndpoints } from "./deploys.ts";
import { graphEndpoints } from "./graph.ts";
import { gridEndpoints } from "./grid.ts";
import { logEndpoints } from "./log.ts";
import { nowEndpoints } from "./now.ts";
import { platformEndpoints } from "./platform.ts";
import { rightsEndpoints } from "./rights.ts";
import { runScreenEndpoints } from "./run-screen.ts";
import { runsExplorerEndpoints } from "./runs-explorer.ts";
import { sourceEndpoints } from "./source.ts";
import { taskScreenEndpoints } from "./task-screen.ts";
import { thingsEndpoints } from "./things.ts";
import { trendsEndpoints } from "./trends.ts";
import { triggerFormEndpoints } from "./trigger-form.ts";

export const uiEndpoints = (): readonly Endpoint[] => [
  ...dagIndexEndpoints,
  ...nowEndpoints,
  ...runsExplorerEndpoints,
  ...triggerFormEndpoints,
  ...deedPreviewEndpoints,
  ...gridEndpoints,
  ...graphEndpoints,
  ...trendsEndpoints,
  ...sourceEndpoints,
  ...runScreenEndpoints,
  ...taskScreenEndpoints,
  ...logEndpoints,
  ...deploysEndpoints,
  ...capacityEndpoints,
  ...thingsEndpoints,
  ...rightsEndpoints,
  ...platformEndpoints,
];
