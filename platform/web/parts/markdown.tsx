/** Markdown that a tenant wrote: no HTML of theirs, no address but http, https and mailto, no pictures from elsewhere. */
import Markdown, { type Components } from "react-markdown";
import remarkGfm from "remark-gfm";

const textMax = 64 * 1024;

export default function MarkdownText({ text }: { readonly text: string }) {
  const cut = text.length > textMax;
  return (
    <div className="tenant-text flex flex-col gap-2 overflow-x-auto [&_li]:ml-5 [&_ol]:list-decimal [&_ul]:list-disc">
      <Markdown
        remarkPlugins={[remarkGfm]}
        // HTML stays the text that it is.
        skipHtml={false}
        urlTransform={safeAddress}
        components={parts}
      >
        {cut ? text.slice(0, textMax) : text}
      </Markdown>
      {cut && <p className="text-muted">The text goes on; its first 64 KiB are shown.</p>}
    </div>
  );
}

/** "" for everything that is not plainly an address of the web or of a person. */
export function safeAddress(raw: string): string {
  if (!URL.canParse(raw)) return "";
  return ["http:", "https:", "mailto:"].includes(new URL(raw).protocol) ? raw : "";
}

// A heading of theirs is below those of the page around it.
const heading = (look: string) =>
  function Heading({ children }: { readonly children?: React.ReactNode }) {
    return <h3 className={look}>{children}</h3>;
  };

const parts: Components = {
  h1: heading("text-lg font-semibold"),
  h2: heading("text-base font-semibold"),
  h3: heading("font-semibold"),
  h4: heading("font-semibold"),
  h5: heading("font-semibold"),
  h6: heading("font-semibold"),
  a: ({ href, children }) =>
    href === undefined || href === "" ? (
      <span>{children}</span>
    ) : (
      <a
        href={href}
        target="_blank"
        rel="noopener noreferrer nofollow"
        className="text-accent underline"
      >
        {children}
      </a>
    ),
  // A picture would be fetched from wherever they say, by whoever reads this.
  img: ({ alt, src }) => (
    <span className="text-muted">
      [picture{alt === undefined || alt === "" ? "" : `: ${alt}`}
      {typeof src === "string" && src !== "" ? `, ${src}` : ""}]
    </span>
  ),
  pre: ({ children }) => (
    <pre className="overflow-x-auto rounded-md bg-sunken p-2 text-sm">{children}</pre>
  ),
  code: ({ children }) => <code className="rounded bg-sunken px-1">{children}</code>,
  blockquote: ({ children }) => (
    <blockquote className="border-l-4 border-line-strong pl-3 text-muted">{children}</blockquote>
  ),
  table: ({ children }) => <table className="w-max border-collapse text-sm">{children}</table>,
  th: ({ children }) => <th className="border border-line px-2 py-1 text-left">{children}</th>,
  td: ({ children }) => <td className="border border-line px-2 py-1">{children}</td>,
  input: ({ checked }) => <span aria-hidden>{checked === true ? "☑ " : "☐ "}</span>,
};
