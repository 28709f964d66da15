/** What is around every page: where one is, where one can go, whether the server is there. */
import { Link, Outlet, useNavigate, useParams, useRouterState } from "@tanstack/react-router";
import {
  Activity,
  Boxes,
  CircleGauge,
  GitCommitHorizontal,
  KeyRound,
  List,
  Monitor,
  Moon,
  Play,
  Search,
  ServerCog,
  Sun,
} from "lucide-react";
import { lazy, Suspense, useEffect, useLayoutEffect, useState } from "react";
import { useConnection } from "../ask/connection.ts";
import { queryClient } from "../ask/query-client.ts";
import { type Me, signOut, useMe } from "../ask/session.ts";
import { BulkBanner } from "../deeds/bulk-banner.tsx";
import { useLive } from "../live/use-live.ts";
import { Button, IconButton } from "../parts/button.tsx";
import { countText } from "../parts/durations.ts";
import { Menu } from "../parts/overlay.tsx";
import { Loading } from "../parts/panels.tsx";
import { Toasts } from "../parts/toasts.tsx";
import { listenForKeys, useKeys } from "./keys.ts";
import { serverNow, serverSaid } from "./now.ts";
import { chooseTheme, useThemeChoice } from "./theme.ts";
import { chooseZone, machineZone, useZone } from "./zone.ts";

const Palette = lazy(() => import("./palette.tsx"));
const KeysHelp = lazy(() => import("./keys-help.tsx"));

export function Frame() {
  const me = useMe();
  const navigate = useNavigate();
  const at = useRouterState({ select: ({ location }) => location });
  const signingIn = useRouterState({
    select: ({ matches }) => matches.some(({ routeId }) => routeId === "/sign-in"),
  });
  useLayoutEffect(listenForKeys, []);
  useEffect(() => {
    // Once per answer: said again with a later step, an old answer would set the clock back.
    if (me) serverSaid(Date.parse(me.now));
  }, [me]);
  useEffect(() => {
    if (me === null && at.pathname !== "/sign-in")
      void navigate({ to: "/sign-in", search: { back: at.href }, replace: true });
  }, [me, at, navigate]);
  // By what is shown, not by the address: until the next page is loaded the address is ahead of it.
  if (signingIn) return <Outlet />;
  if (me === undefined) return <Loading what="Airlock" />;
  if (me === null) return null;
  return <SignedIn me={me} />;
}

function SignedIn({ me }: { readonly me: Me }) {
  const { tenant } = useParams({ strict: false }) as { tenant?: string };
  const navigate = useNavigate();
  const [overlay, setOverlay] = useState<"palette" | "keys" | undefined>();
  const go = (to: string) => () => {
    if (tenant !== undefined) void navigate({ to: to as "/", params: { tenant } as never });
  };
  useKeys("Everywhere", {
    "mod+k": { does: "Find anything, do anything", run: () => setOverlay("palette") },
    "?": { does: "Show the keys", run: () => setOverlay("keys") },
    "g h": {
      does: "Go to what needs attention, everywhere",
      run: () => void navigate({ to: "/" }),
    },
    ...(tenant === undefined
      ? {}
      : {
          "g n": { does: "Go to what needs attention", run: go("/t/$tenant") },
          "g d": { does: "Go to the DAGs", run: go("/t/$tenant/dags") },
          "g r": { does: "Go to the runs", run: go("/t/$tenant/runs") },
          "g y": { does: "Go to the deploys", run: go("/t/$tenant/deploys") },
          "g q": { does: "Go to queue and capacity", run: go("/t/$tenant/capacity") },
        }),
  });
  // A right that was taken away, or a gap in the stream: what is on the screen is asked for again.
  useLive(tenant === undefined ? [] : [tenant], (event) => {
    if (event.kind === "reset") void queryClient.invalidateQueries();
  });
  return (
    <div className="grid h-dvh grid-rows-[auto_1fr] overflow-hidden">
      <a
        href="#content"
        className="absolute -top-20 left-2 z-50 rounded bg-accent px-3 py-2 text-accent-text focus:top-2"
      >
        Skip to the content
      </a>
      <header>
        <TopBar me={me} tenant={tenant} onFind={() => setOverlay("palette")} />
        <LostBanner />
        {tenant !== undefined && mayRead(me, tenant) && <BulkBanner key={tenant} tenant={tenant} />}
      </header>
      <div className="grid min-h-0 grid-cols-1 max-sm:grid-rows-[auto_minmax(0,1fr)] sm:grid-cols-[auto_1fr]">
        {tenant === undefined ? <span /> : <SideBar tenant={tenant} me={me} />}
        <main id="content" tabIndex={-1} className="min-h-0 min-w-0 overflow-auto outline-none">
          <Suspense fallback={<Loading what="Loading" />}>
            <Outlet />
          </Suspense>
        </main>
      </div>
      <Toasts />
      <Suspense fallback={null}>
        {overlay === "palette" && (
          <Palette
            me={me}
            tenant={tenant}
            onClose={() => setOverlay(undefined)}
            onKeys={() => setOverlay("keys")}
          />
        )}
        {overlay === "keys" && <KeysHelp onClose={() => setOverlay(undefined)} />}
      </Suspense>
    </div>
  );
}

