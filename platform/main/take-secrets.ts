/** What a program that we start must never inherit, tenants' or our own: it would stand in its environment for all to read who may look there. */
const secretNames = ["AIRLOCK_ADMIN_PASSWORD", "AIRLOCK_SECRET_KEY", "DATABASE_URL"] as const;

/** A copy of the environment with everything in it; from the environment itself, which children inherit, the secrets are gone. */
export function takeSecrets(env: NodeJS.ProcessEnv): NodeJS.ProcessEnv {
  const whole = { ...env };
  for (const name of secretNames) delete env[name];
  return whole;
}
