import { defineConfig } from "vitest/config";

export default defineConfig({
  test: {
    include: ["{platform,tenants,policies,ops,migrate,test}/**/*.test.ts"],
    exclude: ["**/node_modules/**", "tenants/examples/{acme,globex,initech}/**"],
    setupFiles: ["test/kit/fixed-seed.ts"],
    globalSetup: ["test/kit/global-postgres.ts"],
    // Two cores: more workers only make real processes wait for each other.
    maxWorkers: 2,
    testTimeout: 30_000,
    hookTimeout: 60_000,
  },
});
