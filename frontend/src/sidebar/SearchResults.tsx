import { Archive, MessageSquareText, User } from 'lucide-react';
import { useEffect, useRef, useState } from 'react';

import { useActions } from '../core/react';
import { day } from '../i18n/format';
import { t } from '../i18n/t';
import { useAnnounce } from '../ui/announce';
import { Button } from '../ui/Button';
import { cx } from '../ui/cx';
import { Skeleton } from '../ui/Skeleton';
import { within } from '../ui/within';
import { decodeFound, type Found, type FoundPage, type Hit, type Piece } from './found';

interface Props {
  text: string;
  /** What is on screen: a conversation and perhaps one of its messages. */
  currentId: string | undefined;
  currentMessage: string | undefined;
  onOpen: (id: string, message?: string) => void;
}

/** How long the reader must pause before a search starts. */
const pause = 200;

/** How many hits of one conversation are shown when somebody asks for more. */
const mostHits = 50;

interface Results extends FoundPage {
  text: string;
}

/** What was said where: conversations with their hits, each a link to its message. */
export function SearchResults({ text, currentId, currentMessage, onOpen }: Props) {
  const actions = useActions();
  const announce = useAnnounce();
  const [results, setResults] = useState<Results>();
  const [failed, setFailed] = useState<string>();
  const [tries, setTries] = useState(0);
  /** Grows with each search, so that a late answer finds nobody. */
  const turn = useRef(0);

  useEffect(() => {
    const mine = ++turn.current;
    const timer = setTimeout(() => {
      actions.read(decodeFound, ['search'], { q: text }).then(
        (page) => {
          if (mine !== turn.current) return;
          setResults({ ...page, text });
          setFailed(undefined);
          announce(page.data.length === 0 ? t.search.none(text) : t.search.found(page.data.length, page.has_more));
        },
        () => {
          if (mine === turn.current) setFailed(text);
        },
      );
    }, pause);
    return () => clearTimeout(timer);
  }, [actions, announce, text, tries]);

  async function older(from: Results) {
    const mine = turn.current;
    try {
      const page = await actions.read(decodeFound, ['search'], { q: from.text, after: from.after });
      if (mine !== turn.current) return;
      const known = new Set(from.data.map((f) => f.conversation_id));
      setResults({
        ...page,
        text: from.text,
        data: [...from.data, ...page.data.filter((f) => !known.has(f.conversation_id))],
      });
    } catch {
      if (mine === turn.current) actions.toast('error', t.search.failed);
    }
  }

  async function allOf(from: Results, id: string) {
    const mine = turn.current;
    try {
      const page = await actions.read(decodeFound, ['search'], { q: from.text, conversation_id: id, limit: mostHits });
      if (mine !== turn.current) return;
      const [whole] = page.data;
      if (whole) setResults({ ...from, data: from.data.map((f) => (f.conversation_id === id ? whole : f)) });
    } catch {
      if (mine === turn.current) actions.toast('error', t.search.failed);
    }
  }

  if (failed === text) {
    return (
      <div className="space-y-2 p-3">
        <p role="alert" className="text-control text-muted">
          {t.search.failed}
        </p>
        <Button
          onClick={() => {
            setFailed(undefined);
            setTries(tries + 1);
          }}
        >
          {t.common.tryAgain}
        </Button>
      </div>
    );
  }
  if (!results) return <Skeleton rows={6} />;
  if (results.data.length === 0) return <p className="p-3 text-control text-muted">{t.search.none(results.text)}</p>;
  return (
    <section aria-label={t.search.results} aria-busy={results.text !== text}>
      <ul className="space-y-2">
        {results.data.map((found) => (
          <FoundItem
            key={found.conversation_id}
            found={found}
            currentMessage={found.conversation_id === currentId ? (currentMessage ?? '') : undefined}
            onOpen={onOpen}
            onMore={() => void allOf(results, found.conversation_id)}
          />
        ))}
      </ul>
      {results.has_more && (
        <Button kind="quiet" className="mt-2 w-full" onClick={() => void older(results)}>
          {t.search.older}
        </Button>
      )}
    </section>
  );
}

