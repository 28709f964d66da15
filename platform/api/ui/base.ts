/** Compact answers for the page, beside the tenant's Airflow API: where that API's shapes are too heavy or say too little. */
export const ui = "/t/{tenant}/api/ui";
