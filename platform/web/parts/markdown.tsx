/** Markdown that a tenant wrote: no HTML of theirs, no address but http, https and mailto, no pictures from elsewhere. */
export default function MarkdownText({ text }: { readonly text: string }) {
  return <p className="tenant-text whitespace-pre-wrap">{text}</p>;
}
