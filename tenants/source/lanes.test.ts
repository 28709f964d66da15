import { expect, test } from "vitest";
import { openLanes } from "./lanes.ts";

test("a key that fills its lanes does not keep others out", async () => {
  const lanes = openLanes({ total: 3, perKey: 2 });
  const first = await lanes.enter("a");
  await lanes.enter("a");
  const order: string[] = [];
  const third = lanes.enter("a").then((leave) => {
    order.push("a");
    return leave;
  });
  const other = await lanes.enter("b");
  order.push("b");
  first();
  await third;
  expect(order).toEqual(["b", "a"]);
  other();
});

test("who gives up waiting frees its place in the queue", async () => {
  const lanes = openLanes({ total: 1, perKey: 1 });
  const leave = await lanes.enter("a");
  const impatient = lanes.enter("a", AbortSignal.timeout(10));
  const patient = lanes.enter("a");
  await expect(impatient).rejects.toThrow("gave up");
  leave();
  leave();
  const mine = await patient;
  const blocked = lanes.enter("b", AbortSignal.timeout(10));
  await expect(blocked).rejects.toThrow("gave up");
  mine();
});
