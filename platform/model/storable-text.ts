/** Postgres refuses text with NUL and lone surrogates; what tenants wrote is kept without them. */
export const storable = (text: string): string =>
  text.replaceAll("\u0000", "\ufffd").toWellFormed();
