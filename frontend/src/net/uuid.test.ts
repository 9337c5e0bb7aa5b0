import { uuidv7 } from './uuid';

it('looks like a UUID of version 7 and carries the time', () => {
  const at = Date.UTC(2026, 2, 14, 9, 26, 53);
  const id = uuidv7(() => at);
  expect(id).toMatch(/^[0-9a-f]{8}-[0-9a-f]{4}-7[0-9a-f]{3}-[89ab][0-9a-f]{3}-[0-9a-f]{12}$/);
  expect(parseInt(id.replaceAll('-', '').slice(0, 12), 16)).toBe(at);
});

it('sorts by time and does not repeat', () => {
  expect(uuidv7(() => 2 ** 40) < uuidv7(() => 2 ** 40 + 1)).toBe(true);
  const many = new Set(Array.from({ length: 1000 }, () => uuidv7(() => 1)));
  expect(many.size).toBe(1000);
});
