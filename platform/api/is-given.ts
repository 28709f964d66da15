/** Airflow's clients send fields they leave unset as null: null and missing say the same. */
export const isGiven = <T>(value: T | null | undefined): value is T =>
  value !== null && value !== undefined;
