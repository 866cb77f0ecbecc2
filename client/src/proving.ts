/** The dialog in which somebody shows who they are: the second step of a sign-in, and a step-up. */
import { Form } from './forms';
import { arePasskeysUsable, find, passkeys, session } from './page';
import { PasskeyRefused } from './passkeys';
import { type Factor, type Method, NotSignedIn, type SignInResult, Superseded } from './session';
import { readFactors } from './two-steps';

type Way = Method | 'password';
type Shown = Factor | { password: string };

/** In the order in which they are offered. */
const WORDS: Record<Way, string> = {
  totp: 'Use the code from your app',
  password: 'Use your password',
  passkey: 'Use a passkey',
  recoveryCode: 'Use a recovery code',
};
const WAYS = Object.keys(WORDS) as Way[];

interface Task {
  heading: string;
  hint: string;
  ways: readonly Way[];
  prove(shown: Shown): Promise<void>;
}

const dialog = find<HTMLDialogElement>('proving');
let task: Task | undefined;
let isProven = false;

/** Signs in, with the second step if the user has one. False if the user gives up. */
export async function signIn(email: string, password: string): Promise<boolean> {
  const result: SignInResult = await session.signIn(email, password);
  if (result.status === 'signed-in') return true;
  let isLate = false;
  const clock = setTimeout(() => {
    isLate = true;
    dialog.close();
  }, 1000 * result.expiresIn);
  const isIn = await askForProof({
    heading: 'Second step',
    hint: 'Your password is right. Now show that it is you.',
    ways: result.methods,
    prove: (shown) => session.second(result.continuation, shown as Factor),
  }).finally(() => clearTimeout(clock));
  if (isLate) throw new Error('That took too long. Sign in again.');
  return isIn;
}

session.onStepUpRequired = async ({ acrValues }) => {
  const factors = await readFactors();
  const ways: Way[] = factors.totp ? ['totp', 'recoveryCode'] : [];
  if (!factors.totp && acrValues !== 'aal2') ways.push('password');
  if (factors.passkeys > 0) ways.push('passkey');
  return askForProof({
    heading: 'Is it you?',
    hint: 'Show it again before this is done.',
    ways,
    prove: (shown) => session.stepUp(shown),
  });
};

/** Resolves to true once the service has accepted what the user has shown, to false if the user gives up. */
async function askForProof(asked: Task): Promise<boolean> {
  const ways = WAYS.filter((way) => asked.ways.includes(way) && (way !== 'passkey' || arePasskeysUsable()));
  const [first] = ways;
  if (first === undefined) throw new Error('Set up an authenticator app first: this needs two steps at sign-in.');
  task = asked;
  isProven = false;
  find('proving-heading').textContent = asked.heading;
  find('proving-hint').textContent = asked.hint;
  const closed = new Promise((resolve) => dialog.addEventListener('close', resolve, { once: true }));
  dialog.showModal();
  await open(ways, first);
  await closed;
  for (const way of WAYS) forms[way].clear(way);
  passkeys.stop();
  task = undefined;
  return isProven;
}

async function open(ways: readonly Way[], chosen: Way): Promise<void> {
  find('proving-problem').textContent = '';
  for (const way of WAYS) forms[way].element.hidden = way !== chosen;
  const others = ways.filter((way) => way !== chosen);
  find('other-ways').replaceChildren(
    ...others.map((way) => {
      const button = document.createElement('ion-button');
      button.expand = 'block';
      button.fill = 'clear';
      button.textContent = WORDS[way];
      button.addEventListener('click', () => void open(ways, way));
      return button;
    }),
  );
  if (chosen === 'passkey') find('proving-heading').focus();
  else await forms[chosen].focus();
}

function formOf(way: Way): Form {
  const form: Form = new Form(find(`prove-${way}`), async () => {
    find('proving-problem').textContent = '';
    try {
      const shown = way === 'passkey' ? await passkeys.prove() : form.value(way);
      await task?.prove({ [way]: shown } as unknown as Shown);
      isProven = true;
      dialog.close();
    } catch (error) {
      if (error instanceof Superseded || error instanceof NotSignedIn) dialog.close();
      else if (!(error instanceof PasskeyRefused && error.stopped)) {
        find('proving-problem').textContent = await form.show(error);
      }
    }
  });
  return form;
}

const forms: Record<Way, Form> = {
  totp: formOf('totp'),
  password: formOf('password'),
  passkey: formOf('passkey'),
  recoveryCode: formOf('recoveryCode'),
};

find('cancel-proving').addEventListener('click', () => dialog.close());
session.addEventListener('change', ({ detail: change }) => {
  if (change !== 'signed-in') dialog.close(); // what was asked for is over
});
