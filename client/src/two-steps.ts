/** Two steps at sign-in: an authenticator app, and the recovery codes that replace it. */
import { Form } from './forms';
import { attempt, find, say, session } from './page';

/** What the user has besides the password: `recoveryCodes` and `passkeys` are how many. */
export interface Factors {
  totp: { enrolledAt: string } | null;
  recoveryCodes: number;
  passkeys: number;
}

export const readFactors = (): Promise<Factors> => session.call<Factors>('GET', '/users/me/factors');

export async function refreshTwoSteps(): Promise<void> {
  const { totp, recoveryCodes: left } = await readFactors();
  const isOn = totp !== null;
  const codes = left === 1 ? 'One recovery code is left.' : `${left || 'No'} recovery codes are left.`;
  find('two-steps-state').textContent = isOn
    ? `On. After your password you are asked for a code from your app. ${codes}`
    : 'Off. Your password alone is enough. Set up an app that shows a new code every 30 seconds to make that harder to steal.';
  find('set-up').hidden = isOn || !find('set-up-app').hidden;
  find('two-steps-on').hidden = !isOn;
}

/** Forgets the secret and the codes that are shown. */
export function clearTwoSteps(): void {
  form.clear('code');
  find('secret').textContent = '';
  for (const id of ['picture', 'recovery-codes']) find(id).replaceChildren();
  find('copy-codes').textContent = 'Copy';
  for (const id of ['set-up-app', 'recovery']) find(id).hidden = true;
}

async function done(message: string): Promise<string> {
  clearTwoSteps();
  for (const details of find('two-steps-on').querySelectorAll('details')) details.open = false;
  await refreshTwoSteps();
  find('two-steps-heading').focus(); // what had the focus is hidden now
  return message;
}

find('set-up').addEventListener('click', () =>
  attempt(async () => {
    const { secret, svg } = await session.call<{ secret: string; svg: string }>('POST', '/users/me/totp');
    find('secret').textContent = secret.replace(/.{4}(?=.)/g, '$& ');
    // As nodes: the Content-Security-Policy allows no data: URL.
    find('picture').replaceChildren(new DOMParser().parseFromString(svg, 'image/svg+xml').documentElement);
    find('set-up').hidden = true;
    find('set-up-app').hidden = false;
    find('set-up-heading').focus();
    return undefined;
  }),
);
find('cancel-set-up').addEventListener('click', () => attempt(() => done('')));

const form = new Form(find('set-up-form'), () =>
  attempt(async () => showCodes(await session.turnOnTwoSteps(form.value('code'))), form),
);
find('new-codes').addEventListener('click', () =>
  attempt(async () => {
    const { recoveryCodes } = await session.call<{ recoveryCodes: string[] }>('POST', '/users/me/recovery-codes');
    return showCodes(recoveryCodes);
  }),
);
find('turn-off').addEventListener('click', () =>
  attempt(async () => {
    await session.call('DELETE', '/users/me/totp');
    return done('Two steps are off.');
  }),
);

async function showCodes(recoveryCodes: string[]): Promise<string> {
  await done('');
  find('recovery-codes').replaceChildren(
    ...recoveryCodes.map((code) => {
      const item = document.createElement('li');
      item.append(Object.assign(document.createElement('code'), { textContent: code }));
      return item;
    }),
  );
  find('recovery').hidden = false;
  find('recovery-heading').focus();
  return ''; // a message would scroll the codes away
}

const shownCodes = (): string =>
  [...find('recovery-codes').children].map((item) => `${item.textContent}\n`).join('');

find('copy-codes').addEventListener('click', async () => {
  try {
    await navigator.clipboard.writeText(shownCodes());
    find('copy-codes').textContent = 'Copied';
    find('status').textContent = 'The recovery codes are copied.'; // for a screen reader, without scrolling
  } catch {
    say('', 'The browser does not let this page copy. Select the codes and copy them yourself.');
  }
});
find('download-codes').addEventListener('click', () => {
  const url = URL.createObjectURL(new Blob([shownCodes()], { type: 'text/plain' }));
  const link = Object.assign(document.createElement('a'), { href: url, download: 'recovery-codes.txt' });
  link.click();
  setTimeout(() => URL.revokeObjectURL(url), 10_000); // the download has begun by then
});
find('codes-kept').addEventListener('click', () => attempt(() => done('')));
