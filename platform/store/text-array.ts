/**
 * A list of texts as one parameter, to be cast: `= any(${textArray(ids)}::text[])`. The connection does not
 * fetch the server's types (one round trip less at each start), so postgres.js cannot send arrays itself.
 */
export const textArray = (values: readonly string[]): string =>
  `{${values.map((value) => `"${value.replace(/[\\"]/g, "\\$&")}"`).join(",")}}`;
