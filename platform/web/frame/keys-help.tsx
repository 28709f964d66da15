import { Dialog } from "../parts/overlay.tsx";
import { useSections } from "./keys.ts";

/** All keys that work on this screen. */
export default function KeysHelp({ onClose }: { readonly onClose: () => void }) {
  const sections = useSections();
  return (
    <Dialog open onClose={onClose} title="Keys" wide>
      <div className="grid gap-4 sm:grid-cols-2">
        {sections.map(({ name, keys }) => (
          <section key={name}>
            <h3 className="mb-1 font-semibold">{name}</h3>
            <dl className="grid grid-cols-[auto_1fr] gap-x-3 gap-y-1 text-sm">
              {Object.entries(keys()).map(([key, { does }]) => (
                <div key={key} className="contents">
                  <dt>
                    {key.split(" ").map((part) => (
                      <kbd
                        key={part}
                        className="mr-1 rounded border border-line-strong bg-sunken px-1.5"
                      >
                        {part
                          .replace("mod+", "Ctrl ")
                          .replace("ArrowDown", "↓")
                          .replace("ArrowUp", "↑")}
                      </kbd>
                    ))}
                  </dt>
                  <dd>{does}</dd>
                </div>
              ))}
            </dl>
          </section>
        ))}
      </div>
    </Dialog>
  );
}
