import { ArrowUp, Square, X } from 'lucide-react';
import {
  useEffect,
  useImperativeHandle,
  useLayoutEffect,
  useMemo,
  useRef,
  useState,
  type KeyboardEvent,
  type Ref,
} from 'react';

import { loadBlocks, loadDraft, saveBlocks, saveDraft } from '../core/drafts';
import type { Model } from '../protocol/types';
import { t } from '../i18n/t';
import { useAnnounce } from '../ui/announce';
import { Button, IconButton } from '../ui/Button';
import { cx } from '../ui/cx';
import { singleKeys } from '../ui/prefs';
import { touch, useMedia } from '../ui/useMedia';
import { join, joinedSize, size } from './length';
import { PastedBlocks } from './PastedBlocks';

export interface MessageInputHandle {
  focus: () => void;
  /** Puts words into the box, instead of those that were there. */
  set: (text: string) => void;
  /** The same for an earlier message; the draft, pasted texts and all, waits until that is over. */
  edit: (text: string) => void;
}

interface Props {
  ref?: Ref<MessageInputHandle>;
  /** Whose draft it is: a conversation id or "new". */
  draftKey: string;
  maxChars: number;
  model: Model | undefined;
  /** Whether there is something to stop. */
  running: boolean;
  stopping: boolean;
  /** Set while an earlier message is being edited. */
  editing: boolean;
  /** Whether the answer to the message that is edited has changed something. */
  changed?: boolean;
  onSend: (text: string) => void;
  onStop: () => void;
  onCancelEdit: () => void;
  /** Up arrow in an empty box. */
  onEditLast: () => void;
  /** Somebody pastes a file, which there is no way to send. */
  onFiles?: () => void;
}

/** From how many characters on a pasted text becomes a block beside the box. */
const long = 2000;

/** From which share of the limit on characters are counted. */
const countFrom = 0.9;

