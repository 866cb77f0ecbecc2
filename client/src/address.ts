/** The e-mail address of who is signed in: its proof, and its change. */
import { Form } from './forms';
import { attempt, find, ofMail, session } from './page';
import type { User } from './session';

/** What the page says of the address now. */
export async function refreshAddress(): Promise<void> {
  const { email, emailVerified } = await session.call<User>('GET', '/users/me');
  showEmail(email);
  find('verified').hidden = emailVerified !== true;
  find('unverified').hidden = emailVerified !== false;
}

export function showEmail(email: string): void {
  for (const place of document.querySelectorAll('.email')) place.textContent = email;
  for (const account of document.querySelectorAll<HTMLInputElement>('input.account')) account.value = email;
}

/** Forgets what was typed, and a change that waits. */
export function clearAddress(): void {
  verify.clear('code');
  change.clear('newEmail', 'currentPassword');
  changeCode.clear('code');
  find('pending').hidden = true;
}

async function done(message: string): Promise<string> {
  clearAddress();
  find<HTMLDetailsElement>('change-email').open = false;
  await refreshAddress();
  find('address-heading').focus(); // what had the focus is hidden now
  return message;
}

find('send-again').addEventListener('click', () =>
  attempt(async () => {
    await ofMail(session.call('POST', '/users/me/email/verification'));
    return 'A mail is on its way.';
  }),
);

const verify = new Form(find('verify-form'), () =>
  attempt(async () => {
    await ofMail(session.call('PUT', '/users/me/email/verification', { code: verify.value('code') }));
    return done('Your e-mail address is confirmed.');
  }, verify),
);

const change = new Form(find('change-email-form'), () =>
  attempt(async () => {
    const [newEmail, currentPassword] = [change.value('newEmail'), change.value('currentPassword')];
    await ofMail(session.call('PUT', '/users/me/email', { newEmail, currentPassword }));
    change.clear('newEmail', 'currentPassword');
    find('new-email').textContent = newEmail;
    find('pending').hidden = false;
    find('pending-heading').focus();
    return undefined;
  }, change),
);

const changeCode = new Form(find('change-email-code'), () =>
  attempt(async () => {
    await session.call('PUT', '/users/me/email/confirmation', { code: changeCode.value('code') });
    return done('Your e-mail address is changed.');
  }, changeCode),
);

find('cancel-change').addEventListener('click', () =>
  attempt(async () => {
    await session.call('DELETE', '/users/me/email/change');
    return done('Your e-mail address stays as it is.');
  }),
);
