import { createContext, use, useEffect, useMemo, useState, type ReactNode, type RefObject } from 'react';
import { createPortal } from 'react-dom';

interface Layers {
  /** The open modal dialogs, the uppermost last. */
  dialogs: readonly HTMLElement[];
  add: (el: HTMLElement) => () => void;
}

const Context = createContext<Layers>({ dialogs: [], add: () => () => undefined });

/** Knows which dialogs are open: everything outside the uppermost is inert. */
export function TopLayer({ children }: { children: ReactNode }) {
  const [dialogs, setDialogs] = useState<readonly HTMLElement[]>([]);
  const layers = useMemo<Layers>(
    () => ({
      dialogs,
      add(el) {
        setDialogs((now) => [...now, el]);
        return () => setDialogs((now) => now.filter((d) => d !== el));
      },
    }),
    [dialogs],
  );
  return <Context value={layers}>{children}</Context>;
}

/** Lets the page know of a dialog while it is open. */
export function useTopDialog(ref: RefObject<HTMLElement | null>, open: boolean): void {
  const { add } = use(Context);
  const [stable] = useState(() => add);
  useEffect(() => {
    if (open && ref.current) return stable(ref.current);
    return undefined;
  }, [open, ref, stable]);
}

/** Draws its children where they can be pressed and heard: in the uppermost dialog, if there is one. */
export function OnTop({ children }: { children: ReactNode }) {
  const top = use(Context).dialogs.at(-1);
  return top ? createPortal(children, top) : children;
}
