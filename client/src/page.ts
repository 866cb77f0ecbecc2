/** The page: its views, what it says, and the actions of its user. */
import type { Form } from './forms';
import { PasskeyRefused, Passkeys } from './passkeys';
import { NotSignedIn, Problem, Session, Superseded } from './session';

// The page lives one level below the API; VITE_API_BASE names a service that is elsewhere.
const base = import.meta.env['VITE_API_BASE'] ?? new URL('..', location.href).href.slice(0, -1);
export const session = new Session(base);
export const passkeys = new Passkeys(session);

export const find = <T extends HTMLElement>(id: string): T => document.getElementById(id) as T;

/** The domain that the service's passkeys are for, as it writes it into its page. Empty: it has no passkeys. */
const domain = document.querySelector<HTMLMetaElement>('meta[name=passkey-domain]')?.content ?? '';
export const PASSKEY_DOMAIN = domain.startsWith('__') ? location.hostname : domain; // served by Vite, nobody wrote it

/** A browser uses passkeys at their domain and beneath it. */
export const arePasskeysUsable = (): boolean =>
  PASSKEY_DOMAIN !== '' && passkeys.isSupported() && `.${location.hostname}`.endsWith(`.${PASSKEY_DOMAIN}`);

const VIEWS = ['waiting', 'signed-out', 'signed-in', 'ask-reset', 'reset', 'finish', 'confirm', 'undo'] as const;
export type View = (typeof VIEWS)[number];

/** The heading of a view that has one gets the focus, so that a screen reader reads on from there. */
export function show(view: View): void {
  for (const id of VIEWS) find(id).hidden = id !== view;
  const heading = find(view).querySelector<HTMLElement>('.view-heading');
  if (heading) focus(heading);
}

/** Again and again while the page starts: before Ionic is ready, nothing can have the focus. */
function focus(heading: HTMLElement): void {
  heading.focus();
  const isShown = heading.closest('section')?.hidden === false;
  if (isShown && document.activeElement !== heading) requestAnimationFrame(() => focus(heading));
}

export function say(message: string, problem = ''): void {
  find('status').textContent = message;
  find('problem').textContent = problem;
  if (message || problem) find('messages').scrollIntoView({ block: 'nearest' }); // the pressed button may be far below
}

/** Runs one action of the user and shows its result, an error beside its field. */
export async function attempt(action: () => Promise<string | undefined>, form?: Form): Promise<void> {
  say('');
  try {
    const message = await action();
    if (message !== undefined) say(message);
  } catch (error) {
    if (error instanceof Superseded || error instanceof NotSignedIn) return; // the change of session was announced
    if (error instanceof PasskeyRefused && error.stopped) return; // something else was begun
    say('', form ? await form.show(error) : sentence(error));
  }
}

export function sentence(error: unknown): string {
  return error instanceof Error ? error.message : String(error);
}

/** A service without a mail server has no routes that send mails. */
export async function ofMail<T>(answer: Promise<T>): Promise<T> {
  return answer.catch((error: unknown) => {
    throw error instanceof Problem && error.code === 'not_found' ? new Error('This service sends no mails.') : error;
  });
}
