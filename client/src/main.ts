import './ionic';
import './style.css';
import { type SessionEntry, showEntries } from './entries';
import { Form } from './forms';
import { type Change, NotSignedIn, Problem, Session, Superseded, Unreachable } from './session';

// The page lives one level below the API; VITE_API_BASE names a service that is elsewhere.
const base = import.meta.env['VITE_API_BASE'] ?? new URL('..', location.href).href.slice(0, -1);
const session = new Session(base);

const find = <T extends HTMLElement>(id: string): T => document.getElementById(id) as T;
const mode = find<HTMLIonSegmentElement>('mode');
const isCreating = (): boolean => mode.value === 'create';

/** In addition to the page itself, which shows who is signed in. */
const NEWS: Record<Change, string> = {
  'signed-in': '',
  resumed: '',
  'signed-out': 'Logged out.',
  'signed-in-elsewhere': 'Signed in in another tab.',
  'signed-out-elsewhere': 'Logged out in another tab.',
  ended: 'Your session has ended. Sign in again.',
};

function say(message: string, problem = ''): void {
  find('status').textContent = message;
  find('problem').textContent = problem;
  if (message || problem) find('messages').scrollIntoView({ block: 'nearest' }); // the pressed button may be far below
}

function showMode(): void {
  find('submit').textContent = isCreating() ? 'Create account' : 'Sign in';
  const password = credentials.element.querySelector<HTMLIonInputElement>('ion-input[name=password]');
  if (password) password.autocomplete = isCreating() ? 'new-password' : 'current-password';
}

type View = 'waiting' | 'signed-out' | 'signed-in';

function show(view: View): void {
  for (const id of ['waiting', 'signed-out', 'signed-in']) find(id).hidden = id !== view;
  const email = session.user?.email ?? '';
  find('email').textContent = email;
  for (const account of document.querySelectorAll<HTMLInputElement>('input.account')) account.value = email;
  if (view === 'signed-in') void refreshEntries();
  else showEntries(find('sessions'), [], () => undefined);
}

/** Runs one action of the user and shows its result, an error beside its field. */
async function attempt(action: () => Promise<string | undefined>, form?: Form): Promise<void> {
  say('');
  try {
    const message = await action();
    if (message !== undefined) say(message);
  } catch (error) {
    if (error instanceof Superseded || error instanceof NotSignedIn) return; // the change of session was announced
    say('', form ? await form.show(error) : sentence(error));
  }
}

function sentence(error: unknown): string {
  return error instanceof Error ? error.message : String(error);
}

function fold(): void {
  for (const details of document.querySelectorAll('details')) details.open = false;
}

async function refreshEntries(): Promise<void> {
  try {
    const { sessions: entries } = await session.call<{ sessions: SessionEntry[] }>('GET', '/auth/sessions');
    showEntries(find('sessions'), entries, (id) => void attempt(() => endEntry(id)));
    find('end-others').hidden = entries.every((entry) => entry.current);
  } catch (error) {
    if (!(error instanceof Superseded || error instanceof NotSignedIn)) say('', sentence(error));
  }
}

async function endEntry(id: string): Promise<string> {
  try {
    await session.call('DELETE', `/auth/sessions/${encodeURIComponent(id)}`);
  } catch (error) {
    if (!(error instanceof Problem) || error.status !== 404) throw error; // 404: it ended before
  }
  await refreshEntries();
  find('who').focus(); // the pressed button is gone
  return 'That session is signed out.';
}

async function solve(challenge: unknown): Promise<string> {
  say('One moment: this device solves a puzzle that keeps robots out.');
  const proof = await import('./proof');
  return proof.solve(challenge as Parameters<typeof proof.solve>[0]);
}

const credentials = new Form(find('credentials'), () =>
  attempt(async () => {
    const [email, password] = [credentials.value('email'), credentials.value('password')];
    if (isCreating()) {
      await session.createAccount(email, password, solve);
      mode.value = 'sign-in';
      showMode();
      try {
        await session.signIn(email, password);
      } catch (error) {
        if (error instanceof Superseded) throw error;
        return 'Your account is created. Sign in to go on.';
      }
    } else {
      await session.signIn(email, password);
    }
    return undefined;
  }, credentials),
);

const changePassword = new Form(find('change-password'), () =>
  attempt(async () => {
    await session.changePassword(changePassword.value('currentPassword'), changePassword.value('newPassword'));
    changePassword.clear('currentPassword', 'newPassword');
    fold();
    await refreshEntries();
    find('who').focus();
    return 'Password changed.';
  }, changePassword),
);

const deleteAccount = new Form(find('delete-account'), () =>
  attempt(async () => {
    await session.deleteAccount(deleteAccount.value('currentPassword'));
    return 'Your account is deleted.';
  }, deleteAccount),
);

mode.addEventListener('ionChange', () => {
  say('');
  showMode();
});
find('test').addEventListener('click', () =>
  attempt(async () => (await session.call<{ message: string }>('GET', '/users/test')).message),
);
find('log-out').addEventListener('click', () =>
  attempt(async () => {
    try {
      await session.signOut();
    } catch (error) {
      if (!(error instanceof Unreachable || error instanceof Problem)) throw error;
      return 'Logged out here. The service is told when you next open this page.';
    }
    return undefined;
  }),
);
find('end-others').addEventListener('click', () =>
  attempt(async () => {
    await session.call('DELETE', '/auth/sessions?scope=others');
    await refreshEntries();
    find('who').focus();
    return 'Every other session is signed out.';
  }),
);

session.addEventListener('change', ({ detail: change }) => {
  credentials.clear('password');
  changePassword.clear('currentPassword', 'newPassword');
  deleteAccount.clear('currentPassword');
  fold();
  show(session.user ? 'signed-in' : 'signed-out');
  say(NEWS[change]);
  if (change === 'signed-in') find('who').focus();
  if (change === 'signed-out') void credentials.element.querySelector('ion-input')?.setFocus();
});

async function start(): Promise<void> {
  await attempt(async () => {
    try {
      const isBack = await session.resume();
      if (!isBack) show('signed-out');
      return undefined;
    } catch (error) {
      if (error instanceof Superseded) show(session.user ? 'signed-in' : 'signed-out');
      else show('waiting');
      throw error;
    }
  });
}

find('again').addEventListener('click', () => void start());
addEventListener('online', () => {
  if (!find('waiting').hidden) void start();
});
showMode();
void start();
