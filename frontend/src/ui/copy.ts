/** Puts text into the clipboard. Pages without TLS have none; there it fails like any refusal. */
export async function copy(text: string): Promise<void> {
  await navigator.clipboard.writeText(text);
}
