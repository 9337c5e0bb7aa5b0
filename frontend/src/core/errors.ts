import type { ErrorInfo } from './state';

/** A failure with a code that the page acts on. */
export class Failure extends Error {
  override readonly name = 'Failure';
  readonly code: string;
  readonly requestId: string | undefined;

  constructor(code: string, message: string, requestId?: string) {
    super(message);
    this.code = code;
    this.requestId = requestId;
  }
}

/** Codes after which the same request may succeed a moment later. */
const passing = new Set([
  'too_many',
  'unavailable',
  'outcome_unknown',
  'draining',
  // The page asks for another sign-in meanwhile.
  'unauthenticated',
  'token_expired',
  'internal',
  'network',
  'timeout',
  'offline',
]);

export function isPassing(code: string): boolean {
  return passing.has(code);
}

/** Any thrown value, or an error that is one already, as what the reader is told. */
export function errorInfo(err: unknown): ErrorInfo {
  if (!(err instanceof Error) && typeof err === 'object' && err !== null && 'code' in err) return err as ErrorInfo;
  if (err instanceof Error && 'code' in err && typeof err.code === 'string') {
    const info: ErrorInfo = { code: err.code, message: err.message };
    if ('requestId' in err && typeof err.requestId === 'string') info.requestId = err.requestId;
    return info;
  }
  return { code: 'unexpected', message: err instanceof Error ? err.message : String(err) };
}
