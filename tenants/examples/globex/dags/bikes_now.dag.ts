// A sign of life every four minutes: what the counters say at this hour, told to the city's message board.
import { cron, dag, http } from "airlock";
import { counts } from "./lib/bikes.ts";

export default dag({
  id: "bikes_now",
  description: "What the counters say at this hour, told to the message board.",
  schedule: cron("*/4 * * * *"),
  tags: ["bikes", "pulse"],
  owner: "globex",
  maxActiveRuns: 1,
  defaults: { retries: 1, retryDelay: "5s" },
  build({ task, op }) {
    const look = task("look", {
      run: async ({ logicalDate }) => {
        const hour = logicalDate.getUTCHours();
        let bikes = 0;
        for await (const count of counts()) if (count.hour === hour) bikes += count.bikes;
        return { hour, bikes: Math.round(bikes / 14) };
      },
    });
    const answer = op(http, "tell", {
      conn: "echo",
      url: "/echo",
      method: "POST",
      json: { board: "bikes", reading: look },
      requestTimeout: "5s",
    });
    task("heard", {
      in: { answer, look },
      run: ({ look: { hour, bikes } }, { log }) =>
        log.info(`${hour}:00, ${bikes} bikes: the board has it`),
    });
  },
});
