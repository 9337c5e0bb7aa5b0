import { CornerDownLeft } from 'lucide-react';

import { t } from '../i18n/t';

/** The first thing one sees: a question, and four prompts that work. */
export function EmptyState({ onPrompt }: { onPrompt: (text: string) => void }) {
  return (
    <div id="messages" tabIndex={-1} className="min-h-0 flex-1 overflow-y-auto">
      <div className="measure flex min-h-full flex-col justify-center py-10">
        <p className="text-h1 font-semibold">{t.chat.empty.title}</p>
        <p className="mt-1 max-w-[46ch] text-body text-pretty text-muted">{t.chat.empty.text}</p>
        <ul aria-label={t.chat.empty.label} className="mt-6 divide-y divide-line border-y border-line">
          {t.chat.empty.prompts.map((prompt) => (
            <li key={prompt}>
              <button
                type="button"
                onClick={() => onPrompt(prompt)}
                className="group flex min-h-11 w-full items-center justify-between gap-3 rounded-sm px-1 py-2 text-start text-control hover:text-accent"
              >
                {prompt}
                <CornerDownLeft
                  size={16}
                  aria-hidden
                  className="shrink-0 text-muted opacity-50 transition-opacity group-hover:opacity-100 group-focus-visible:opacity-100 rtl:-scale-x-100"
                />
              </button>
            </li>
          ))}
        </ul>
      </div>
    </div>
  );
}
