import { more } from '../i18n/more';
import { saveChoice, useChoice } from './prefs';

const mac = /Mac|iPhone|iPad/.test(navigator.userAgent);
const mod = mac ? '⌘' : 'Ctrl';

const rows = (): readonly (readonly [string, readonly string[]])[] => [
  [more.keys.send, ['Enter']],
  [more.keys.newline, ['Shift', 'Enter']],
  [more.keys.stop, ['Esc']],
  [more.keys.last, ['↑']],
  [more.keys.messages, ['Alt', '↑ ↓']],
  [more.keys.search, [mod, 'K']],
  [more.keys.newChat, [mod, 'Shift', 'O']],
  [more.keys.tasks, [mod, '.']],
  [more.keys.shortcuts, [mod, '/']],
  [more.keys.play, ['␣']],
  [more.keys.instants, ['← →']],
  [more.keys.calls, ['Shift', '← →']],
  [more.keys.ends, ['Home', 'End']],
];

/** What the keys do. */
export function Shortcuts() {
  const single = useChoice('keys') !== 'off';
  return (
    <div className="overflow-y-auto px-4 py-2 text-control">
      <dl>
        {rows().map(([name, keys]) => (
          <div key={name} className="flex items-center justify-between gap-4 border-b border-line py-2 last:border-0">
            <dt>{name}</dt>
            <dd className="flex shrink-0 gap-1">
              {keys.map((k) => (
                <kbd key={k} className="rounded-sm border border-line bg-surface px-1.5 font-sans text-meta text-muted">
                  {k}
                </kbd>
              ))}
            </dd>
          </div>
        ))}
      </dl>
      <label className="flex items-start gap-3 border-t border-line py-3">
        <input
          type="checkbox"
          checked={single}
          onChange={() => saveChoice('keys', single ? 'off' : 'on')}
          aria-describedby="single-keys"
          className="mt-0.5 size-4 shrink-0"
        />
        <span>
          {more.keys.single}
          <span id="single-keys" className="block text-meta text-muted">
            {more.keys.singleHint}
          </span>
        </span>
      </label>
    </div>
  );
}
