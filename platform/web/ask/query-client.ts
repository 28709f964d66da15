import { QueryCache, QueryClient } from "@tanstack/react-query";
import { Problem } from "./ask-server.ts";
import { connectionNow, onConnection } from "./connection.ts";

/** What is shown is kept fresh by the live stream; asking again on focus or by a clock would only add load. */
export const queryClient = new QueryClient({
  queryCache: new QueryCache({
    onError: (error, query) => {
      // Withdrawn or gone: what was read before is no longer this person's to see. After any other error it stays.
      if (error instanceof Problem && [401, 403, 404].includes(error.status))
        query.setState({ data: undefined });
    },
  }),
  defaultOptions: {
    queries: {
      staleTime: 30_000,
      gcTime: 5 * 60_000,
      refetchOnWindowFocus: false,
      retry: (count, error) => isAway(error) && count < 20,
      retryDelay: (count) => Math.min(500 * 2 ** count, 5_000),
    },
  },
});

/** Not reached, or reached and not ready: it may answer in a moment. Anything else is an answer. */
const isAway = (error: Error): boolean =>
  !(error instanceof Problem) || [0, 502, 503, 504].includes(error.status);

let wasUp = true;
onConnection(() => {
  const isUp = connectionNow().kind === "up";
  // What was read before the gap may be old in any place.
  if (isUp && !wasUp) void queryClient.invalidateQueries();
  wasUp = isUp;
});
