/** The base of a tenant's Airflow API; Airflow's clients append the rest. */
export const api = "/t/{tenant}/api/v2";
