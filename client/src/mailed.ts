/** What mails lead to: a new password, the end of a sign-up, a proof of an address, a change that is undone. */
import { showSession } from './account';
import { Form } from './forms';
import { takeLink } from './links';
import { attempt, find, ofMail, say, session, show } from './page';
import { Superseded, type User } from './session';

let link = takeLink();
/** The id that goes with a code: what the request for the mail was answered with. */
let id = '';

/** Whether the link says all that its page needs, so that it need not know who is signed in. */
export const needsNoSession = (): boolean => ['reset', 'sign-up', 'undo-email-change'].includes(link?.action ?? '');

/** Shows the page of the link, or else of the session. */
export function showDue(): void {
  if (link?.action === 'reset') openReset();
  else if (link?.action === 'sign-up') openFinish();
  else if (link?.action === 'undo-email-change') show('undo');
  else if (link?.action === 'verify-email' || (link?.action === 'change-email' && session.user)) openConfirm();
  else showSession();
  if (link?.action === 'change-email' && !session.user) say('Sign in to confirm your new e-mail address.');
}

/** Forgets the link, the id, and what was typed. */
export function leave(): void {
  link = undefined;
  id = '';
  for (const form of [reset, finish, confirm]) form.clear('code', 'password', 'newPassword');
}

export function openAskReset(email: string): void {
  askReset.set('email', email);
  show('ask-reset');
}

const askReset = new Form(find('ask-reset-form'), () =>
  attempt(async () => {
    const email = askReset.value('email');
    const answer = await ofMail(session.ask<{ resetId: string }>('POST', '/auth/reset', { email }));
    id = answer.resetId;
    openReset(email);
    return `If an account has the address ${email}, a mail is on its way to it.`;
  }, askReset),
);

function openReset(email = ''): void {
  find<HTMLInputElement>('reset-account').value = email;
  find('reset-hint').hidden = link !== undefined;
  reset.hide('code', link !== undefined);
  show('reset');
}

const reset = new Form(find('reset-form'), () =>
  attempt(async () => {
    const proof = link ? { token: link.token } : { resetId: id, code: reset.value('code') };
    await session.resetPassword(proof, reset.value('newPassword'));
    leave();
    show('signed-out');
    return 'Your new password is set. Sign in with it.';
  }, reset),
);

/** Without an email and a password: by a link, on a page that knows neither. */
export function openFinish(signUpId = '', email = '', password = ''): void {
  id = signUpId;
  find<HTMLInputElement>('finish-account').value = email;
  find('finish-hint').hidden = link !== undefined;
  find('finish-link-hint').hidden = link === undefined;
  finish.hide('code', link !== undefined);
  finish.set('password', password);
  show('finish');
}

const finish = new Form(find('finish-form'), () =>
  attempt(async () => {
    const password = finish.value('password');
    const proof = link ? { token: link.token } : { signUpId: id, code: finish.value('code') };
    const { email } = await session.ask<User>('POST', '/users/confirmation', { ...proof, password });
    leave();
    try {
      await session.signIn(email, password);
    } catch (error) {
      if (error instanceof Superseded) throw error;
      show('signed-out');
      return 'Your account is created. Sign in to go on.';
    }
    return 'Your account is created.';
  }, finish),
);

function openConfirm(): void {
  const isNew = link?.action === 'change-email';
  find('confirm-heading').textContent = isNew ? 'Confirm your new e-mail address' : 'Confirm your e-mail address';
  find('confirm-hint').textContent = session.user
    ? `You are signed in as ${session.user.email}.`
    : 'Type the password of your account, so that nobody else can confirm it.';
  confirm.hide('password', session.user !== undefined);
  show('confirm');
}

const confirm = new Form(find('confirm-form'), () =>
  attempt(async () => {
    const token = link?.token;
    if (link?.action === 'change-email') await session.call('PUT', '/users/me/email/confirmation', { token });
    else if (session.user) await session.call('PUT', '/users/me/email/verification', { token });
    else await session.ask('PUT', '/auth/verification', { token, password: confirm.value('password') });
    leave();
    showSession();
    return session.user ? 'Your e-mail address is confirmed.' : 'Your e-mail address is confirmed. Sign in to go on.';
  }, confirm),
);

const undo = new Form(find('undo-form'), () =>
  attempt(async () => {
    await session.ask('POST', '/auth/email-undo', { token: link?.token });
    leave();
    show('signed-out');
    return 'Your old address is back, and every session is signed out. We have sent you a mail to choose a new password.';
  }, undo),
);
