/** Stands in for src/env.ts, whose import.meta only the bundler understands. */
export const development = false;
