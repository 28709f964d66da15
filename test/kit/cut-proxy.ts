/** A TCP proxy in front of Postgres that cuts where a test wants it: the network at its worst moment. */
import { createServer, connect as dial, type Socket } from "node:net";

export type CutProxy = {
  readonly url: string;
  /** Once: the next COMMIT reaches the server, and the connection dies before its answer comes back. */
  cutAfterCommit(): void;
  /** How many connections were cut so far. */
  readonly cuts: () => number;
  close(): Promise<void>;
};

export async function openCutProxy(databaseUrl: string): Promise<CutProxy> {
  const target = new URL(databaseUrl);
  const sockets = new Set<Socket>();
  let armed = false;
  let cuts = 0;
  const server = createServer((client) => {
    const upstream = dial(Number(target.port), target.hostname);
    sockets.add(client).add(upstream);
    const end = (): void => {
      client.destroy();
      upstream.destroy();
    };
    client.on("data", (data: Buffer) => upstream.write(data));
    upstream.on("data", (answer: Buffer) => {
      // The command tag: the server has committed, and the client must not hear of it.
      if (!armed || !answer.includes("COMMIT\0")) {
        client.write(answer);
        return;
      }
      armed = false;
      cuts += 1;
      end();
    });
    client.on("error", end).on("close", end);
    upstream.on("error", end).on("close", () => client.destroy());
  });
  await new Promise<void>((done) => server.listen(0, "127.0.0.1", done));
  const address = server.address();
  const url = new URL(databaseUrl);
  url.port = String(typeof address === "object" && address !== null ? address.port : 0);
  return {
    url: url.href,
    cutAfterCommit() {
      armed = true;
    },
    cuts: () => cuts,
    async close() {
      for (const socket of sockets) socket.destroy();
      await new Promise((done) => server.close(done));
    },
  };
}
