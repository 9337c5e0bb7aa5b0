import {
  createContext,
  use,
  useCallback,
  useEffect,
  useId,
  useLayoutEffect,
  useRef,
  useState,
  type KeyboardEvent,
  type ReactNode,
} from 'react';

import { cx } from './cx';

interface MenuProps {
  /** The trigger's accessible name. */
  label: string;
  /** What the trigger shows. */
  trigger: ReactNode;
  triggerClass?: string;
  children: ReactNode;
  /** Where the menu opens when there is room. */
  side?: 'below' | 'above';
}

const gap = 4;

const Close = createContext<(back: boolean) => void>(() => undefined);

/**
 * A menu in the top layer, so that no scrolling ancestor cuts it. Arrow keys,
 * Home and End move, Escape and a click elsewhere close.
 */
export function Menu({ label, trigger, triggerClass, children, side = 'below' }: MenuProps) {
  const [open, setOpen] = useState(false);
  const id = useId();
  const button = useRef<HTMLButtonElement>(null);
  const panel = useRef<HTMLDivElement>(null);

  const close = useCallback((back: boolean) => {
    setOpen(false);
    if (back) button.current?.focus();
  }, []);

  useLayoutEffect(() => {
    const menu = panel.current;
    const from = button.current?.getBoundingClientRect();
    if (!open || !menu || !from) return;
    // jsdom and old browsers have no top layer; the menu is then just above the page.
    if ('showPopover' in menu) menu.showPopover();
    const { width, height } = menu.getBoundingClientRect();
    const rtl = getComputedStyle(menu).direction === 'rtl';
    const below = from.bottom + gap;
    const above = from.top - gap - height;
    const wanted = side === 'below' ? below : above;
    const fits = wanted >= gap && wanted + height <= innerHeight - gap;
    const top = fits ? wanted : side === 'below' ? above : below;
    const left = rtl ? from.left : from.right - width;
    menu.style.setProperty('top', `${Math.max(gap, Math.min(top, innerHeight - height - gap))}px`);
    menu.style.setProperty('left', `${Math.max(gap, Math.min(left, innerWidth - width - gap))}px`);
    items(menu)[0]?.focus();
  }, [open, side]);

  useEffect(() => {
    if (!open) return;
    const outside = (e: Event) => {
      const target = e.target as Node;
      if (!panel.current?.contains(target) && !button.current?.contains(target)) setOpen(false);
    };
    const gone = () => setOpen(false);
    document.addEventListener('pointerdown', outside, true);
    addEventListener('resize', gone);
    return () => {
      document.removeEventListener('pointerdown', outside, true);
      removeEventListener('resize', gone);
    };
  }, [open]);

  function key(e: KeyboardEvent<HTMLDivElement>) {
    const all = panel.current ? items(panel.current) : [];
    const at = all.indexOf(document.activeElement as HTMLElement);
    const go = (i: number) => {
      e.preventDefault();
      all.at(i % all.length)?.focus();
    };
    if (e.key === 'ArrowDown') go(at + 1);
    else if (e.key === 'ArrowUp') go(at - 1);
    else if (e.key === 'Home') go(0);
    else if (e.key === 'End') go(-1);
    else if (e.key === 'Escape' || e.key === 'Tab') {
      e.preventDefault();
      e.stopPropagation();
      close(true);
    }
  }

  return (
    <>
      <button
        ref={button}
        type="button"
        aria-label={label}
        title={label}
        aria-haspopup="menu"
        aria-expanded={open}
        aria-controls={open ? id : undefined}
        onClick={(e) => {
          e.stopPropagation();
          setOpen(!open);
        }}
        className={cx(
          'inline-flex target shrink-0 items-center justify-center rounded-sm text-muted transition-colors hover:bg-raised hover:text-text aria-expanded:bg-raised',
          triggerClass,
        )}
      >
        {trigger}
      </button>
      {open && (
        <div
          ref={panel}
          id={id}
          role="menu"
          aria-label={label}
          tabIndex={-1}
          popover="manual"
          onKeyDown={key}
          className="appear fixed m-0 max-h-[80dvh] min-w-44 overflow-y-auto rounded-md border border-line bg-bg p-1 text-text shadow-float"
        >
          <Close value={close}>{children}</Close>
        </div>
      )}
    </>
  );
}

function items(menu: HTMLElement): HTMLElement[] {
  return [...menu.querySelectorAll<HTMLElement>('[role^="menuitem"]')];
}

interface MenuItemProps {
  icon?: ReactNode;
  children: ReactNode;
  onSelect: () => void;
  danger?: boolean;
  /** The focus goes elsewhere, instead of back to the trigger. */
  moves?: boolean;
  /** Makes it one of a set of choices. */
  checked?: boolean;
}

export function MenuItem({ icon, children, onSelect, danger, moves = false, checked }: MenuItemProps) {
  const close = use(Close);
  return (
    <button
      type="button"
      role={checked === undefined ? 'menuitem' : 'menuitemradio'}
      aria-checked={checked}
      tabIndex={-1}
      onClick={(e) => {
        e.stopPropagation();
        close(!moves);
        onSelect();
      }}
      className={cx(
        'flex target-row w-full items-center gap-2.5 rounded-sm px-2.5 text-start text-control hover:bg-raised focus-visible:bg-raised focus-visible:-outline-offset-2',
        danger && 'text-danger',
      )}
    >
      <span className="inline-flex w-4 shrink-0 justify-center" aria-hidden="true">
        {icon}
      </span>
      {children}
    </button>
  );
}

export function MenuLine() {
  return <hr className="my-1 border-t border-line" />;
}

export function MenuLabel({ children }: { children: ReactNode }) {
  return <p className="px-2.5 pt-1.5 pb-1 text-caption text-muted">{children}</p>;
}
