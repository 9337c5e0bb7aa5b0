import { render, screen } from '@testing-library/react';
import userEvent from '@testing-library/user-event';

import { later } from '../../src/ui/later';

const Part = ({ name }: { name: string }) => <p>{name} is here</p>;

test('a part of the page comes when it is drawn, and is there at once from then on', async () => {
  const load = jest.fn(() => Promise.resolve(Part));
  const Later = later(load, <p>waiting</p>);
  const first = render(<Later name="it" />);
  expect(screen.getByText('waiting')).toBeInTheDocument();
  await screen.findByText('it is here');
  first.unmount();
  render(<Later name="it" />);
  expect(screen.getByText('it is here')).toBeInTheDocument();
  expect(load).toHaveBeenCalledTimes(1);
});

test('one that was fetched ahead is drawn without waiting', async () => {
  const coming = Promise.resolve(Part);
  const Later = later(() => coming);
  Later.preload();
  await coming;
  render(<Later name="it" />);
  expect(screen.getByText('it is here')).toBeInTheDocument();
});

test('one that did not come says so, and comes when asked again', async () => {
  const user = userEvent.setup();
  const load = jest.fn<Promise<typeof Part>, []>();
  load.mockRejectedValueOnce(new Error('404')).mockRejectedValueOnce(new Error('offline')).mockResolvedValue(Part);
  const Later = later(load);
  Later.preload();
  render(<Later name="it" />);
  expect(await screen.findByRole('alert')).toHaveTextContent('did not come');
  await user.click(screen.getByRole('button', { name: 'Try again' }));
  expect(await screen.findByRole('alert')).toBeInTheDocument();
  await user.click(screen.getByRole('button', { name: 'Try again' }));
  expect(await screen.findByText('it is here')).toBeInTheDocument();
});