const mayRead = (me: Me, tenant: string): boolean =>
  me.tenants.find((one) => one.tenant === tenant)?.may.includes("run.read") === true;

function TopBar({
  me,
  tenant,
  onFind,
}: {
  readonly me: Me;
  readonly tenant: string | undefined;
  readonly onFind: () => void;
}) {
  const navigate = useNavigate();
  const zone = useZone();
  const choice = useThemeChoice();
  return (
    <div className="flex h-12 items-center gap-2 border-b border-line bg-surface px-3">
      <Link
        to="/"
        className="flex items-center gap-2 rounded font-semibold"
        aria-label="Airlock: what needs attention, everywhere"
      >
        <img src="/page/icon.svg" alt="" className="size-6" />
        <span className="hidden md:inline">Airlock</span>
      </Link>
      <Menu
        label="Tenants"
        button={
          <Button className="max-w-56">
            <span className="truncate">
              {tenant ?? (me.tenants.length === 1 ? "One tenant" : "All tenants")}
            </span>
            <span aria-hidden>▾</span>
          </Button>
        }
        items={[
          {
            text: "All tenants",
            checked: tenant === undefined,
            onSelect: () => void navigate({ to: "/" }),
          },
          "line",
          ...tenantsInMenu(me.tenants, tenant).map((one) => ({
            text: one.tenant,
            checked: one.tenant === tenant,
            onSelect: () => void navigate({ to: "/t/$tenant", params: { tenant: one.tenant } }),
          })),
          ...(me.tenants.length > tenantsInMenuMax
            ? [
                "line" as const,
                {
                  text: `Find one of ${countText(me.tenants.length)} …`,
                  icon: <Search size={14} />,
                  onSelect: onFind,
                },
              ]
            : []),
        ]}
      />
      <button
        type="button"
        onClick={onFind}
        className="ml-auto flex h-8 w-10 items-center gap-2 rounded-md border border-line-strong bg-sunken px-2.5 text-sm text-muted sm:ml-4 sm:w-72"
        aria-label="Find anything, do anything: Find or do … Ctrl K"
      >
        <Search size={14} />
        <span className="hidden sm:inline">Find or do …</span>
        <kbd className="ml-auto hidden rounded border border-line px-1 text-xs sm:inline">
          Ctrl K
        </kbd>
      </button>
      <div className="flex items-center gap-1 sm:ml-auto">
        <Menu
          label="Time zone"
          button={
            <Button
              look="quiet"
              className="max-w-40 max-sm:hidden"
              title="Time zone of the times shown"
            >
              <span className="truncate">{zone}</span>
            </Button>
          }
          items={[...new Set([machineZone, "UTC", ...commonZones])].map((name) => ({
            text: name === machineZone ? `${name} (this machine)` : name,
            checked: name === zone,
            onSelect: () => chooseZone(name),
          }))}
        />
        <Menu
          label="Theme"
          button={
            <IconButton name="Theme">
              {choice === "dark" ? (
                <Moon size={16} />
              ) : choice === "light" ? (
                <Sun size={16} />
              ) : (
                <Monitor size={16} />
              )}
            </IconButton>
          }
          items={(["light", "dark", "system"] as const).map((one) => ({
            text: one === "system" ? "As the machine" : one === "light" ? "Light" : "Dark",
            checked: one === choice,
            onSelect: () => chooseTheme(one),
          }))}
        />
        <Menu
          label="You"
          button={
            <Button look="quiet">
              <span className="max-w-32 truncate">{me.name}</span>
              <span aria-hidden>▾</span>
            </Button>
          }
          items={[
            ...(me.is_platform_admin
              ? [
                  {
                    text: "Platform",
                    icon: <ServerCog size={14} />,
                    onSelect: () => void navigate({ to: "/platform" }),
                  },
                  "line" as const,
                ]
              : []),
            { text: "Sign out", onSelect: () => void signOut() },
          ]}
        />
      </div>
    </div>
  );
}

