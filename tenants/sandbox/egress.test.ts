import { expect, test } from "vitest";
import { addressesOf, hostsFile, isOfThisMachine, planDoors } from "./egress.ts";

test("each allowed name has an address of its own inside, and no other name has any", () => {
  const doors = planDoors([
    { host: "DB.example.org", port: 5432 },
    { host: "db.example.org", port: 5433 },
    { host: "api.example.org", port: 443 },
    { host: "localhost", port: 8080 },
    { host: "10.1.2.3", port: 22 },
    { host: "fd00::1", port: 22 },
  ]);
  expect(doors.map((door) => door.address)).toEqual([
    "127.1.0.2",
    "127.1.0.2",
    "127.1.0.3",
    "127.0.0.1",
    "10.1.2.3",
  ]);
  expect(hostsFile(doors)).toBe(
    "127.0.0.1 localhost\n127.1.0.2 db.example.org\n127.1.0.3 api.example.org\n",
  );
  expect(addressesOf(doors)).toBe("10.1.2.3");
});

test.each([
  "127.0.0.1",
  "127.9.9.9",
  "0.0.0.0",
  "169.254.169.254",
  "::1",
  "::",
  "fe80::1",
  "fd00:ec2::254",
  "::ffff:127.0.0.1",
])("a name that leads to %s leads nowhere", (address) =>
  expect(isOfThisMachine(address)).toBe(true),
);

test.each(["10.0.0.1", "192.168.1.1", "93.184.216.34", "2606:2800::1", "fd00::1"])(
  "a name may lead to %s",
  (address) => expect(isOfThisMachine(address)).toBe(false),
);
