import { createFlush, flushEvery } from './flush';

let hidden = false;
let drawn: number[] = [];

function make() {
  const begun = Date.now();
  return createFlush(() => drawn.push(Date.now() - begun), { now: () => Date.now(), hidden: () => hidden });
}

beforeEach(() => {
  jest.useFakeTimers();
  hidden = false;
  drawn = [];
});
afterEach(() => jest.useRealTimers());

it('[14] draws the first at once and the rest at most every 50 ms', () => {
  const f = make();
  for (let t = 0; t < 200; t += 5) {
    f.soon();
    jest.advanceTimersByTime(5);
  }
  jest.runAllTimers();
  expect(drawn).toEqual([0, 50, 100, 150, 200]);
});

it('draws once for what came in one go', () => {
  const f = make();
  f.soon();
  f.soon();
  f.soon();
  jest.runAllTimers();
  expect(drawn).toEqual([0, flushEvery]);
});

it('does not draw without a change', () => {
  make().visible();
  jest.runAllTimers();
  expect(drawn).toEqual([]);
});

it('[21] draws nothing while nobody looks, and catches up', () => {
  const f = make();
  hidden = true;
  for (let i = 0; i < 10; i++) {
    f.soon();
    jest.advanceTimersByTime(100);
  }
  expect(drawn).toEqual([]);
  hidden = false;
  f.visible();
  expect(drawn).toEqual([1000]);
  jest.runAllTimers();
  expect(drawn).toEqual([1000]);
});

it('draws now when told, and not a second time', () => {
  const f = make();
  f.soon();
  f.soon();
  jest.advanceTimersByTime(20);
  f.now();
  jest.runAllTimers();
  expect(drawn).toEqual([0, 20]);
});
