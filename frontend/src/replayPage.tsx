import { useCallback, useMemo, useState, type ReactNode } from 'react';

import { MessageList } from './chat/MessageList';
import { QueueList } from './chat/QueueList';
import { path, siblings, tipOf } from './core/path';
import { r } from './i18n/replay';
import type { Run } from './protocol/types';
import { ReplayView, type Instant } from './replay/ReplayView';
import { TasksThen } from './tasks/TasksThen';

interface Props {
  id: string;
  /** As the address says it. */
  n: string | null;
  /** Goes to the address of an instant. */
  onN: (n: number | undefined, replace: boolean) => void;
  linkTo: (n: number | undefined) => string;
  onClose: () => void;
  onOther: (conversationId: string) => void;
  start?: ReactNode;
}

/** The replay of a conversation, drawn with the parts of the live page. */
export function ReplayPage({ n, onN, ...rest }: Props) {
  const at = n !== null && /^[1-9]\d{0,9}$/.test(n) ? Number(n) : undefined;
  const go = useCallback((to: number | undefined, how: 'jump' | 'step') => onN(to, how === 'step'), [onN]);
  return (
    <ReplayView
      {...rest}
      n={at}
      onN={go}
      chat={(instant, onTask) => <Chat instant={instant} onTask={onTask} />}
      tasks={({ tasks, touched, now }) => <TasksThen byId={tasks.byId} touched={touched} now={now} />}
    />
  );
}

const nothing = () => undefined;
const none: never[] = [];

function Chat({ instant, onTask }: { instant: Instant; onTask: (id: number) => void }) {
  const { conversation, draft } = instant;
  // Another branch than the one that was current then, as long as the reader stays.
  const [branch, setBranch] = useState<{ n: number; tip: string }>();
  const tip = branch?.n === conversation.n ? branch.tip : undefined;
  const { shown, queued } = useMemo(() => {
    const all = path(conversation, tip);
    return { shown: all.filter((x) => x.status !== 'queued'), queued: all.filter((x) => x.status === 'queued') };
  }, [conversation, tip]);
  const version = useCallback(
    (run: Run, index: number) => {
      const chosen = siblings(conversation, run)[index];
      if (chosen) setBranch({ n: conversation.n, tip: tipOf(conversation, chosen).run_id });
    },
    [conversation],
  );

  return (
    <>
      {shown.length === 0 ? (
        <p id="messages" tabIndex={-1} className="measure flex-1 pt-8 text-control text-muted">
          {r.nothingYet}
        </p>
      ) : (
        <MessageList
          conversation={conversation}
          runs={shown}
          draft={draft}
          pending={none}
          connected
          stopping={none}
          idle={false}
          loadOlder={() => Promise.resolve()}
          onVersion={version}
          onEdit={nothing}
          onAgain={nothing}
          onEditPending={nothing}
          onTask={onTask}
        />
      )}
      <QueueList
        items={queued.map((x) => ({ id: x.run_id, text: x.message.text }))}
        onEdit={nothing}
        onRemove={nothing}
      />
    </>
  );
}
