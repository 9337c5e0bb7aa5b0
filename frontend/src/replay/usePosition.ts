import { useCallback, useEffect, useRef, useState } from 'react';

/** How the address follows: at once as a new entry of the history, or once the reader rests. */
export type How = 'jump' | 'step';

const rest = 300;

/**
 * The instant on screen, undefined for now. It leads and the address follows:
 * playing and stepping would flood the browser's history, so only jumps make an
 * entry that Back leads to. A change of the address from elsewhere is obeyed.
 */
export function usePosition(
  address: number | undefined,
  onAddress: (n: number | undefined, how: How) => void,
): [number | undefined, (n: number | undefined, how: How) => void] {
  const [state, setState] = useState({ at: address, address });
  const timer = useRef<ReturnType<typeof setTimeout>>(undefined);
  // What was written and has not come back yet. It is no news: the reader may be elsewhere by then.
  const written = useRef<{ n: number | undefined }>(undefined);

  /* eslint-disable react-hooks/refs */
  if (state.address !== address) {
    const own = written.current !== undefined && written.current.n === address;
    setState({ at: own ? state.at : address, address });
  }
  /* eslint-enable react-hooks/refs */
  useEffect(() => {
    written.current = undefined;
  }, [address]);

  useEffect(() => () => clearTimeout(timer.current), []);

  const go = useCallback(
    (n: number | undefined, how: How) => {
      clearTimeout(timer.current);
      setState((s) => ({ ...s, at: n }));
      const write = () => {
        written.current = { n };
        onAddress(n, how);
      };
      if (how === 'jump') write();
      else timer.current = setTimeout(write, rest);
    },
    [onAddress],
  );
  return [state.at, go];
}
