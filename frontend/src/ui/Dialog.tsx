import { X } from 'lucide-react';
import { useEffect, useRef, type ReactNode } from 'react';

import { t } from '../i18n/t';
import { IconButton } from './Button';
import { cx } from './cx';
import { useTopDialog } from './topLayer';

type Place = 'centre' | 'start' | 'end' | 'bottom';

const places: Readonly<Record<Place, string>> = {
  centre: 'm-auto max-h-[85dvh] w-[min(28rem,calc(100vw-2rem))] rounded-lg',
  start: 'sheet-start my-0 ms-0 me-auto h-dvh max-h-dvh w-[min(20rem,calc(100vw-3rem))] border-e border-line',
  end: 'sheet-end my-0 ms-auto me-0 h-dvh max-h-dvh w-[min(22rem,calc(100vw-3rem))] border-s border-line',
  bottom: 'sheet-bottom mx-0 mt-auto mb-0 h-[min(82dvh,44rem)] w-screen max-w-none rounded-t-lg',
};

interface DialogProps {
  open: boolean;
  onClose: () => void;
  label: string;
  place?: Place;
  /** Shows the label and a button to close. */
  heading?: boolean;
  /** False for what cannot be put off. */
  closable?: boolean;
  children: ReactNode;
}

/** A native modal dialog: in the middle, or as a sheet from one side. */
export function Dialog({ open, onClose, label, place = 'centre', heading, closable = true, children }: DialogProps) {
  const dialog = useRef<HTMLDialogElement>(null);
  useTopDialog(dialog, open);

  useEffect(() => {
    const d = dialog.current;
    if (!d || d.open === open) return;
    if (open) d.showModal();
    else d.close();
  }, [open]);

  return (
    <dialog
      ref={dialog}
      aria-label={label}
      className={cx('sheet flex-col overflow-hidden bg-bg p-0 text-text shadow-float open:flex', places[place])}
      onCancel={(e) => {
        // The page decides; the browser would close it behind React's back.
        e.preventDefault();
        if (closable && e.target === e.currentTarget) onClose();
      }}
      onKeyDown={(e) => {
        if (e.key !== 'Escape' || e.nativeEvent.isComposing) return;
        // One Escape closes one dialog; browsers may take several at once.
        e.stopPropagation();
        e.preventDefault();
        if (closable) onClose();
      }}
      onClose={(e) => {
        if (open && e.target === e.currentTarget) onClose();
      }}
      onClick={(e) => {
        if (closable && e.target === e.currentTarget) onClose();
      }}
    >
      {heading && (
        <div className="flex items-center justify-between gap-2 border-b border-line py-2 ps-4 pe-2">
          <h2 className="text-h3 font-semibold">{label}</h2>
          <IconButton label={t.common.close} onClick={onClose}>
            <X size={20} aria-hidden />
          </IconButton>
        </div>
      )}
      {/* Clicks on the padding of the dialog itself mean the backdrop. */}
      {open && <div className="flex min-h-0 flex-1 flex-col">{children}</div>}
    </dialog>
  );
}
