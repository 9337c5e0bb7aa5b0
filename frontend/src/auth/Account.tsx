import { Check, Keyboard, LogOut, Monitor, Moon, Settings, Sun } from 'lucide-react';
import { useState } from 'react';

import { useActions, useStore } from '../core/react';
import { t } from '../i18n/t';
import { Menu, MenuItem, MenuLabel, MenuLine } from '../ui/Menu';
import { currentTheme, setTheme, type Theme } from '../ui/theme';

const themes: readonly { theme: Theme; icon: typeof Sun }[] = [
  { theme: 'light', icon: Sun },
  { theme: 'dark', icon: Moon },
  { theme: 'system', icon: Monitor },
];

/** Who is signed in, the theme, the way out. */
export function Account({ onShortcuts }: { onShortcuts: () => void }) {
  const userId = useStore((s) => s.session.userId) ?? '';
  const actions = useActions();
  const [theme, choose] = useState(currentTheme);

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
