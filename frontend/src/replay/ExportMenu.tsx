import { Braces, Download, FileText } from 'lucide-react';

import { errorInfo } from '../core/errors';
import { useActions } from '../core/react';
import type { Actions } from '../core/state';
import { r } from '../i18n/replay';
import { Menu, MenuItem, MenuLabel } from '../ui/Menu';

const files = {
  markdown: { extension: 'md', type: 'text/markdown' },
  jsonl: { extension: 'jsonl', type: 'application/jsonl' },
} as const;

type Format = keyof typeof files;

interface Props {
  id: string;
  /** Up to this instant; undefined = all. */
  at: number | undefined;
}

/** Saves the conversation as the server writes it, up to the instant that is shown. */
export function ExportMenu({ id, at }: Props) {
  const actions = useActions();

  async function save(format: Format) {
    try {
      const name = await download(actions, id, format, at);
      actions.toast('info', r.export.saved(name));
    } catch (err) {
      actions.fail(errorInfo(err));
    }
  }

  return (
    <Menu label={r.export.label} trigger={<Download size={16} aria-hidden />}>
      <MenuLabel>{at === undefined ? r.export.whole : r.export.upTo(at)}</MenuLabel>
      <MenuItem icon={<FileText size={16} />} onSelect={() => void save('markdown')}>
        {r.export.markdown}
      </MenuItem>
      <MenuItem icon={<Braces size={16} />} onSelect={() => void save('jsonl')}>
        {r.export.jsonl}
      </MenuItem>
    </Menu>
  );
}

async function download(actions: Actions, id: string, format: Format, at?: number): Promise<string> {
  const { extension, type } = files[format];
  const text = await actions.readText(['conversations', id, 'export'], { format, at });
  const name = `${id}${at === undefined ? '' : `-${at}`}.${extension}`;
  const url = URL.createObjectURL(new Blob([text], { type }));
  const a = document.createElement('a');
  a.href = url;
  a.download = name;
  a.click();
  // The browser has taken hold of it by then.
  setTimeout(() => URL.revokeObjectURL(url), 10_000);
  return name;
}
