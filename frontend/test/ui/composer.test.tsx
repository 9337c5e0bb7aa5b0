import { act, fireEvent, render, screen } from '@testing-library/react';
import userEvent from '@testing-library/user-event';
import { useRef } from 'react';

import { MessageInput, type MessageInputHandle } from '../../src/chat/MessageInput';

type Props = Partial<React.ComponentProps<typeof MessageInput>>;

function draw(props: Props = {}) {
  const sent: string[] = [];
  const onStop = jest.fn();
  const onEditLast = jest.fn();
  const onCancelEdit = jest.fn();
  const onFiles = jest.fn();
  let handle: MessageInputHandle | null = null;
  function Under(more: Props) {
    const ref = useRef<MessageInputHandle>(null);
    return (
      <>
        <MessageInput
          ref={(h) => {
            ref.current = h;
            handle = h;
          }}
          draftKey="new"
          maxChars={8000}
          model={undefined}
          running={false}
          stopping={false}
          editing={false}
          onSend={(text) => sent.push(text)}
          onStop={onStop}
          onCancelEdit={onCancelEdit}
          onEditLast={onEditLast}
          onFiles={onFiles}
          {...props}
          {...more}
        />
      </>
    );
  }
  const { rerender } = render(<Under />);
  return {
    sent,
    onStop,
    onEditLast,
    onCancelEdit,
    onFiles,
    handle: () => handle,
    again: (more: Props) => rerender(<Under {...more} />),
    box: screen.getByRole<HTMLTextAreaElement>('textbox', { name: 'Message Parley' }),
    user: userEvent.setup(),
  };
}

const byFinger = (yes: boolean) => {
  window.matchMedia = ((query: string) => ({
    matches: yes && query.includes('coarse'),
    addEventListener: () => undefined,
    removeEventListener: () => undefined,
  })) as unknown as typeof window.matchMedia;
};

beforeEach(() => {
  localStorage.clear();
  byFinger(false);
});

test('[1] Enter sends, Shift+Enter breaks the line', async () => {
  const { sent, box, user } = draw();
  await user.type(box, 'one{Shift>}{Enter}{/Shift}two');
  expect(box).toHaveValue('one\ntwo');
  await user.keyboard('{Enter}');
  expect(sent).toEqual(['one\ntwo']);
  expect(box).toHaveValue('');
  expect(box).toHaveFocus();
});

test('[1] under a finger Enter breaks the line and the button sends', async () => {
  byFinger(true);
  const { sent, box, user } = draw();
  await user.type(box, 'one{Enter}two');
  expect(sent).toEqual([]);
  await user.click(screen.getByRole('button', { name: 'Send' }));
  expect(sent).toEqual(['one\ntwo']);
});

test('[2] Enter never sends in the middle of a composition', () => {
  const { sent, box } = draw();
  fireEvent.change(box, { target: { value: '日本' } });
  fireEvent.keyDown(box, { key: 'Enter', isComposing: true });
  fireEvent.keyDown(box, { key: 'Enter', keyCode: 229 });
  expect(sent).toEqual([]);
  fireEvent.keyDown(box, { key: 'Enter' });
  expect(sent).toEqual(['日本']);
});

test('blank text is not sent', async () => {
  const { sent, box, user } = draw();
  await user.type(box, '  {Enter}');
  expect(sent).toEqual([]);
  expect(screen.getByRole('button', { name: 'Send' })).toBeDisabled();
});

test('[11] counts code points and refuses what is too long', () => {
  const { sent, box } = draw({ maxChars: 10 });
  fireEvent.change(box, { target: { value: '👍'.repeat(10) } });
  expect(screen.getByText('10 of 10')).toBeInTheDocument();
  expect(screen.getByRole('button', { name: 'Send' })).toBeEnabled();
  fireEvent.change(box, { target: { value: '👍'.repeat(12) } });
  expect(screen.getByText('2 characters too many')).toBeInTheDocument();
  expect(box).toBeInvalid();
  fireEvent.keyDown(box, { key: 'Enter' });
  expect(sent).toEqual([]);
  expect(box).toHaveValue('👍'.repeat(12));
});

test('[5] keeps a draft for each conversation', async () => {
  const { box, user, again } = draw();
  await user.type(box, 'for the new one');
  again({ draftKey: 'c1' });
  expect(box).toHaveValue('');
  await user.type(box, 'for c1');
  again({ draftKey: 'new' });
  expect(box).toHaveValue('for the new one');
  await user.type(box, '{Enter}');
  again({ draftKey: 'c1' });
  expect(box).toHaveValue('for c1');
  again({ draftKey: 'new' });
  expect(box).toHaveValue('');
});

test('[4] [8] Stop stands beside Send while an answer is written; typing goes on', async () => {
  const { sent, onStop, box, user, again } = draw({ running: true });
  expect(screen.queryByRole('button', { name: 'Send' })).toBeNull();
  await user.click(screen.getByRole('button', { name: 'Stop' }));
  expect(onStop).toHaveBeenCalledTimes(1);
  again({ running: true, stopping: true });
  expect(screen.getByRole('button', { name: 'Stop' })).toBeDisabled();
  expect(screen.getByText('Stopping…')).toBeInTheDocument();
  await user.type(box, 'next{Enter}');
  expect(sent).toEqual(['next']);
});

