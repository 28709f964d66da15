/** The params of a form, each by what it takes. */
import { useId, useState } from "react";
import { Button } from "../parts/button.tsx";
import { countText } from "../parts/durations.ts";
import { Checkbox, Field, Input, Select } from "../parts/fields.tsx";
import { type Draft, type Drafts, type FormField, fieldsLike } from "./params-form.ts";

const shownMax = 60;

type Change = (name: string, draft: Draft) => void;

export function ParamFields({
  fields,
  drafts,
  problems,
  onChange,
}: {
  readonly fields: readonly FormField[];
  readonly drafts: Drafts;
  readonly problems: ReadonlyMap<string, string>;
  readonly onChange: Change;
}) {
  const [words, setWords] = useState("");
  const [all, setAll] = useState(false);
  const found = fieldsLike(fields, words);
  // What is wrong is shown wherever it stands, or a form of a thousand params could not be mended.
  const first = all ? found : found.slice(0, shownMax);
  const shown = [
    ...first,
    ...(all
      ? []
      : found
          .slice(shownMax)
          .filter(({ name }) => problems.has(name))
          .slice(0, shownMax)),
  ];
  const sections = [...Map.groupBy(shown, ({ section }) => section)];
  return (
    <div className="flex flex-col gap-3">
      {fields.length > 12 && (
        <Field label="Find a param">
          <Input value={words} onChange={(event) => setWords(event.target.value)} />
        </Field>
      )}
      {sections.map(([section, ofSection]) => (
        <fieldset key={section ?? ""} className="flex min-w-0 flex-col gap-3">
          {section !== undefined && (
            <legend className="tenant-text mb-2 font-semibold">{section}</legend>
          )}
          {ofSection.map((field) => (
            <ParamField
              key={field.name}
              field={field}
              draft={drafts.get(field.name) ?? null}
              problem={problems.get(field.name)}
              onChange={(draft) => onChange(field.name, draft)}
            />
          ))}
        </fieldset>
      ))}
      {shown.length < found.length && (
        <Button onClick={() => setAll(true)}>Show all {countText(found.length)} params</Button>
      )}
    </div>
  );
}

function ParamField({
  field,
  draft,
  problem,
  onChange,
}: {
  readonly field: FormField;
  readonly draft: Draft;
  readonly problem: string | undefined;
  readonly onChange: (draft: Draft) => void;
}) {
  const noValue =
    field.nullable && field.kind !== "choice" && field.kind !== "json" && field.kind !== "boolean";
  const hint =
    field.description === undefined && field.title === field.name ? undefined : (
      <span className="tenant-text whitespace-pre-wrap">
        {[field.title === field.name ? undefined : field.name, field.description]
          .filter((part) => part !== undefined)
          .join(": ")}
      </span>
    );
  if (field.kind === "boolean" && draft !== null && draft !== "")
    return (
      <div>
        <Checkbox
          label={<span className="tenant-text font-medium">{field.title}</span>}
          checked={draft === "true"}
          onChange={(checked) => onChange(String(checked))}
        />
        {hint !== undefined && <p className="text-sm text-muted">{hint}</p>}
        {problem !== undefined && <p className="text-sm text-danger">{problem}</p>}
      </div>
    );
  return (
    <div>
      <Field label={field.title} problem={problem} {...(hint === undefined ? {} : { hint })}>
        <Control field={field} draft={draft} onChange={onChange} />
      </Field>
      {noValue && (
        <Checkbox
          label={<span className="text-muted">No value (null)</span>}
          checked={draft === null}
          onChange={(isNull) => onChange(isNull ? null : "")}
        />
      )}
    </div>
  );
}

function Control({
  field,
  draft,
  onChange,
}: {
  readonly field: FormField;
  readonly draft: Draft;
  readonly onChange: (draft: Draft) => void;
}) {
  const list = useId();
  const value = draft ?? "";
  const common = {
    value,
    disabled:
      draft === null &&
      field.kind !== "choice" &&
      field.kind !== "boolean" &&
      field.kind !== "json",
    onChange: (event: { target: { value: string } }) => onChange(event.target.value),
  };
  switch (field.kind) {
    case "choice":
      return (
        <Select {...common}>
          <option value="">–</option>
          {field.choices.map((choice, i) => (
            // biome-ignore lint/suspicious/noArrayIndexKey: the index is the choice
            <option key={i} value={String(i)}>
              {(typeof choice === "string" ? choice : JSON.stringify(choice)).slice(0, 200)}
            </option>
          ))}
        </Select>
      );
    case "boolean":
      return (
        <Select {...common}>
          <option value="">–</option>
          <option value="true">true</option>
          <option value="false">false</option>
        </Select>
      );
    case "lines":
    case "list":
    case "json":
      return (
        <textarea
          {...common}
          rows={Math.min(12, Math.max(2, value.split("\n").length + 1))}
          spellCheck={field.kind === "lines"}
          placeholder={
            field.kind === "list" ? "one a line" : field.kind === "json" ? "JSON" : undefined
          }
          className={`tenant-text w-full rounded-md border border-line-strong bg-surface p-2 text-sm disabled:opacity-60 ${field.kind === "json" ? "font-mono" : ""}`}
        />
      );
    case "date":
      return <Input {...common} type={isPlainDate(value) ? "date" : "text"} />;
    case "date-time":
      return <Input {...common} placeholder="2026-01-31T06:00:00Z" />;
    case "time":
      return <Input {...common} placeholder="06:00:00" />;
    case "number":
    case "integer":
      return <Input {...common} inputMode={field.kind === "integer" ? "numeric" : "decimal"} />;
    case "text":
      return (
        <>
          <Input {...common} {...(field.examples.length === 0 ? {} : { list })} />
          {field.examples.length > 0 && (
            <datalist id={list}>
              {field.examples.map((example) => (
                <option key={example} value={example} />
              ))}
            </datalist>
          )}
        </>
      );
  }
}

/** The browser's picker would show nothing for a text that is no date, and nobody could mend it. */
const isPlainDate = (value: string): boolean => value === "" || /^\d{4}-\d\d-\d\d$/.test(value);
