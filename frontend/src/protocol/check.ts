// Small checks for JSON that came over the wire. Each returns the value with its
// type or throws Malformed with the path; unknown members are left alone, since
// fields are only ever added.

export class Malformed extends Error {
  override readonly name = 'Malformed';
}

export type Check<T> = (value: unknown, path: string) => T;

function fail(path: string, want: string): never {
  throw new Malformed(`${path}: expected ${want}`);
}

export const string: Check<string> = (v, path) => (typeof v === 'string' ? v : fail(path, 'text'));

export const boolean: Check<boolean> = (v, path) => (typeof v === 'boolean' ? v : fail(path, 'true or false'));

export const number: Check<number> = (v, path) => (typeof v === 'number' ? v : fail(path, 'a number'));

/** A count: n, offsets, revisions. */
export const count: Check<number> = (v, path) =>
  typeof v === 'number' && Number.isSafeInteger(v) && v >= 0 ? v : fail(path, 'a count');

export const any: Check<unknown> = (v) => v;

export const nullable =
  <T>(check: Check<T>): Check<T | null> =>
  (v, path) =>
    v === null ? null : check(v, path);

export function oneOf<T extends string>(...values: readonly T[]): Check<T> {
  return (v, path) => ((values as readonly unknown[]).includes(v) ? (v as T) : fail(path, values.join(' or ')));
}

export function list<T>(check: Check<T>): Check<T[]> {
  return (v, path) => {
    if (!Array.isArray(v)) fail(path, 'a list');
    v.forEach((item, i) => check(item, `${path}[${i}]`));
    return v as T[];
  };
}

const optionalMark = Symbol('optional');
type Optional<T> = Check<T> & { readonly [optionalMark]: true };

/** A member that may be absent. */
export function optional<T>(check: Check<T>): Optional<T> {
  return Object.assign((v: unknown, path: string) => check(v, path), {
    [optionalMark]: true as const,
  });
}

type Shape = Readonly<Record<string, Check<unknown>>>;
type Members<S extends Shape> = {
  [K in keyof S as S[K] extends Optional<unknown> ? never : K]: ReturnType<S[K]>;
} & { [K in keyof S as S[K] extends Optional<unknown> ? K : never]?: ReturnType<S[K]> };

export function object<S extends Shape>(shape: S): Check<Members<S>> {
  const members = Object.entries(shape);
  return (v, path) => {
    const o = record(v, path);
    for (const [name, check] of members) {
      const value = o[name];
      if (value === undefined) {
        if (!(optionalMark in check)) fail(`${path}.${name}`, 'a value');
      } else {
        check(value, `${path}.${name}`);
      }
    }
    return o as Members<S>;
  };
}

export const record: Check<Record<string, unknown>> = (v, path) =>
  typeof v === 'object' && v !== null && !Array.isArray(v) ? (v as Record<string, unknown>) : fail(path, 'an object');
