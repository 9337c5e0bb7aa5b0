import { Check, Pencil, Undo2, X } from 'lucide-react';
import { useId, useState, type ReactNode } from 'react';

import { useActions, useStore } from '../core/react';
import { clock, day } from '../i18n/format';
import { more } from '../i18n/more';
import type { Call } from '../protocol/types';
import { Button } from '../ui/Button';
import { plannedSummary, pretty } from './summaries';

const words = more.approval;

type Arguments = Readonly<Record<string, unknown>>;
type Draft = Readonly<Record<string, string>>;

/** What a call was asked with, if that is an object. */
function argumentsOf(call: Call): Arguments | undefined {
  const a: unknown = call.arguments;
  return typeof a === 'object' && a !== null && !Array.isArray(a) ? (a as Arguments) : undefined;
}

/** A value as it is edited: text as it is, anything else as JSON. */
function toDraft(v: unknown): string {
  return typeof v === 'string' ? v : pretty(v);
}

/** The arguments that a draft stands for, of the same kinds as before, or why it stands for none. */
function fromDraft(before: Arguments, draft: Draft): { args: Arguments } | { problem: string } {
  const args: Record<string, unknown> = {};
  for (const [name, was] of Object.entries(before)) {
    const text = draft[name] ?? toDraft(was);
    if (typeof was === 'string') args[name] = text;
    else if (typeof was === 'number') {
      if (text.trim() === '' || !Number.isFinite(Number(text))) return { problem: words.noNumber(name) };
      args[name] = Number(text);
    } else {
      try {
        args[name] = JSON.parse(text);
      } catch {
        return { problem: words.noJSON(name) };
      }
    }
  }
  return { args };
}

interface Props {
  call: Call;
  connected: boolean;
}

/**
 * Asks whether a call may happen. It says exactly what would change; no key and no
 * focus leads to a decision that nobody has made.
 */
export function Approval({ call, connected }: Props) {
  const actions = useActions();
  const [draft, setDraft] = useState<Draft>();
  const [told, setTold] = useState(false);
  const before = argumentsOf(call);
  const edited = before && draft ? fromDraft(before, draft) : undefined;
  const args = edited && 'args' in edited ? edited.args : before;
  const problem = edited && 'problem' in edited ? edited.problem : undefined;
  const changed = args !== undefined && JSON.stringify(args) !== JSON.stringify(before);
  const expires = call.expires_at === undefined ? undefined : new Date(call.expires_at);

  async function decide(decision: 'allow' | 'deny') {
    setTold(true);
    const sent = await actions.answer(call.call_id, decision, decision === 'allow' && changed ? args : undefined);
    if (!sent) setTold(false);
  }

  return (
    <section aria-label={words.label(plannedSummary(call))} className="space-y-2 ps-7.5 pe-2 pb-2 text-control">
      <Change call={call} args={args ?? {}} />
      {before && draft && (
        <Fields before={before} draft={draft} onChange={(name, value) => setDraft({ ...draft, [name]: value })} />
      )}
      {problem !== undefined && (
        <p role="alert" className="text-meta text-danger">
          {problem}
        </p>
      )}
      <div className="text-meta text-muted">
        {words.exactly}
        <pre
          dir="ltr"
          tabIndex={0}
          aria-label={words.exactly}
          className="mt-1 max-h-48 overflow-auto rounded-sm border border-line bg-bg px-2.5 py-2 text-left font-mono text-caption break-words whitespace-pre-wrap text-text"
        >
          {call.name} {pretty(args ?? call.arguments)}
        </pre>
      </div>
      <div className="flex flex-wrap items-center gap-2">
        <Button kind="danger" disabled={told || !connected} onClick={() => void decide('deny')} className="bg-bg">
          <X size={16} aria-hidden />
          {words.deny}
        </Button>
        {before && Object.keys(before).length > 0 && (
          <Button disabled={told} onClick={() => setDraft(draft ? undefined : {})}>
            {draft ? <Undo2 size={16} aria-hidden /> : <Pencil size={16} aria-hidden />}
            {draft ? words.back : words.edit}
          </Button>
        )}
        <Button
          kind="primary"
          disabled={told || !connected || problem !== undefined}
          onClick={() => void decide('allow')}
        >
          <Check size={16} aria-hidden />
          {changed ? words.allowChanged : words.allow}
        </Button>
        <span role="status" className="text-meta text-muted">
          {told ? words.told : connected ? '' : words.offline}
        </span>
      </div>
      {expires && !Number.isNaN(expires.getTime()) && (
        <p className="text-caption text-muted">{words.until(`${day(expires, new Date())}, ${clock(expires)}`)}</p>
      )}
    </section>
  );
}

