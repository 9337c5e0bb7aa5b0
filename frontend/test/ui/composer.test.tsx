import { fireEvent, render, screen } from '@testing-library/react';
import userEvent from '@testing-library/user-event';
import { useRef } from 'react';

import { MessageInput, type MessageInputHandle } from '../../src/chat/MessageInput';

type Props = Partial<React.ComponentProps<typeof MessageInput>>;

function draw(props: Props = {}) {
  const sent: string[] = [];
  const onStop = jest.fn();
  const onEditLast = jest.fn();
  const onCancelEdit = jest.fn();
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

test('Enter sends, Shift+Enter breaks the line', async () => {
  const { sent, box, user } = draw();
  await user.type(box, 'one{Shift>}{Enter}{/Shift}two');
  expect(box).toHaveValue('one\ntwo');
  await user.keyboard('{Enter}');
  expect(sent).toEqual(['one\ntwo']);
  expect(box).toHaveValue('');
  expect(box).toHaveFocus();
});

test('under a finger Enter breaks the line and the button sends', async () => {
  byFinger(true);
  const { sent, box, user } = draw();
  await user.type(box, 'one{Enter}two');
  expect(sent).toEqual([]);
  await user.click(screen.getByRole('button', { name: 'Send' }));
  expect(sent).toEqual(['one\ntwo']);
});

test('Enter never sends in the middle of a composition', () => {
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

test('counts code points and refuses what is too long', () => {
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

test('keeps a draft for each conversation', async () => {
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

test('Stop stands beside Send while an answer is written; typing goes on', async () => {
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

test('up in an empty box edits the last message; Escape gives up and brings the draft back', async () => {
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
