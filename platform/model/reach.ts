/** Whether an address can be reached from inside a tenant's sandbox: the question and how far it came. */
export type ReachTarget = {
  readonly host: string;
  readonly port: number;
  /** Speak TLS and check the certificate. */
  readonly tls: boolean;
};

export type ReachAnswer = {
  readonly outcome:
    | "reached"
    | "reached_tls"
    | "not_allowed"
    | "no_name"
    | "refused"
    | "timeout"
    | "unreachable"
    | "tls"
    | "closed"
    /** The sandbox itself did not start. */
    | "no_sandbox";
  /** The system's or TLS' word for it, as `ECONNREFUSED`; nothing that the other side could choose. */
  readonly code?: string;
  readonly ms: number;
};
