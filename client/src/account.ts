/** The page of who is signed in. */
import { clearAddress, refreshAddress, showEmail } from './address';
import { type SessionEntry, showEntries } from './entries';
import { Form } from './forms';
import { clearPasskeys, offerPasskeys, refreshPasskeys } from './my-passkeys';
import { attempt, find, passkeys, say, sentence, session, show } from './page';
import { NotSignedIn, Problem, Superseded, Unreachable } from './session';
import { clearTwoSteps, refreshTwoSteps } from './two-steps';

/** Shows who is signed in, or the form to sign in. */
export function showSession(): void {
  show(session.user ? 'signed-in' : 'signed-out');
  showEmail(session.user?.email ?? '');
  passkeys.stop();
  if (session.user) void refresh();
  else {
    showEntries(find('sessions'), [], () => undefined);
    void offerPasskeys();
  }
}

async function refresh(): Promise<void> {
  const parts = [refreshAddress, refreshTwoSteps, refreshPasskeys, refreshEntries];
  const report = (error: unknown): void => {
    if (!(error instanceof Superseded || error instanceof NotSignedIn)) say('', sentence(error));
  };
  await Promise.all(parts.map((part) => part().catch(report)));
}

async function refreshEntries(): Promise<void> {
  const { sessions: entries } = await session.call<{ sessions: SessionEntry[] }>('GET', '/auth/sessions');
  showEntries(find('sessions'), entries, (id) => void attempt(() => endEntry(id)));
  find('end-others').hidden = entries.every((entry) => entry.current);
}

async function endEntry(id: string): Promise<string> {
  try {
    await session.call('DELETE', `/auth/sessions/${encodeURIComponent(id)}`);
  } catch (error) {
    if (!(error instanceof Problem) || error.status !== 404) throw error; // 404: it ended before
  }
  await refresh();
  find('who').focus(); // the pressed button is gone
  return 'That session is signed out.';
}

/** Forgets what was typed. */
export function clearAccount(): void {
  changePassword.clear('currentPassword', 'newPassword');
  deleteAccount.clear('currentPassword');
  clearAddress();
  clearTwoSteps();
  clearPasskeys();
  for (const details of document.querySelectorAll('details')) details.open = false;
}

const changePassword = new Form(find('change-password'), () =>
  attempt(async () => {
    await session.changePassword(changePassword.value('currentPassword'), changePassword.value('newPassword'));
    clearAccount();
    await refresh();
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
// a role may have closed the rest of the page until there was a second step
find('codes-kept').addEventListener('click', () => void refresh());
find('end-others').addEventListener('click', () =>
  attempt(async () => {
    await session.call('DELETE', '/auth/sessions?scope=others');
    await refresh();
    find('who').focus();
    return 'Every other session is signed out.';
  }),
);
