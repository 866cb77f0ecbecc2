/** The list of a user's sessions, described for the user. */
export interface SessionEntry {
  id: string;
  lastUsedAt: string;
  ip: string | null;
  userAgent: string | null;
  current: boolean;
}

export const when = new Intl.DateTimeFormat('en', { dateStyle: 'medium', timeStyle: 'short' });

export function showEntries(list: HTMLElement, entries: SessionEntry[], end: (id: string) => void): void {
  list.replaceChildren(
    ...entries.map((entry) => {
      const name = describe(entry.userAgent ?? '');
      const item = document.createElement('li');
      const words = document.createElement('div');
      const heading = document.createElement('strong');
      heading.textContent = entry.current ? `${name}, this one` : name;
      const detail = document.createElement('small');
      detail.textContent = [`Last used ${when.format(new Date(entry.lastUsedAt))}`, entry.ip].filter(Boolean).join(' · ');
      words.append(heading, detail);
      item.append(words);
      if (!entry.current) {
        const button = document.createElement('ion-button');
        button.fill = 'clear';
        button.textContent = 'Sign out';
        button.setAttribute('aria-label', `Sign out ${name}, last used ${when.format(new Date(entry.lastUsedAt))}`);
        button.addEventListener('click', () => end(entry.id));
        item.append(button);
      }
      return item;
    }),
  );
}

// In this order: Edge and Opera also call themselves Chrome, Chrome calls itself Safari, Android calls itself Linux.
const BROWSERS = { 'Edg(e|A|iOS)?/': 'Edge', 'OPR/': 'Opera', 'Firefox/|FxiOS/': 'Firefox', 'Chrome/|CriOS/': 'Chrome', 'Safari/': 'Safari' };
const SYSTEMS = { Android: 'Android', iPhone: 'iPhone', iPad: 'iPad', Windows: 'Windows', 'Mac OS X': 'macOS', Linux: 'Linux' };

/** A User-Agent header in words, such as `Firefox on Windows`. */
export function describe(userAgent: string): string {
  const find = (names: Record<string, string>): string | undefined =>
    Object.entries(names).find(([pattern]) => new RegExp(pattern).test(userAgent))?.[1];
  const [browser, system] = [find(BROWSERS), find(SYSTEMS)];
  if (!browser) return userAgent.slice(0, 40) || 'An unnamed program';
  return system ? `${browser} on ${system}` : browser;
}
