import { defineConfig } from "vitest/config";

const storm = "test/storm/storm.test.ts";

export default defineConfig({
  test: {
    // Two cores: more workers only make real processes wait for each other.
    maxWorkers: 2,
    projects: [
      {
        test: {
          name: "all",
          include: ["{platform,tenants,policies,ops,migrate,test}/**/*.test.ts"],
          exclude: ["**/node_modules/**", "tenants/examples/{acme,globex,initech}/**", storm],
          setupFiles: ["test/kit/fixed-seed.ts"],
          globalSetup: ["test/kit/global-postgres.ts"],
          testTimeout: 30_000,
          hookTimeout: 60_000,
        },
      },
      {
        // After all others, alone: it takes every core there is, and has a Postgres of its own to crash.
        test: { name: "storm", include: [storm], sequence: { groupOrder: 1 } },
      },
    ],
  },
});
