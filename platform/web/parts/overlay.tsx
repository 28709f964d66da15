/** What opens above the page: dialogs and menus. Radix sees to focus, escape and the outside; we to the looks. */

import { X } from "lucide-react";
import { DropdownMenu, Dialog as Radix } from "radix-ui";
import type { ReactNode } from "react";
import { IconButton } from "./button.tsx";

export function Dialog({
  open,
  onClose,
  title,
  describe,
  children,
  foot,
  wide = false,
}: {
  readonly open: boolean;
  readonly onClose: () => void;
  readonly title: string;
  readonly describe?: ReactNode;
  readonly children: ReactNode;
  /** Buttons, at the right; the deed last. */
  readonly foot?: ReactNode;
  readonly wide?: boolean;
}) {
  return (
    <Radix.Root open={open} onOpenChange={(isOpen) => !isOpen && onClose()}>
      <Radix.Portal>
        <Radix.Overlay className="fixed inset-0 z-40 bg-black/40" />
        <Radix.Content
          className={`fixed top-[6vh] left-1/2 z-50 flex max-h-[88vh] w-[min(94vw,${wide ? "64rem" : "36rem"})] -translate-x-1/2 flex-col rounded-xl border border-line bg-raised shadow-2xl`}
          style={{ width: `min(94vw, ${wide ? "64rem" : "36rem"})` }}
          {...(describe === undefined ? { "aria-describedby": undefined } : {})}
        >
          <div className="flex items-start gap-2 border-b border-line px-4 py-2.5">
            <div className="min-w-0 grow">
              <Radix.Title className="tenant-text font-semibold">{title}</Radix.Title>
              {describe !== undefined && (
                <Radix.Description asChild>
                  <div className="text-sm text-muted">{describe}</div>
                </Radix.Description>
              )}
            </div>
            <Radix.Close asChild>
              <IconButton name="Close">
                <X size={16} />
              </IconButton>
            </Radix.Close>
          </div>
          <div className="min-h-0 grow overflow-auto px-4 py-3">{children}</div>
          {foot !== undefined && (
            <div className="flex justify-end gap-2 border-t border-line px-4 py-2.5">{foot}</div>
          )}
        </Radix.Content>
      </Radix.Portal>
    </Radix.Root>
  );
}

export type MenuItem =
  | {
      readonly text: string;
      readonly icon?: ReactNode;
      readonly onSelect: () => void;
      readonly disabled?: boolean;
      readonly danger?: boolean;
      readonly checked?: boolean;
    }
  | "line";

export function Menu({
  button,
  items,
  label,
}: {
  readonly button: ReactNode;
  readonly items: readonly MenuItem[];
  readonly label: string;
}) {
  return (
    // Not modal: a modal menu locks the page's scrolling by a style of its own, which moves the page.
    <DropdownMenu.Root modal={false}>
      <DropdownMenu.Trigger asChild>{button}</DropdownMenu.Trigger>
      <DropdownMenu.Portal>
        <DropdownMenu.Content
          aria-label={label}
          align="end"
          sideOffset={4}
          className="z-50 max-h-[70vh] min-w-44 overflow-auto rounded-lg border border-line bg-raised p-1 shadow-xl"
        >
          {items.map((item, i) =>
            item === "line" ? (
              // biome-ignore lint/suspicious/noArrayIndexKey: a fixed list
              <DropdownMenu.Separator key={`line ${String(i)}`} className="my-1 h-px bg-line" />
            ) : (
              <DropdownMenu.Item
                key={item.text}
                {...(item.disabled === true ? { disabled: true } : {})}
                onSelect={item.onSelect}
                className={`flex cursor-pointer items-center gap-2 rounded px-2 py-1.5 text-sm outline-none data-[disabled]:opacity-40 data-[highlighted]:bg-accent-soft ${item.danger === true ? "text-danger" : ""}`}
              >
                <span className="flex w-4 justify-center">
                  {item.checked === true ? "✓" : item.icon}
                </span>
                {item.text}
              </DropdownMenu.Item>
            ),
          )}
        </DropdownMenu.Content>
      </DropdownMenu.Portal>
    </DropdownMenu.Root>
  );
}
