import { t } from '../i18n/t';
import { Button } from './Button';

/** An address that leads nowhere, or to what is not the reader's. */
export function NotFound({ text, onBack }: { text: string; onBack: () => void }) {
  return (
    <div className="measure flex min-h-0 flex-1 flex-col items-start justify-center gap-3">
      <h2 className="text-h1 font-semibold">{t.notFound.title}</h2>
      <p className="text-body text-muted">{text}</p>
      <Button onClick={onBack}>{t.notFound.back}</Button>
    </div>
  );
}
