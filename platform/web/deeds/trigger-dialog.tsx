/** Start a run: its params as a form, or as the JSON that the form means; both ways. */
import { useQuery } from "@tanstack/react-query";
import { useNavigate } from "@tanstack/react-router";
import { History } from "lucide-react";
import { useMemo, useState } from "react";
import type { TriggerForm } from "../../api/ui/trigger-form.ts";
import { findParamProblems } from "../../model/check-params.ts";
import { ask, Problem, path } from "../ask/ask-server.ts";
import { Button } from "../parts/button.tsx";
import { CopyAs } from "../parts/copy-as.tsx";
import { Field, Input, Select } from "../parts/fields.tsx";
import { Dialog } from "../parts/overlay.tsx";
import { Failed, Loading } from "../parts/panels.tsx";
import { Ago } from "../parts/time.tsx";
import { say } from "../parts/toasts.tsx";
import { DeedProblem, Heed } from "./deed-parts.tsx";
import { matches } from "./matches.ts";
import { ParamFields } from "./param-fields.tsx";
import {
  confOf,
  type Draft,
  type Drafts,
  fieldsOf,
  fillForm,
  readConfText,
} from "./params-form.ts";

type Props = { readonly tenant: string; readonly dag: string; readonly onClose: () => void };

export default function TriggerDialog(props: Props) {
  const { tenant, dag, onClose } = props;
  const form = useQuery({
    queryKey: ["trigger form", tenant, dag],
    queryFn: ({ signal }) =>
      ask<TriggerForm>(path`/t/${tenant}/api/ui/dags/${dag}/trigger-form`, { signal }),
    staleTime: 0,
    gcTime: 0,
  });
  if (form.data !== undefined) return <Form {...props} form={form.data} />;
  return (
    <Dialog open onClose={onClose} title={`Trigger ${dag}`}>
      {form.error === null ? (
        <Loading what="The form" />
      ) : (
        <Failed error={form.error} retry={() => void form.refetch()} />
      )}
    </Dialog>
  );
}

type Dating = "now" | "none" | "at";

