import { daysAgo, day, month } from '../i18n/format';
import { t } from '../i18n/t';
import type { Summary } from '../protocol/types';

export interface Group {
  name: string;
  items: Summary[];
}

/** Conversations by the day of their last activity, those that are pinned first. Keeps the order. */
export function groupByDay(items: readonly Summary[], now: Date): Group[] {
  const groups: Group[] = [];
  const byName = new Map<string, Group>();
  for (const item of [...items.filter((i) => i.pinned === true), ...items.filter((i) => i.pinned !== true)]) {
    const name = item.pinned === true ? t.sidebar.pinned : groupName(new Date(item.updated_at), now);
    let group = byName.get(name);
    if (!group) {
      group = { name, items: [] };
      byName.set(name, group);
      groups.push(group);
    }
    group.items.push(item);
  }
  return groups;
}

function groupName(d: Date, now: Date): string {
  const ago = daysAgo(d, now);
  if (ago <= 1) return day(d, now);
  return ago < 7 ? t.sidebar.lastWeek : month(d);
}
