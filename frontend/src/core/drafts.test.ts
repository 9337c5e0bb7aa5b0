import { clearDrafts, loadBlocks, loadDraft, moveDraft, saveBlocks, saveDraft } from './drafts';

beforeEach(() => localStorage.clear());
afterEach(() => jest.restoreAllMocks());

it('[5] keeps what was typed, by conversation', () => {
  saveDraft('new', 'hello');
  saveDraft('c1', 'and this');
  expect([loadDraft('new'), loadDraft('c1'), loadDraft('c2')]).toEqual(['hello', 'and this', '']);
  saveDraft('new', '');
  expect(localStorage.length).toBe(1);
});

it('[5] forgets drafts and nothing else', () => {
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

it('keeps pasted texts beside what was typed, up to a size', () => {
  saveBlocks('new', ['one', 'two']);
  expect(loadBlocks('new')).toEqual(['one', 'two']);
  saveBlocks('new', ['x'.repeat(100_001)]);
  expect(loadBlocks('new')).toEqual([]);
  localStorage.setItem('parley.draft.blocks.new', '{"not": "blocks"}');
  expect(loadBlocks('new')).toEqual([]);
  localStorage.setItem('parley.draft.blocks.new', 'no JSON');
  expect(loadBlocks('new')).toEqual([]);
});

it('moves a draft whole', () => {
  saveDraft('new', 'hello');
  saveBlocks('new', ['one']);
  moveDraft('new', 'c1');
  expect([loadDraft('c1'), loadBlocks('c1')]).toEqual(['hello', ['one']]);
  expect([loadDraft('new'), loadBlocks('new')]).toEqual(['', []]);
});