interface ItemProps {
  found: Found;
  /** Of the conversation on screen: its message, or ''. */
  currentMessage: string | undefined;
  onOpen: (id: string, message?: string) => void;
  onMore: () => void;
}

function FoundItem({ found, currentMessage, onOpen, onMore }: ItemProps) {
  const id = found.conversation_id;
  const more = Math.min(found.total, mostHits) - found.hits.length;
  return (
    <li>
      <Link
        to={`/c/${id}`}
        current={currentMessage === ''}
        onOpen={() => onOpen(id)}
        className="items-center py-1.5 font-medium"
      >
        <span dir="auto" className="min-w-0 flex-1 truncate">
          {found.title.length > 0 ? <Pieces list={found.title} /> : t.sidebar.untitled}
        </span>
        {found.archived && (
          <span className="shrink-0 text-muted" title={t.search.archived}>
            <Archive size={14} aria-hidden />
            <span className="sr-only">, {t.search.archived}</span>
          </span>
        )}
        <span className="shrink-0 text-caption font-normal text-muted">
          {day(new Date(found.updated_at), new Date())}
        </span>
      </Link>
      {found.hits.length > 0 && (
        <ul className="space-y-px">
          {found.hits.map((hit) => (
            <HitItem
              key={hit.run_id}
              id={id}
              hit={hit}
              current={currentMessage === messageOf(hit)}
              onOpen={(message) => onOpen(id, message)}
            />
          ))}
        </ul>
      )}
      {more > 0 && (
        <Button kind="quiet" className="ms-1.5 px-1.5 text-meta" onClick={onMore}>
          {t.search.inHere(more)}
        </Button>
      )}
    </li>
  );
}

/** A question goes by its own id, an answer by that of its run. */
function messageOf(hit: Hit): string {
  return hit.by === 'user' ? hit.message_id : hit.run_id;
}

interface HitProps {
  id: string;
  hit: Hit;
  current: boolean;
  onOpen: (message: string) => void;
}

function HitItem({ id, hit, current, onOpen }: HitProps) {
  const message = messageOf(hit);
  const mine = hit.by === 'user';
  const Icon = mine ? User : MessageSquareText;
  return (
    <li>
      <Link
        to={`/c/${id}?m=${encodeURIComponent(message)}`}
        current={current}
        onOpen={() => onOpen(message)}
        className="items-start py-1 text-meta text-muted pointer-coarse:py-3"
      >
        <Icon size={14} aria-hidden className="mt-[3px] shrink-0" />
        <span className="min-w-0 flex-1">
          <span className="sr-only">{mine ? t.search.you : t.search.parley}: </span>
          <span dir="auto" className="line-clamp-3 break-words">
            <Pieces list={hit.excerpt} />
          </span>
        </span>
      </Link>
    </li>
  );
}

interface LinkProps {
  to: string;
  current: boolean;
  onOpen: () => void;
  className: string;
  children: React.ReactNode;
}

function Link({ to, current, onOpen, className, children }: LinkProps) {
  return (
    <a
      href={to}
      aria-current={current ? 'page' : undefined}
      onClick={within(onOpen)}
      className={cx(
        'flex gap-2 rounded-sm px-3 text-control pointer-coarse:min-h-11',
        current ? 'selected bg-accent-soft' : 'hover:bg-raised',
        className,
      )}
    >
      {children}
    </a>
  );
}

function Pieces({ list }: { list: readonly Piece[] }) {
  return list.map((p, i) =>
    p.hit ? (
      <mark key={i} className="rounded-[2px] bg-warn-soft font-medium text-warn">
        {p.text}
      </mark>
    ) : (
      <span key={i}>{p.text}</span>
    ),
  );
}
