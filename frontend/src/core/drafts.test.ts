import { clearDrafts, loadDraft, saveDraft } from './drafts';

beforeEach(() => localStorage.clear());
afterEach(() => jest.restoreAllMocks());

it('keeps what was typed, by conversation', () => {
  saveDraft('new', 'hello');
  saveDraft('c1', 'and this');
  expect([loadDraft('new'), loadDraft('c1'), loadDraft('c2')]).toEqual(['hello', 'and this', '']);
  saveDraft('new', '');
  expect(localStorage.length).toBe(1);
});

it('forgets drafts and nothing else', () => {
  saveDraft('c1', 'secret');
  localStorage.setItem('theme', 'dark');
  clearDrafts();
  expect(Object.keys(localStorage)).toEqual(['theme']);
});

it('never stops anybody from typing', () => {
  for (const name of ['getItem', 'setItem', 'removeItem'] as const) {
    jest.spyOn(Storage.prototype, name).mockImplementation(() => {
      throw new Error('refused');
    });
  }
  expect(() => saveDraft('c1', 'x')).not.toThrow();
  expect(() => saveDraft('c1', '')).not.toThrow();
  expect(loadDraft('c1')).toBe('');
  localStorage.foo = 'x';
  expect(clearDrafts).not.toThrow();
});
