import { ArchiveRestore, ArrowLeft } from 'lucide-react';
import { useEffect, useRef, useState } from 'react';

import { useActions } from '../core/react';
import { t } from '../i18n/t';
import { decodeSummaries } from '../protocol/decode';
import type { Page, Summary } from '../protocol/types';
import { Button, IconButton } from '../ui/Button';
import { cx } from '../ui/cx';
import { Skeleton } from '../ui/Skeleton';
import { within } from '../ui/within';

interface Props {
  currentId: string | undefined;
  onOpen: (id: string) => void;
  onBack: () => void;
}

/** The conversations that were put away. */
export function ArchivedList({ currentId, onOpen, onBack }: Props) {
  const actions = useActions();
  const [page, setPage] = useState<Page<Summary> | 'failed'>();
  const back = useRef<HTMLButtonElement>(null);

  useEffect(() => {
    let gone = false;
    actions.read(decodeSummaries, ['conversations'], { archived: 'true', limit: 50 }).then(
      (p) => !gone && setPage(p),
      () => !gone && setPage('failed'),
    );
    // Whoever came by a key goes on from here.
    back.current?.focus();
    return () => {
      gone = true;
    };
  }, [actions]);

  async function more(from: Page<Summary>) {
    try {
      const next = await actions.read(decodeSummaries, ['conversations'], {
        archived: 'true',
        limit: 50,
        after: from.after,
      });
      setPage({ ...next, data: [...from.data, ...next.data] });
    } catch {
      actions.toast('error', t.sidebar.failed);
    }
  }

  async function takeBack(from: Page<Summary>, item: Summary) {
    setPage({ ...from, data: from.data.filter((i) => i !== item) });
    await actions.archive(item.conversation_id, false);
  }

  return (
    <section aria-label={t.sidebar.archived}>
      <h2 className="flex items-center gap-1 pb-1 text-control font-medium">
        <IconButton ref={back} label={t.sidebar.back} onClick={onBack}>
          <ArrowLeft size={16} aria-hidden className="rtl:-scale-x-100" />
        </IconButton>
        {t.sidebar.archived}
      </h2>
      {page === undefined ? (
        <Skeleton rows={4} />
      ) : page === 'failed' ? (
        <p className="p-3 text-control text-muted">{t.sidebar.failed}</p>
      ) : page.data.length === 0 ? (
        <p className="p-3 text-control text-muted">{t.sidebar.archivedNone}</p>
      ) : (
        <ul className="space-y-px">
          {page.data.map((item) => {
            const title = item.title === '' ? t.sidebar.untitled : item.title;
            const current = item.conversation_id === currentId;
            return (
              <li key={item.conversation_id} className="relative">
                <a
                  href={`/c/${item.conversation_id}`}
                  aria-current={current ? 'page' : undefined}
                  onClick={within(() => onOpen(item.conversation_id))}
                  className={cx(
                    'flex target-row items-center rounded-sm py-1.5 ps-3 pe-11 text-control',
                    current ? 'selected bg-accent-soft' : 'hover:bg-raised',
                  )}
                >
                  <span dir="auto" className="truncate">
                    {title}
                  </span>
                </a>
                <span className="absolute end-1 top-1/2 -translate-y-1/2">
                  <IconButton label={t.sidebar.unarchiveOf(title)} onClick={() => void takeBack(page, item)}>
                    <ArchiveRestore size={16} aria-hidden />
                  </IconButton>
                </span>
              </li>
            );
          })}
        </ul>
      )}
      {page !== undefined && page !== 'failed' && page.has_more && (
        <Button kind="quiet" className="w-full" onClick={() => void more(page)}>
          {t.sidebar.more}
        </Button>
      )}
    </section>
  );
}
