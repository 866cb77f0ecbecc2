import './ionic';
import './style.css';
import { clearAccount } from './account';
import { Form } from './forms';
import { leave, needsNoSession, openAskReset, openFinish, showDue } from './mailed';
import { arePasskeysUsable, attempt, find, say, session, show } from './page';
import { signIn } from './proving';
import { type Change, Problem, Superseded } from './session';

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

function showMode(): void {
  find('submit').textContent = isCreating() ? 'Create account' : 'Sign in';
  find('forgot').hidden = isCreating();
  find('use-passkey').hidden = isCreating() || !arePasskeysUsable();
  const password = credentials.element.querySelector<HTMLIonInputElement>('ion-input[name=password]');
  if (password) password.autocomplete = isCreating() ? 'new-password' : 'current-password';
}

async function solve(challenge: unknown): Promise<string> {
  say('One moment: this device solves a puzzle that keeps robots out.');
  const proof = await import('./proof');
  return proof.solve(challenge as Parameters<typeof proof.solve>[0]);
}

async function createAccount(email: string, password: string): Promise<string | undefined> {
  const { signUpId } = await session.createAccount(email, password, solve);
  mode.value = 'sign-in';
  showMode();
  if (signUpId !== undefined) {
    credentials.clear('password');
    openFinish(signUpId, email, password);
    return `A mail is on its way to ${email}.`;
  }
  try {
    await session.signIn(email, password);
  } catch (error) {
    if (error instanceof Superseded) throw error;
    const isUnverified = error instanceof Problem && error.code === 'email_unverified';
    return `Your account is created. ${isUnverified ? UNVERIFIED : 'Sign in to go on.'}`;
  }
  return undefined;
}

const UNVERIFIED = 'Open the link in the mail that we have sent you, then sign in.';

const credentials = new Form(find('credentials'), () =>
  attempt(async () => {
    const [email, password] = [credentials.value('email'), credentials.value('password')];
    if (isCreating()) return createAccount(email, password);
    if (await signIn(email, password)) find('who').focus();
    return undefined;
  }, credentials),
);

mode.addEventListener('ionChange', () => {
  say('');
  showMode();
});
find('forgot').addEventListener('click', () => {
  say('');
  openAskReset(credentials.value('email'));
});
for (const back of document.querySelectorAll('.back')) {
  back.addEventListener('click', () => {
    leave();
    void start();
  });
}

session.addEventListener('change', ({ detail: change }) => {
  credentials.clear('password');
  clearAccount();
  say(NEWS[change]);
  showDue();
  if (change === 'signed-in' && !find('signed-in').hidden) find('who').focus();
  if (change === 'signed-out') void credentials.element.querySelector('ion-input')?.setFocus();
});

async function start(): Promise<void> {
  if (needsNoSession()) {
    showDue();
    return;
  }
  await attempt(async () => {
    const before = session.user;
    try {
      const isBack = await session.resume();
      if (!isBack || before) showDue(); // otherwise the change of the session has shown it
      return undefined;
    } catch (error) {
      if (error instanceof Superseded) showDue();
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
