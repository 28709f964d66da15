/**
 * Every address of the page. What a screen shows is in its address (`search.ts` beside each page), so that it can
 * be sent; the pages themselves are loaded when first opened.
 */
import {
  createRootRoute,
  createRoute,
  createRouter,
  lazyRouteComponent,
  parseSearchWith,
  stringifySearchWith,
} from "@tanstack/react-router";
import { Frame } from "./frame/frame.tsx";
import { readSearch } from "./frame/read-search.ts";
import { search as capacitySearch } from "./pages/capacity/search.ts";
import { search as dagSearch } from "./pages/dag/search.ts";
import { search as dagsSearch } from "./pages/dags/search.ts";
import { search as deploysSearch } from "./pages/deploys/search.ts";
import { search as nowSearch } from "./pages/now/search.ts";
import { search as platformSearch } from "./pages/platform/search.ts";
import { search as rightsSearch } from "./pages/rights/search.ts";
import { search as runSearch } from "./pages/run/search.ts";
import { search as runsSearch } from "./pages/runs/search.ts";
import { search as taskSearch } from "./pages/task/search.ts";
import { search as thingsSearch } from "./pages/things/search.ts";
import { Empty, Failed } from "./parts/panels.tsx";

const root = createRootRoute({
  component: Frame,
  notFoundComponent: () => (
    <Empty title="There is no such page.">
      <p>The menu has all pages; Ctrl-K finds DAGs and pages by name.</p>
    </Empty>
  ),
});
const at = { getParentRoute: () => root };

const routes = [
  createRoute({
    ...at,
    path: "/sign-in",
    validateSearch: readSearch({ back: "text" }),
    component: lazyRouteComponent(() => import("./pages/sign-in/sign-in-page.tsx"), "SignInPage"),
  }),
  createRoute({
    ...at,
    path: "/",
    validateSearch: nowSearch,
    component: lazyRouteComponent(() => import("./pages/now/now-page.tsx"), "NowPage"),
  }),
  createRoute({
    ...at,
    path: "/platform",
    validateSearch: platformSearch,
    component: lazyRouteComponent(
      () => import("./pages/platform/platform-page.tsx"),
      "PlatformPage",
    ),
  }),
  createRoute({
    ...at,
    path: "/t/$tenant",
    validateSearch: nowSearch,
    component: lazyRouteComponent(() => import("./pages/now/now-page.tsx"), "NowPage"),
  }),
  createRoute({
    ...at,
    path: "/t/$tenant/dags",
    validateSearch: dagsSearch,
    component: lazyRouteComponent(() => import("./pages/dags/dags-page.tsx"), "DagsPage"),
  }),
  createRoute({
    ...at,
    path: "/t/$tenant/dags/$dag",
    validateSearch: dagSearch,
    component: lazyRouteComponent(() => import("./pages/dag/dag-page.tsx"), "DagPage"),
  }),
  createRoute({
    ...at,
    path: "/t/$tenant/dags/$dag/runs/$run",
    validateSearch: runSearch,
    component: lazyRouteComponent(() => import("./pages/run/run-page.tsx"), "RunPage"),
  }),
  createRoute({
    ...at,
    path: "/t/$tenant/dags/$dag/runs/$run/tasks/$task",
    validateSearch: taskSearch,
    component: lazyRouteComponent(() => import("./pages/task/task-page.tsx"), "TaskPage"),
  }),
  createRoute({
    ...at,
    path: "/t/$tenant/runs",
    validateSearch: runsSearch,
    component: lazyRouteComponent(() => import("./pages/runs/runs-page.tsx"), "RunsPage"),
  }),
  createRoute({
    ...at,
    path: "/t/$tenant/deploys",
    validateSearch: deploysSearch,
    component: lazyRouteComponent(() => import("./pages/deploys/deploys-page.tsx"), "DeploysPage"),
  }),
  createRoute({
    ...at,
    path: "/t/$tenant/capacity",
    validateSearch: capacitySearch,
    component: lazyRouteComponent(
      () => import("./pages/capacity/capacity-page.tsx"),
      "CapacityPage",
    ),
  }),
  createRoute({
    ...at,
    path: "/t/$tenant/things",
    validateSearch: thingsSearch,
    component: lazyRouteComponent(() => import("./pages/things/things-page.tsx"), "ThingsPage"),
  }),
  createRoute({
    ...at,
    path: "/t/$tenant/rights",
    validateSearch: rightsSearch,
    component: lazyRouteComponent(() => import("./pages/rights/rights-page.tsx"), "RightsPage"),
  }),
] as const;

export const router = createRouter({
  routeTree: root.addChildren(routes),
  defaultPreload: "intent",
  defaultPreloadDelay: 60,
  scrollRestoration: true,
  defaultErrorComponent: ({ error, reset }) => <Failed error={error} retry={reset} />,
  // Plain words in the address, not JSON: `?q=state:failed` reads as it is typed.
  parseSearch: parseSearchWith((text) => text),
  stringifySearch: stringifySearchWith((value) => String(value)),
});

declare module "@tanstack/react-router" {
  interface Register {
    router: typeof router;
  }
}
