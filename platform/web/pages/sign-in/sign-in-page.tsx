import { useQueryClient } from "@tanstack/react-query";
import { useNavigate, useSearch } from "@tanstack/react-router";
import { type FormEvent, useEffect, useRef, useState } from "react";
import { ask, Problem } from "../../ask/ask-server.ts";
import { useMe } from "../../ask/session.ts";
import { Button } from "../../parts/button.tsx";
import { Field, Input } from "../../parts/fields.tsx";

export function SignInPage() {
  const { back } = useSearch({ from: "/sign-in" });
  const navigate = useNavigate();
  const client = useQueryClient();
  const me = useMe();
  const [problem, setProblem] = useState<string>();
  const [busy, setBusy] = useState(false);
  const name = useRef<HTMLInputElement>(null);
  const to = placeOf(back);
  useEffect(() => {
    document.title = "Sign in · Airlock";
    name.current?.focus();
  }, []);
  useEffect(() => {
    if (me) void navigate({ href: to, replace: true });
  }, [me, navigate, to]);

  const signIn = async (event: FormEvent<HTMLFormElement>): Promise<void> => {
    event.preventDefault();
    const fields = new FormData(event.currentTarget);
    setBusy(true);
    setProblem(undefined);
    try {
      await ask("/api/platform/session", {
        method: "POST",
        body: { username: fields.get("username"), password: fields.get("password") },
      });
      await client.invalidateQueries();
    } catch (error) {
      setProblem(
        error instanceof Problem && error.status === 401
          ? "Name or password is wrong."
          : error instanceof Error
            ? error.message
            : String(error),
      );
    } finally {
      setBusy(false);
    }
  };
  return (
    <main className="grid min-h-dvh place-items-center p-4">
      <form
        onSubmit={(event) => void signIn(event)}
        className="w-full max-w-sm rounded-xl border border-line bg-surface p-6 shadow-sm"
      >
        <div className="mb-4 flex items-center gap-3">
          <img src="/page/icon.svg" alt="" className="size-9" />
          <h1 className="text-xl font-semibold">Sign in to Airlock</h1>
        </div>
        <div className="flex flex-col gap-3">
          <Field label="Name">
            <Input ref={name} name="username" autoComplete="username" required />
          </Field>
          <Field label="Password">
            <Input name="password" type="password" autoComplete="current-password" required />
          </Field>
          {problem !== undefined && (
            <p role="alert" className="rounded-md bg-danger-soft px-3 py-2 text-sm text-danger">
              {problem}
            </p>
          )}
          <Button look="primary" type="submit" disabled={busy} className="h-9 justify-center">
            {busy ? "Signing in …" : "Sign in"}
          </Button>
        </div>
        <p className="mt-4 text-sm text-muted">
          On a first start the name is <code>admin</code> and the password stands in the terminal of{" "}
          <code>npm start</code>. A new one: <code>airlock users passwd NAME</code>.
        </p>
      </form>
    </main>
  );
}

/** Only a place of ours: an address that leaves the site would be a trap. */
export function placeOf(back: string | undefined): string {
  if (back === undefined || !/^\/(?![/\\])/.test(back) || back.startsWith("/sign-in")) return "/";
  return back;
}