function Form({ tenant, dag, onClose, form }: Props & { readonly form: TriggerForm }) {
  const navigate = useNavigate();
  const fields = useMemo(() => fieldsOf(form.params), [form]);
  const specs = useMemo(
    () =>
      Object.fromEntries(
        form.params.map(({ name, schema }) => [name, { schema: schema as never }]),
      ),
    [form],
  );
  const first = useMemo(() => fillForm(fields, {}), [fields]);
  const [drafts, setDrafts] = useState<Drafts>(first.drafts);
  const [extra, setExtra] = useState<{ readonly [key: string]: unknown }>({});
  // undefined: the form is what is edited; else this text is.
  const [text, setText] = useState<string | undefined>(fields.length === 0 ? "{}" : undefined);
  const [touched, setTouched] = useState<ReadonlySet<string>>(new Set());
  const [dating, setDating] = useState<Dating>("now");
  const [date, setDate] = useState("");
  const [runId, setRunId] = useState("");
  const [note, setNote] = useState("");
  const [said, setSaid] = useState<string>();
  const [busy, setBusy] = useState(false);
  const [tried, setTried] = useState(false);
  const [problem, setProblem] = useState<unknown>();
  // Made once: sent again after a lost answer it is the same run, not a second one.
  const [ownId] = useState(makeRunId);

  const typed = useMemo(() => confOf(fields, drafts, extra), [fields, drafts, extra]);
  const raw = text === undefined ? undefined : readConfText(text);
  const conf = raw === undefined ? typed.conf : "conf" in raw ? raw.conf : undefined;
  const problems = useMemo(() => {
    const found = new Map<string, string>();
    if (conf === undefined) return found;
    for (const { param, path: at, message } of findParamProblems(specs, conf, { matches }))
      if (!found.has(param))
        found.set(param, at.length === 0 ? message : `${at.join(".")} ${message}`);
    if (raw === undefined) for (const [name, message] of typed.problems) found.set(name, message);
    return found;
  }, [conf, specs, typed, raw]);

  const fill = (next: { readonly [key: string]: unknown }, words: string): void => {
    const filled = fillForm(fields, next);
    setDrafts(filled.drafts);
    setExtra(filled.extra);
    setTouched(new Set());
    const asText = text !== undefined || filled.unfit.length > 0;
    setText(asText ? JSON.stringify(next, null, 2) : undefined);
    setSaid(
      filled.unfit.length > 0
        ? `${words} ${filled.unfit.slice(0, 3).join(", ")} can only be told as JSON.`
        : words,
    );
  };
  const asLast = (): void => {
    if (form.last === null) return;
    const read = readConfText(form.last.conf === "null" ? "{}" : form.last.conf);
    if ("conf" in read) fill(read.conf, `Filled with what ${form.last.run_id} was given.`);
    else {
      setText(form.last.conf);
      setSaid(read.problem);
    }
  };
  const toForm = (): void => {
    if (raw === undefined || !("conf" in raw)) return;
    const filled = fillForm(fields, raw.conf);
    if (filled.unfit.length > 0) {
      setSaid(`${filled.unfit.slice(0, 3).join(", ")} can only be told as JSON.`);
      return;
    }
    setDrafts(filled.drafts);
    setExtra(filled.extra);
    setText(undefined);
    setSaid(undefined);
  };

  const dateProblem =
    dating === "at" && Number.isNaN(Date.parse(`${date}Z`)) ? "Give a date and a time" : undefined;
  const idProblem =
    runId === "" || /^[A-Za-z0-9_.~:+@-]{1,250}$/.test(runId)
      ? undefined
      : "Letters, digits and any of _.~:+@-, at most 250";
  const body = {
    dag_run_id: runId === "" ? ownId : runId,
    logical_date:
      dating === "none" || (dating === "at" && dateProblem !== undefined)
        ? null
        : dating === "at"
          ? new Date(`${date}Z`).toISOString()
          : new Date().toISOString(),
    conf: conf ?? {},
    ...(note === "" ? {} : { note }),
  };
  const api = path`/t/${tenant}/api/v2/dags/${dag}/dagRuns`;
  const isReady =
    conf !== undefined &&
    problems.size === 0 &&
    dateProblem === undefined &&
    idProblem === undefined;

  const land = (run: string): void => {
    say(`Started ${run}`);
    onClose();
    void navigate({ to: "/t/$tenant/dags/$dag/runs/$run", params: { tenant, dag, run } });
  };
  const trigger = async (): Promise<void> => {
    setTried(true);
    if (!isReady) return;
    setBusy(true);
    setProblem(undefined);
    try {
      await ask(api, { method: "POST", body });
      land(body.dag_run_id);
    } catch (error) {
      // Its own id is taken: an earlier try arrived although its answer did not.
      if (
        error instanceof Problem &&
        error.status === 409 &&
        runId === "" &&
        error.message.includes(ownId)
      )
        land(ownId);
      else setProblem(error);
    } finally {
      setBusy(false);
    }
  };

  return (
    <Dialog
      open
      wide={fields.length > 6}
      onClose={onClose}
      title={`Trigger ${form.display_name}`}
      describe={
        <>
          Version {form.version}. {said ?? ""}
        </>
      }
      foot={
        <>
          <CopyAs
            command={[
              "trigger",
              `${tenant}/${dag}`,
              ...(Object.keys(body.conf).length === 0 ? [] : ["--conf", JSON.stringify(body.conf)]),
              ...(dating === "at" && body.logical_date !== null
                ? ["--logical-date", body.logical_date]
                : []),
              ...(runId === "" ? [] : ["--run-id", runId]),
            ]}
            api={{ method: "POST", path: api, body }}
          />
          <Button onClick={onClose}>Cancel</Button>
          <Button
            look="primary"
            disabled={busy || (tried && !isReady)}
            onClick={() => void trigger()}
          >
            {busy ? "Starting …" : "Trigger"}
          </Button>
        </>
      }
    >
      {!form.is_active && <Heed>The DAG is no longer in its repository: it cannot be run.</Heed>}
      {form.is_paused && <Heed>The DAG is paused: the run waits until it is unpaused.</Heed>}
      {form.running >= form.max_active_runs && (
        <Heed>
          {form.running} runs of it run now, as many as its max_active_runs allows: this one waits
          for a place.
        </Heed>
      )}
      <div className="mb-3 flex flex-wrap items-center gap-2">
        {form.last !== null && (
          <Button icon={<History size={14} />} onClick={asLast} title={form.last.run_id}>
            As the last run (<Ago at={form.last.at} />)
          </Button>
        )}
        <Button onClick={() => fill({}, "Filled with the defaults.")}>Defaults</Button>
        {fields.length > 0 && (
          <span className="ml-auto inline-flex rounded-md border border-line-strong p-0.5">
            <Tab on={text === undefined} onClick={toForm}>
              Form
            </Tab>
            <Tab
              on={text !== undefined}
              onClick={() => {
                if (text === undefined) setText(JSON.stringify(typed.conf, null, 2));
              }}
            >
              JSON
            </Tab>
          </span>
        )}
      </div>
      {text === undefined ? (
        <ParamFields
          fields={fields}
          drafts={drafts}
          problems={new Map([...problems].filter(([name]) => tried || touched.has(name)))}
          onChange={(name: string, draft: Draft) => {
            setDrafts(new Map(drafts).set(name, draft));
            setTouched(new Set(touched).add(name));
          }}
        />
      ) : (
        <Field
          label="Conf (JSON)"
          hint={
            fields.length === 0
              ? "This DAG declares no params; what you give here is dag_run.conf of its tasks."
              : "What the tasks get as params and as dag_run.conf."
          }
          problem={
            raw !== undefined && "problem" in raw
              ? raw.problem
              : problems.size === 0
                ? undefined
                : [...problems]
                    .slice(0, 5)
                    .map(([name, message]) => `${name} ${message}`)
                    .join("; ")
          }
        >
          <textarea
            value={text}
            spellCheck={false}
            rows={Math.min(18, Math.max(5, text.split("\n").length + 1))}
            onChange={(event) => setText(event.target.value)}
            className="tenant-text w-full rounded-md border border-line-strong bg-surface p-2 font-mono text-sm"
          />
        </Field>
      )}
      {text === undefined && Object.keys(extra).length > 0 && (
        <p className="mt-3 text-sm text-muted">
          Beside the params, as JSON:{" "}
          <span className="tenant-text">{Object.keys(extra).slice(0, 10).join(", ")}</span>
        </p>
      )}
      <div className="mt-4 grid grid-cols-1 gap-3 border-t border-line pt-3 sm:grid-cols-2">
        <Field label="Logical date">
          <Select value={dating} onChange={(event) => setDating(event.target.value as Dating)}>
            <option value="now">Now</option>
            <option value="at">Another time …</option>
            <option value="none">None</option>
          </Select>
        </Field>
        {dating === "at" ? (
          <Field label="Logical date and time (UTC)" problem={tried ? dateProblem : undefined}>
            <Input
              type="datetime-local"
              step={1}
              value={date}
              onChange={(event) => setDate(event.target.value)}
            />
          </Field>
        ) : (
          <span className="hidden sm:block" />
        )}
        <Field label="Run id" problem={idProblem}>
          <Input
            value={runId}
            maxLength={250}
            placeholder={ownId}
            onChange={(event) => setRunId(event.target.value)}
          />
        </Field>
        <Field label="Note">
          <Input value={note} maxLength={1_000} onChange={(event) => setNote(event.target.value)} />
        </Field>
      </div>
      {tried && problems.size > 0 && text === undefined && (
        <p role="alert" className="mt-3 text-danger">
          {problems.size === 1 ? "One param is" : `${problems.size} params are`} not right yet:{" "}
          <span className="tenant-text">{[...problems.keys()].slice(0, 8).join(", ")}</span>
        </p>
      )}
      <DeedProblem error={problem} />
    </Dialog>
  );
}

function Tab({
  on,
  onClick,
  children,
}: {
  readonly on: boolean;
  readonly onClick: () => void;
  readonly children: string;
}) {
  return (
    <button
      type="button"
      aria-pressed={on}
      onClick={onClick}
      className={`rounded px-2 py-0.5 text-sm ${on ? "bg-accent text-accent-text" : "hover:bg-sunken"}`}
    >
      {children}
    </button>
  );
}

/** As the server makes them. */
const makeRunId = (): string =>
  `manual__${new Date().toISOString().slice(0, 19)}+00:00_${crypto.randomUUID().slice(0, 8)}`;
