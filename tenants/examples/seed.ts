/**
 * The three sample tenants as plain data: what the platform makes for each before it commits the folder of
 * that name into the tenant's repository. What only the running platform knows comes in as `places`.
 */
export type SamplePlaces = {
  /** The samples' own database, with a role that can enter nothing else. */
  readonly warehouse: {
    readonly host: string;
    readonly port: number;
    readonly database: string;
    readonly login: string;
    readonly password: string;
  };
  /** Where `/echo` answers any method with JSON that has at least `method`, `path` and `body`. */
  readonly echo: { readonly host: string; readonly port: number };
};

export type SampleTenant = {
  readonly tenant: string;
  readonly display_name: string;
  /** On the built-in git host. */
  readonly repository: string;
  /** Beside this file: the repository's contents, all of them. */
  readonly folder: string;
  readonly connections: readonly SampleConnection[];
  readonly variables: readonly {
    readonly key: string;
    readonly value: string;
    readonly description: string;
  }[];
  /** What its tasks may reach; everything else is closed. */
  readonly egress: readonly { readonly host: string; readonly port: number }[];
};

export type SampleConnection = {
  readonly conn_id: string;
  readonly conn_type: string;
  readonly description: string;
  readonly host: string;
  readonly port: number;
  readonly schema?: string;
  readonly login?: string;
  readonly password?: string;
};

export const sampleTenants = ({ warehouse, echo }: SamplePlaces): readonly SampleTenant[] => {
  const database: SampleConnection = {
    conn_id: "warehouse",
    conn_type: "postgres",
    description: "The samples' own Postgres database",
    host: warehouse.host,
    port: warehouse.port,
    schema: warehouse.database,
    login: warehouse.login,
    password: warehouse.password,
  };
  const board: SampleConnection = {
    conn_id: "echo",
    conn_type: "http",
    description: "The city's message board: it answers with what it was told",
    host: echo.host,
    port: echo.port,
    schema: "http",
  };
  const toDatabase = { host: warehouse.host, port: warehouse.port };
  const toBoard = { host: echo.host, port: echo.port };
  return [
    {
      tenant: "acme",
      display_name: "Acme pass shop",
      repository: "pipelines",
      folder: "acme",
      connections: [database],
      variables: [
        { key: "card_stock", value: "4000", description: "Blank cards in the pass shop's store" },
      ],
      egress: [toDatabase],
    },
    {
      tenant: "globex",
      display_name: "Globex bike counters",
      repository: "pipelines",
      folder: "globex",
      connections: [database, board],
      variables: [],
      egress: [toDatabase, toBoard],
    },
    {
      tenant: "initech",
      display_name: "Initech air quality",
      repository: "pipelines",
      folder: "initech",
      connections: [database, board],
      variables: [],
      egress: [toDatabase, toBoard],
    },
  ];
};
