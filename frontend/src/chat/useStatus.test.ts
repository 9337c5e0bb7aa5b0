import { spoken } from './useStatus';

it.each([
  ['It is **on** the _list_.', 'It is on the list.'],
  ['Set `OPENAI_API_KEY` and my_own_name, not __this__.', 'Set OPENAI_API_KEY and my_own_name, not this.'],
  ['2 * 3 is *six*, and task #5 is done.', '2 * 3 is six, and task #5 is done.'],
  ['## What is left\n\n- milk\n+ bread\n* tea\n> said *so*', 'What is left milk bread tea said so'],
  ['| a | b |\n|---|---|', 'a b'],
  ['a-b - c', 'a-b - c'],
  ['x'.repeat(200), `${'x'.repeat(160)}…`],
])('[58] what is read out of %j is %j', (text, words) => {
  expect(spoken(text)).toBe(words);
});
