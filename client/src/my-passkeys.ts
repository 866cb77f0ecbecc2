/** The passkeys of the user who is signed in, and the sign-in by one. */
import { describe, when } from './entries';
import { Form } from './forms';
import { arePasskeysUsable, attempt, find, PASSKEY_DOMAIN, passkeys, say, sentence } from './page';
import { type Passkey, PasskeyRefused } from './passkeys';
import { Superseded } from './session';

/** Offers the sign-in by passkey: by a button, and among the suggestions of the field for the e-mail. */
export async function offerPasskeys(): Promise<void> {
  if (!arePasskeysUsable() || !(await passkeys.isAutofillSupported())) return;
  try {
    await passkeys.signIn({ fromAutofill: true });
  } catch (error) {
    if (!(error instanceof PasskeyRefused || error instanceof Superseded)) say('', sentence(error));
  }
}

find('use-passkey').addEventListener('click', () =>
  attempt(async () => {
    try {
      await passkeys.signIn();
    } catch (error) {
      if (!(error instanceof PasskeyRefused && error.stopped)) void offerPasskeys();
      throw error;
    }
    return undefined;
  }),
);

export async function refreshPasskeys(): Promise<void> {
  find('my-passkeys').hidden = PASSKEY_DOMAIN === '';
  find('add-passkey').hidden = !arePasskeysUsable();
  find('passkeys-elsewhere').hidden = arePasskeysUsable();
  if (PASSKEY_DOMAIN === '') return;
  find('passkeys').replaceChildren(...(await passkeys.list()).map(itemOf));
}

export const clearPasskeys = (): void => find('passkeys').replaceChildren();

async function done(message: string): Promise<string> {
  await refreshPasskeys();
  find('passkeys-heading').focus(); // what had the focus is gone
  return message;
}

find('add-passkey').addEventListener('click', () =>
  attempt(async () => {
    await passkeys.add(describe(navigator.userAgent));
    return done('Your passkey is ready. You can sign in with it.');
  }),
);

function itemOf({ id, name, createdAt, lastUsedAt }: Passkey): HTMLLIElement {
  const { content } = find<HTMLTemplateElement>('passkey');
  const item = document.importNode(content, true).firstElementChild as HTMLLIElement;
  const inside = <T extends HTMLElement>(selector: string): T => item.querySelector(selector) as T;
  inside('strong').textContent = name;
  inside('small').textContent = [
    `Added ${when.format(new Date(createdAt))}`,
    lastUsedAt === null ? 'never used' : `last used ${when.format(new Date(lastUsedAt))}`,
  ].join(' · ');
  const form = new Form(inside('form'), () =>
    attempt(async () => {
      await passkeys.rename(id, form.value('name'));
      return done('The passkey has its new name.');
    }, form),
  );
  form.set('name', name);
  inside('.delete').addEventListener('click', () =>
    attempt(async () => {
      await passkeys.remove(id);
      return done('The passkey is deleted.');
    }),
  );
  return item;
}
