/** An answer that is not what was asked for. Thrown anywhere below a route, told once, in `create-api.ts`. */
export class HttpProblem extends Error {
  readonly status: number;
  /** What the body's `detail` says: a sentence, or Airflow's list of fields. Never a secret, never a stack. */
  readonly detail: string | readonly FieldProblem[];
  readonly headers: Readonly<Record<string, string>>;
  constructor(
    status: number,
    detail: string | readonly FieldProblem[],
    headers: Readonly<Record<string, string>> = {},
  ) {
    super(typeof detail === "string" ? detail : "invalid fields");
    this.status = status;
    this.detail = detail;
    this.headers = headers;
  }
}

/** One field, in the shape of FastAPI's validation errors. The input is never repeated: it may be a secret. */
export type FieldProblem = {
  readonly loc: readonly (string | number)[];
  readonly msg: string;
  readonly type: string;
};

export const badRequest = (detail: string): HttpProblem => new HttpProblem(400, detail);
export const notSignedIn = (): HttpProblem =>
  new HttpProblem(401, "Not authenticated", { "www-authenticate": 'Bearer realm="airlock"' });
export const forbidden = (detail = "Forbidden"): HttpProblem => new HttpProblem(403, detail);
export const notFound = (detail = "Not Found"): HttpProblem => new HttpProblem(404, detail);
export const conflict = (detail: string): HttpProblem => new HttpProblem(409, detail);
export const tooMany = (detail: string, retryAfterSeconds: number): HttpProblem =>
  new HttpProblem(429, detail, { "retry-after": String(retryAfterSeconds) });
export const invalid = (field: string, message: string, where = "body"): HttpProblem =>
  new HttpProblem(422, [{ loc: [where, ...field.split(".")], msg: message, type: "value_error" }]);
