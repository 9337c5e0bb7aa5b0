import { appendFileSync } from 'node:fs';

/** Says what a test measured: to the check, which puts it into its report, or else to whoever runs the test. */
export function figure(line: string): void {
  const file = process.env.PARLEY_FIGURES;
  if (file) appendFileSync(file, `${line}\n`);
  else process.stderr.write(`${line}\n`);
}
