import type { Endpoint } from "../endpoint.ts";
import type { SignIn } from "../identify.ts";
import { artifactEndpoints } from "./artifacts.ts";
import { browseEndpoints } from "./browse.ts";
import { connectionEndpoints } from "./connections.ts";
import { dagEndpoints } from "./dags.ts";
import { importErrorEndpoints } from "./import-errors.ts";
import { logEndpoints } from "./logs.ts";
import { monitorEndpoints } from "./monitor.ts";
import { poolEndpoints } from "./pools.ts";
import { runEndpoints } from "./runs.ts";
import { taskInstanceEndpoints } from "./task-instances.ts";
import { tokenEndpoints } from "./token.ts";
import { variableEndpoints } from "./variables.ts";
import { xcomEndpoints } from "./xcoms.ts";

/** The tenant's virtual Airflow, below `/t/{tenant}`. */
export const airflowEndpoints = (signIn: SignIn): readonly Endpoint[] => [
  ...tokenEndpoints(signIn),
  ...monitorEndpoints,
  ...dagEndpoints,
  ...runEndpoints,
  ...taskInstanceEndpoints,
  ...logEndpoints,
  ...xcomEndpoints,
  ...artifactEndpoints,
  ...importErrorEndpoints,
  ...connectionEndpoints,
  ...variableEndpoints,
  ...poolEndpoints,
  ...browseEndpoints,
];
