import {
  Check,
  ChevronFirst,
  ChevronLast,
  ChevronLeft,
  ChevronRight,
  ChevronsLeft,
  ChevronsRight,
  Pause,
  Play,
} from 'lucide-react';
import type { ReactNode } from 'react';

import { speeds, type Kind, type Speed } from '../core/recording';
import { r } from '../i18n/replay';
import { IconButton } from '../ui/Button';
import { Menu, MenuItem, MenuLabel } from '../ui/Menu';
import { Timeline } from './Timeline';

/** What the reader can do about time. */
export type Move = 'first' | 'previous' | 'next' | 'now' | 'previousCall' | 'nextCall';

interface Props {
  kinds: readonly Kind[];
  position: number;
  text: string;
  /** The same, short, for the eye. */
  time: ReactNode;
  playing: boolean;
  speed: Speed;
  /** Where each move leads, if anywhere. */
  targets: Readonly<Record<Move, number | undefined>>;
  /** Goes there; does nothing where it leads nowhere. */
  onMove: (move: Move) => void;
  onSeek: (position: number, moved: boolean) => void;
  onPlay: () => void;
  onSpeed: (speed: Speed) => void;
}

const icons: Readonly<Record<Move, ReactNode>> = {
  first: <ChevronFirst size={20} aria-hidden />,
  previousCall: <ChevronsLeft size={20} aria-hidden />,
  previous: <ChevronLeft size={20} aria-hidden />,
  next: <ChevronRight size={20} aria-hidden />,
  nextCall: <ChevronsRight size={20} aria-hidden />,
  now: <ChevronLast size={20} aria-hidden />,
};

/** The controls of a replay. */
export function Player(props: Props) {
  const { targets, playing, speed, onMove } = props;
  const button = (move: Move) => (
    <IconButton
      label={r.player[move]}
      aria-disabled={targets[move] === undefined}
      onClick={() => onMove(move)}
      className="rtl:-scale-x-100 aria-disabled:opacity-50 aria-disabled:hover:bg-transparent"
    >
      {icons[move]}
    </IconButton>
  );
  return (
    <section
      id="player"
      tabIndex={-1}
      aria-label={r.player.label}
      className="no-print shrink-0 border-t border-line bg-surface px-2 pt-1 pb-[max(0.25rem,env(safe-area-inset-bottom))] outline-none"
    >
      <Timeline kinds={props.kinds} position={props.position} text={props.text} onMove={props.onSeek} />
      <div className="flex flex-wrap items-center justify-center gap-x-1 md:justify-start">
        {button('first')}
        {button('previousCall')}
        {button('previous')}
        <IconButton
          label={playing ? r.player.pause : r.player.play}
          onClick={props.onPlay}
          className="bg-accent text-on-accent hover:bg-accent hover:text-on-accent hover:opacity-90"
        >
          {playing ? <Pause size={20} aria-hidden /> : <Play size={20} aria-hidden />}
        </IconButton>
        {button('next')}
        {button('nextCall')}
        {button('now')}
        <Menu
          label={`${r.player.speed}: ${r.player.speeds[speed]}`}
          side="above"
          triggerClass="px-1 text-meta font-medium tabular"
          trigger={r.player.speeds[speed]}
        >
          <MenuLabel>{r.player.speedHint}</MenuLabel>
          {speeds.map((s) => (
            <MenuItem
              key={s}
              checked={s === speed}
              icon={s === speed && <Check size={16} />}
              onSelect={() => props.onSpeed(s)}
            >
              {r.player.speeds[s]}
            </MenuItem>
          ))}
        </Menu>
        <span className="px-2 text-meta tabular text-muted md:ms-auto">{props.time}</span>
      </div>
    </section>
  );
}
