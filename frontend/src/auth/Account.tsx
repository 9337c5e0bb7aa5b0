import { ArrowDownToLine, ArrowUpToLine, Check, Keyboard, LogOut, Monitor, Moon, Settings, Sun } from 'lucide-react';
import { useState } from 'react';

import { useActions, useStore } from '../core/react';
import { languages } from '../i18n/language';
import { t } from '../i18n/t';
import { Menu, MenuItem, MenuLabel, MenuLine } from '../ui/Menu';
import { saveChoice, useChoice } from '../ui/prefs';
import { currentTheme, setTheme, type Theme } from '../ui/theme';

const themes: readonly { theme: Theme; icon: typeof Sun }[] = [
  { theme: 'light', icon: Sun },
  { theme: 'dark', icon: Moon },
  { theme: 'system', icon: Monitor },
];

/** How the transcript moves while an answer is written; the first is the default. */
const follows = [
  { follow: 'end', icon: ArrowDownToLine },
  { follow: 'question', icon: ArrowUpToLine },
] as const;

/** Who is signed in, how the page looks and moves, the way out. */
export function Account({ onShortcuts }: { onShortcuts: () => void }) {
  const userId = useStore((s) => s.session.userId) ?? '';
  const actions = useActions();
  const [theme, choose] = useState(currentTheme);
  const chosen = useChoice('follow') === 'question' ? 'question' : 'end';

  return (
    <div className="flex shrink-0 items-center gap-2.5 border-t border-line py-2 ps-4 pe-2 pb-[calc(0.5rem+env(safe-area-inset-bottom))]">
      <span
        aria-hidden="true"
        className="inline-flex size-7 shrink-0 items-center justify-center rounded-full bg-accent-soft text-meta font-semibold text-accent uppercase"
      >
        {userId.charAt(0)}
      </span>
      <span className="min-w-0 flex-1 truncate text-control" title={t.session.signedInAs(userId)}>
        {userId}
      </span>
      <Menu label={t.session.account} side="above" trigger={<Settings size={16} aria-hidden />}>
        <MenuLabel>{t.theme.label}</MenuLabel>
        {themes.map(({ theme: name, icon: Icon }) => (
          <MenuItem
            key={name}
            checked={name === theme}
            icon={name === theme ? <Check size={16} /> : <Icon size={16} />}
            onSelect={() => {
              setTheme(name);
              choose(name);
            }}
          >
            {t.theme[name]}
          </MenuItem>
        ))}
        <MenuLabel>{t.follow.label}</MenuLabel>
        {follows.map(({ follow, icon: Icon }) => (
          <MenuItem
            key={follow}
            checked={follow === chosen}
            icon={follow === chosen ? <Check size={16} /> : <Icon size={16} />}
            onSelect={() => saveChoice('follow', follow)}
          >
            {t.follow[follow]}
          </MenuItem>
        ))}
        <MenuLabel>{t.language}</MenuLabel>
        {Object.entries(languages).map(([code, name]) => (
          <MenuItem
            key={code}
            checked={code === document.documentElement.lang}
            icon={code === document.documentElement.lang ? <Check size={16} /> : <span className="size-4" />}
            onSelect={() => {
              saveChoice('language', code);
              // Everything is on the server, and drafts are kept.
              location.reload();
            }}
          >
            <span lang={code}>{name}</span>
          </MenuItem>
        ))}
        <MenuLine />
        <MenuItem
          icon={<Keyboard size={16} />}
          onSelect={() => {
            onShortcuts();
          }}
        >
          {t.keys.open}
        </MenuItem>
        <MenuItem
          moves
          icon={<LogOut size={16} />}
          onSelect={() => {
            actions.signOut();
          }}
        >
          {t.session.signOut}
        </MenuItem>
      </Menu>
    </div>
  );
}
