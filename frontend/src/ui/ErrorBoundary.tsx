import { Component, type ReactNode } from 'react';

import { t } from '../i18n/t';
import { Button } from './Button';

interface Props {
  /** What to say instead of what broke. */
  text: string;
  /** A change of it tries again. */
  resetKey?: unknown;
  children: ReactNode;
}

interface State {
  broken: boolean;
  key: unknown;
}

/** Keeps a mistake in one part of the page from taking the rest with it. */
export class ErrorBoundary extends Component<Props, State> {
  override state: State = { broken: false, key: this.props.resetKey };

  static getDerivedStateFromError(): Partial<State> {
    return { broken: true };
  }

  static getDerivedStateFromProps(props: Props, state: State): Partial<State> | null {
    return props.resetKey === state.key ? null : { broken: false, key: props.resetKey };
  }

  override render() {
    if (!this.state.broken) return this.props.children;
    return (
      <div role="alert" className="m-2 rounded-md border border-line bg-surface p-3 text-control">
        <p className="font-medium">{this.props.text}</p>
        <p className="mb-2 text-muted">{t.crash.kept}</p>
        <Button onClick={() => this.setState({ broken: false })}>{t.crash.again}</Button>
      </div>
    );
  }
}
