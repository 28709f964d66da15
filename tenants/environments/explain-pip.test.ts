import { expect, test } from "vitest";
import { explainPip, lastNamed } from "./explain-pip.ts";

const explain = (text: string) => explainPip(text, ["pypi.org"]);

test.each([
  [
    "ERROR: Could not find a version that satisfies the requirement six==99 (from versions: 1.0, 1.16.0)\nERROR: No matching distribution found for six==99",
    {
      message: "The package index has no six==99 for this Python.",
      hint: "Take one that it has: 1.0, 1.16.0.",
      package: "six",
    },
  ],
  [
    "WARNING: Retrying (Retry(total=0)) after connection broken by 'NewConnectionError('…')': /simple/six/\nERROR: No matching distribution found for six",
    { message: "The package index (pypi.org) could not be reached: NewConnectionError." },
  ],
  [
    "ERROR: Package 'My_Pkg' requires a different Python: 3.11.2 not in '>=3.12'",
    { message: "My_Pkg needs Python >=3.12, and this machine has 3.11.2.", package: "my-pkg" },
  ],
  [
    "ERROR: Cannot install requests==2.0 and urllib3==2.0 because these package versions have conflicting dependencies.\n\nThe conflict is caused by:\n    The user requested urllib3==2.0\n    requests 2.0 depends on urllib3<2\n",
    {
      message:
        "These requirements exclude each other: The user requested urllib3==2.0; requests 2.0 depends on urllib3<2.",
      package: "urllib3",
    },
  ],
  [
    "ERROR: Invalid requirement: 'six=1' (from line 1)",
    { message: "six=1 is no requirement.", package: "six" },
  ],
  [
    "  ERROR: Failed building wheel for evil\nRuntimeError: no compiler\nFailed to build evil",
    { message: "The install code of evil failed: RuntimeError: no compiler", package: "evil" },
  ],
])("pip's words %# are explained with the requirement and the way out", (text, expected) => {
  expect(explain(text)).toMatchObject(expected);
  expect(explain(text).hint).not.toBe("");
});

test("what pip was busy with is found", () => {
  expect(
    lastNamed(
      "Collecting six==1.16\n  Downloading six-1.16.0-py2.py3-none-any.whl\nCollecting evil-thing\n",
    ),
  ).toBe("evil-thing");
  expect(lastNamed("Processing ./links/evil-1.0.tar.gz\n")).toBe("evil");
});
