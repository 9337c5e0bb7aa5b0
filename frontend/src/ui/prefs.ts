const prefix = 'parley.view.';

/** A choice about how the page looks, kept on this device. */
export function loadChoice(key: string): string | undefined {
  try {
    return localStorage.getItem(prefix + key) ?? undefined;
  } catch {
    return undefined;
  }
}

export function saveChoice(key: string, value: string): void {
  try {
    localStorage.setItem(prefix + key, value);
  } catch {
    // The choice holds until the page is closed.
  }
}