/** The box that one writes in. It is never disabled: typing always works. */
export function MessageInput(props: Props) {
  const { ref, draftKey, maxChars, model, running, stopping, editing, onSend, onStop } = props;
  const [text, setText] = useState(() => loadDraft(draftKey));
  const [blocks, setBlocks] = useState(() => loadBlocks(draftKey));
  const [key, setKey] = useState(draftKey);
  const box = useRef<HTMLTextAreaElement>(null);
  const byFinger = useMedia(touch);
  const announce = useAnnounce();
  if (key !== draftKey) {
    setKey(draftKey);
    setText(loadDraft(draftKey));
    setBlocks(loadBlocks(draftKey));
  }

  const sizes = useMemo(() => blocks.map(size), [blocks]);
  const length = joinedSize(text, sizes);
  const over = length - maxChars;
  const something = text.trim() !== '' || blocks.length > 0;
  const canSend = something && over <= 0;

  function change(next: string) {
    setText(next);
    // What stands in the box while editing is no draft.
    if (!editing) saveDraft(draftKey, next);
  }

  function changeBlocks(next: readonly string[]) {
    setBlocks(next);
    if (!editing) saveBlocks(draftKey, next);
  }

  /** Back to what was there before an earlier message was edited. */
  function restore() {
    setText(loadDraft(draftKey));
    setBlocks(loadBlocks(draftKey));
  }

  /** Takes a text that would fill the box as a block; false for what the browser had better insert itself. */
  function takeIn(data: DataTransfer): boolean {
    const pasted = data.getData('text/plain');
    const el = box.current;
    if (pasted === '' && data.files.length > 0) props.onFiles?.();
    if (pasted.length <= long || pasted.trim() === '' || !el) return false;
    // As with any paste, what is selected makes room.
    if (el.selectionStart !== el.selectionEnd) change(text.slice(0, el.selectionStart) + text.slice(el.selectionEnd));
    changeBlocks([...blocks, pasted]);
    announce(t.chat.pastedAdded(size(pasted)));
    return true;
  }

  function editBlock(index: number) {
    change(join(text, blocks.slice(index, index + 1)));
    removeBlock(index);
  }

  function removeBlock(index: number) {
    changeBlocks(blocks.filter((_, i) => i !== index));
    box.current?.focus();
  }

  useImperativeHandle(
    ref,
    () => ({
      focus: () => box.current?.focus(),
      set: put,
      edit(next) {
        setBlocks([]);
        put(next);
      },
    }),
    [],
  );

  function put(next: string) {
    setText(next);
    requestAnimationFrame(() => {
      const el = box.current;
      el?.focus();
      el?.setSelectionRange(next.length, next.length);
    });
  }

  // The height follows the text where the browser cannot do it by itself (field-sizing).
  useLayoutEffect(() => {
    const el = box.current;
    if (!el || (typeof CSS !== 'undefined' && 'supports' in CSS && CSS.supports('field-sizing', 'content'))) return;
    el.style.setProperty('height', 'auto');
    el.style.setProperty('height', `${el.scrollHeight}px`);
  }, [text]);

  useEffect(() => {
    if (!byFinger) box.current?.focus();
  }, [draftKey, byFinger]);

  function send() {
    if (!canSend) return;
    if (!editing) {
      saveDraft(draftKey, '');
      saveBlocks(draftKey, []);
    }
    restore();
    onSend(join(text, blocks));
    box.current?.focus();
  }

  function keyDown(e: KeyboardEvent<HTMLTextAreaElement>) {
    // Safari ends a composition with a key event that only the old key code gives away.
    // eslint-disable-next-line @typescript-eslint/no-deprecated
    if (e.nativeEvent.isComposing || e.nativeEvent.keyCode === 229) return;
    if (e.key === 'Enter' && !e.shiftKey && !e.altKey && !(byFinger && !e.ctrlKey && !e.metaKey)) {
      e.preventDefault();
      send();
    } else if (e.key === 'ArrowUp' && !something && text === '' && !editing && !e.altKey && singleKeys()) {
      e.preventDefault();
      props.onEditLast();
    } else if (e.key === 'Escape' && editing) {
      e.preventDefault();
      e.stopPropagation();
      cancelEdit();
    }
  }

  function cancelEdit() {
    restore();
    props.onCancelEdit();
    box.current?.focus();
  }

  return (
    <form
      className="no-print measure shrink-0 pb-[calc(0.5rem+env(safe-area-inset-bottom))]"
      onSubmit={(e) => {
        e.preventDefault();
        send();
      }}
    >
      {editing && (
        <div className="mb-1 flex items-center justify-between gap-2 ps-2 text-meta text-muted">
          {props.changed ? t.chat.editingChanged : t.chat.editing}
          <IconButton label={t.common.cancel} onClick={cancelEdit}>
            <X size={16} aria-hidden />
          </IconButton>
        </div>
      )}
      <PastedBlocks blocks={blocks} editable={maxChars} onEdit={editBlock} onRemove={removeBlock} />
      <div
        className={cx(
          'flex items-end gap-1 rounded-lg border bg-bg py-1 ps-4 pe-1.5 focus-within:border-accent focus-within:outline-2 focus-within:-outline-offset-1 focus-within:outline-accent',
          over > 0 ? 'border-danger' : 'border-edge',
        )}
      >
        <textarea
          ref={box}
          id="composer"
          aria-label={t.chat.composer}
          aria-describedby="composer-note"
          aria-invalid={over > 0}
          placeholder={t.chat.composer}
          value={text}
          onChange={(e) => change(e.target.value)}
          onKeyDown={keyDown}
          onPaste={(e) => {
            if (takeIn(e.clipboardData)) e.preventDefault();
          }}
          onDrop={(e) => {
            if (takeIn(e.dataTransfer)) e.preventDefault();
          }}
          rows={1}
          dir="auto"
          enterKeyHint={byFinger ? 'enter' : 'send'}
          autoComplete="off"
          className="field-sizing-content max-h-[40dvh] min-h-10 min-w-0 flex-1 resize-none bg-transparent py-1.75 text-body outline-none pointer-coarse:min-h-11"
        />
        {running && (
          <Button onClick={onStop} disabled={stopping} aria-label={t.chat.stop} className="my-0.5 rounded-full px-3.5">
            <Square size={12} aria-hidden fill="currentColor" />
            {stopping ? t.chat.stopping : t.chat.stop}
          </Button>
        )}
        {(!running || something) && (
          <button
            type="submit"
            disabled={!canSend}
            aria-label={t.chat.send}
            title={t.chat.send}
            className="my-0.5 inline-flex size-9 shrink-0 items-center justify-center rounded-full bg-accent text-on-accent transition-[background-color,opacity] hover:opacity-90 disabled:bg-raised disabled:text-muted disabled:opacity-100 pointer-coarse:size-11"
          >
            <ArrowUp size={20} aria-hidden />
          </button>
        )}
      </div>
      <p
        id="composer-note"
        className="flex min-h-6 items-center justify-between gap-3 px-2 pt-1 text-caption text-muted"
      >
        {model?.demo === true ? (
          <span
            className="pill inline-flex items-center rounded-full bg-warn-soft px-2 text-warn"
            title={t.chat.demoHint}
          >
            {t.chat.demo}
          </span>
        ) : (
          <span>{model ? model.label : ''}</span>
        )}
        {over > 0 ? (
          <span className="tabular text-danger">{t.chat.tooLong(over)}</span>
        ) : length >= maxChars * countFrom ? (
          <span className="tabular">{t.chat.count(length, maxChars)}</span>
        ) : (
          !byFinger && <span className="hidden md:inline">{t.chat.enterHint}</span>
        )}
      </p>
    </form>
  );
}