/** What would be different afterwards, from the list as it is now. */
function Change({ call, args }: { call: Call; args: Arguments }) {
  const id = typeof args.task_id === 'number' ? args.task_id : undefined;
  const task = useStore((s) => (id === undefined ? undefined : s.tasks.byId[id]));
  const title = task?.title ?? (typeof args.title === 'string' ? args.title : id === undefined ? '' : `#${id}`);
  const will = Object.hasOwn(words.will, call.name) ? words.will[call.name] : undefined;
  if (!will) return <p>{words.other(call.name, call.server)}</p>;
  const rows =
    call.name === 'update_task' || call.name === 'add_task'
      ? Object.entries(args).filter(([name]) => name !== 'task_id' && !(call.name === 'add_task' && name === 'title'))
      : [];
  return (
    <>
      <p dir="auto">{will(title)}</p>
      {rows.length > 0 && (
        <dl className="space-y-1 text-meta">
          {rows.map(([name, value]) => {
            const was = call.name === 'update_task' ? (task as Arguments | undefined)?.[name] : undefined;
            return (
              <div key={name} className="flex flex-wrap items-baseline gap-x-2">
                <dt className="text-muted">{words.fields[name] ?? name}</dt>
                <dd dir="auto" className="min-w-0 break-words">
                  {call.name === 'update_task' && (
                    <>
                      <Value value={was} struck /> <span className="text-muted">{words.becomes}</span>{' '}
                    </>
                  )}
                  <Value value={value} />
                </dd>
              </div>
            );
          })}
        </dl>
      )}
    </>
  );
}

function Value({ value, struck = false }: { value: unknown; struck?: boolean }): ReactNode {
  const empty = value === undefined || value === null || value === '';
  const text = empty ? words.nothing : toDraft(value);
  if (empty) return <i className="text-muted">{text}</i>;
  return struck ? <del className="text-muted">{text}</del> : <strong className="font-medium">{text}</strong>;
}

interface FieldsProps {
  before: Arguments;
  draft: Draft;
  onChange: (name: string, value: string) => void;
}

function Fields({ before, draft, onChange }: FieldsProps) {
  const id = useId();
  const look = 'mt-1 w-full rounded-sm border border-edge bg-bg px-2 py-1.5 text-control font-normal text-text';
  return (
    <div className="space-y-2">
      {Object.entries(before).map(([name, was]) => {
        const value = draft[name] ?? toDraft(was);
        const label = words.fields[name] ?? name;
        const common = { id: `${id}-${name}`, value, dir: 'auto', className: look } as const;
        return (
          <div key={name} className="text-meta font-medium">
            <label htmlFor={common.id}>{label}</label>
            {typeof was === 'boolean' ? (
              <select {...common} onChange={(e) => onChange(name, e.target.value)}>
                <option value="true">{words.yes}</option>
                <option value="false">{words.no}</option>
              </select>
            ) : typeof was === 'string' || typeof was === 'object' ? (
              <textarea
                {...common}
                rows={Math.min(8, value.split('\n').length)}
                onChange={(e) => onChange(name, e.target.value)}
              />
            ) : (
              <input {...common} inputMode="decimal" onChange={(e) => onChange(name, e.target.value)} />
            )}
          </div>
        );
      })}
    </div>
  );
}
