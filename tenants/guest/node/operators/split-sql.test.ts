import { expect, test } from "vitest";
import { splitSql } from "./split-sql.ts";

test("names become parameters outside of text, comments, casts and dollar quotes only", () => {
  expect(
    splitSql(`
      -- a comment with :name and ;
      select :day::date, ':text;', "col:umn", a::int, $$ :body; $$, $f$ ;:x $f$, array[1:2]
        from t where x = :day and y = :other /* ; :z */;
      delete from t;
      ;
    `),
  ).toEqual([
    {
      text: expect.stringMatching(
        /select \$1::date, ':text;', "col:umn", a::int, \$\$ :body; \$\$, \$f\$ ;:x \$f\$, array\[1:2\]\s+from t where x = \$1 and y = \$2/,
      ) as string,
      names: ["day", "other"],
    },
    { text: "delete from t", names: [] },
  ]);
  expect(splitSql("-- nothing\n;")).toEqual([]);
});