test('[13] up in an empty box edits the last message; Escape gives up and brings the draft back', async () => {
  const { onEditLast, onCancelEdit, box, user, again, handle } = draw();
  await user.type(box, 'draft');
  await user.keyboard('{ArrowUp}');
  expect(onEditLast).not.toHaveBeenCalled();
  await user.clear(box);
  await user.keyboard('{ArrowUp}');
  expect(onEditLast).toHaveBeenCalledTimes(1);
  await user.type(box, 'kept');
  again({ editing: true });
  fireEvent.change(box, { target: { value: 'the old message' } });
  await user.type(box, '{Escape}');
  expect(onCancelEdit).toHaveBeenCalledTimes(1);
  expect(box).toHaveValue('kept');
  expect(handle()).not.toBeNull();
});

test('says that it is the demo model', () => {
  draw({ model: { name: 'demo', label: 'Demo', demo: true } });
  expect(screen.getByText('Demo model, no AI')).toBeInTheDocument();
});

test('[13] the box has the direction of its text, and the key of a phone says what it does', () => {
  const { box } = draw();
  expect(box).toHaveAttribute('dir', 'auto');
  expect(box).toHaveAttribute('enterkeyhint', 'send');
});

describe('a long text that is pasted', () => {
  const pasted = () => screen.queryByRole('list', { name: 'Pasted texts' });
  const paste = (box: HTMLElement, text: string, files: unknown[] = []) =>
    fireEvent.paste(box, { clipboardData: { getData: () => text, files } });
  const notes = 'line\n'.repeat(500); // 2,500 characters

  test('[11] becomes a block, and goes out below what was typed', async () => {
    const { sent, box, user } = draw();
    await user.type(box, 'Tasks of these:');
    expect(paste(box, notes)).toBe(false); // the browser inserts nothing
    expect(box).toHaveValue('Tasks of these:');
    expect(pasted()).toHaveTextContent('Pasted, 2,500 characters');
    await user.type(box, '{Enter}');
    expect(sent).toEqual([`Tasks of these:\n\n${notes}`]);
    expect(pasted()).toBeNull();
  });

  test('[11] up to 2,000 characters the browser inserts it as ever', () => {
    const { box } = draw();
    expect(paste(box, 'x'.repeat(2000))).toBe(true);
    expect(pasted()).toBeNull();
  });

  test('[11] is counted with the rest, and refused beyond what the server takes', async () => {
    const { sent, box, user } = draw();
    paste(box, notes);
    paste(box, 'x'.repeat(5600));
    expect(screen.getByText('102 characters too many')).toBeInTheDocument();
    await user.type(box, '{Enter}');
    expect(sent).toEqual([]);
    await user.click(screen.getAllByRole('button', { name: 'Remove the pasted text' })[1]!);
    await user.type(box, '{Enter}');
    expect(sent).toEqual([notes]);
  });

  test('[11] of a million characters neither reaches the box nor the drafts', () => {
    const { box } = draw();
    paste(box, 'x'.repeat(1_000_000));
    expect(box).toHaveValue('');
    expect(screen.getByText('992,000 characters too many')).toBeInTheDocument();
    expect(screen.queryByRole('button', { name: 'Edit it in the box' })).toBeNull();
    expect(JSON.stringify(localStorage).length).toBeLessThan(1000);
  });

  test('[11] takes the place of what is selected, and can be edited in the box', async () => {
    const { box, user } = draw();
    await user.type(box, 'old');
    box.setSelectionRange(0, 3);
    paste(box, notes);
    expect(box).toHaveValue('');
    await user.click(screen.getByRole('button', { name: 'Edit it in the box' }));
    expect(box).toHaveValue(notes);
    expect(pasted()).toBeNull();
  });

  test('[5] belongs to the draft of its conversation', () => {
    const { box, again } = draw();
    paste(box, notes);
    again({ draftKey: 'c1' });
    expect(pasted()).toBeNull();
    again({ draftKey: 'new' });
    expect(pasted()).toHaveTextContent('2,500 characters');
  });

  test('[24] waits while an earlier message is edited', async () => {
    const { sent, box, user, again, handle } = draw();
    paste(box, notes);
    act(() => handle()?.edit('an earlier one'));
    again({ editing: true });
    expect(pasted()).toBeNull();
    await user.type(box, '{Enter}');
    expect(sent).toEqual(['an earlier one']);
    expect(pasted()).toHaveTextContent('2,500 characters');
  });

  test('[12] there is nothing to send files with, and the box says so', () => {
    const { onFiles, box } = draw();
    paste(box, '', [{}]);
    expect(onFiles).toHaveBeenCalledTimes(1);
    expect(screen.queryByRole('button', { name: /attach|file/i })).toBeNull();
  });
});