const tenantsInMenuMax = 30;
/** An administrator may have thousands: a menu is for a few, the one that is open among them; the rest are searched. */
const tenantsInMenu = (all: Me["tenants"], open: string | undefined): Me["tenants"] =>
  all.length <= tenantsInMenuMax
    ? all
    : [
        ...all.filter(({ tenant }) => tenant === open),
        ...all.filter(({ tenant }) => tenant !== open).slice(0, tenantsInMenuMax - 1),
      ];

const commonZones = [
  "Europe/London",
  "Europe/Zurich",
  "Europe/Berlin",
  "America/New_York",
  "America/Los_Angeles",
  "Asia/Kolkata",
  "Asia/Tokyo",
  "Australia/Sydney",
];

function SideBar({ tenant, me }: { readonly tenant: string; readonly me: Me }) {
  const may = me.tenants.find((one) => one.tenant === tenant)?.may ?? [];
  const places = [
    { to: "/t/$tenant", text: "Now", icon: Activity, exact: true, shown: may.includes("run.read") },
    { to: "/t/$tenant/dags", text: "DAGs", icon: List, shown: may.includes("dag.read") },
    { to: "/t/$tenant/runs", text: "Runs", icon: Play, shown: may.includes("run.read") },
    {
      to: "/t/$tenant/deploys",
      text: "Deploys",
      icon: GitCommitHorizontal,
      shown: may.includes("repo.read"),
    },
    {
      to: "/t/$tenant/capacity",
      text: "Capacity",
      icon: CircleGauge,
      shown: may.includes("pool.read"),
    },
    {
      to: "/t/$tenant/things",
      text: "Things",
      icon: Boxes,
      shown: may.some((deed) => ["conn.read", "var.read", "pool.read"].includes(deed)),
    },
    {
      to: "/t/$tenant/rights",
      text: "Rights",
      icon: KeyRound,
      shown: may.includes("grant.read") || may.includes("dag.read"),
    },
  ] as const;
  return (
    <nav
      aria-label={`Pages of ${tenant}`}
      className="flex gap-0.5 overflow-x-auto border-b border-line bg-surface p-1 sm:w-24 sm:flex-col sm:overflow-x-hidden sm:border-r sm:border-b-0 sm:py-2"
    >
      {places
        .filter(({ shown }) => shown)
        .map(({ to, text, icon: Icon, ...rest }) => (
          <Link
            key={to}
            to={to}
            params={{ tenant }}
            activeOptions={{ exact: "exact" in rest, includeSearch: false }}
            className="flex shrink-0 flex-row items-center gap-1.5 rounded-md px-2 py-1.5 text-sm text-muted hover:bg-sunken sm:flex-col sm:gap-0.5 sm:text-xs"
            activeProps={{
              className: "bg-accent-soft !text-text font-semibold",
              "aria-current": "page",
            }}
          >
            <Icon size={18} aria-hidden />
            {text}
          </Link>
        ))}
    </nav>
  );
}

/** What is shown is what was known when the line broke; it heals by itself. */
function LostBanner() {
  const connection = useConnection();
  if (connection.kind === "up") return null;
  const seconds = Math.max(0, Math.round((serverNow() - connection.since) / 1000));
  return (
    <p role="alert" className="bg-warn-soft px-4 py-1.5 text-sm text-warn">
      The connection to the server is lost{seconds > 5 ? ` (${seconds} s)` : ""}. What you see may
      be old; it is tried again until it answers.
    </p>
  );
}
