/**
 * Passkeys: what the browser does between two requests of session.ts. Copy it beside that file if your app has passkeys.
 *
 * It uses the browser's own conversions from and to JSON. Browsers before 2025 lack them: for those it loads
 * @simplewebauthn/browser, and only then.
 */
import { Problem, type Session } from './session';

export interface Passkey {
  id: string;
  name: string;
  createdAt: string;
  lastUsedAt: string | null;
}

/** No passkey was used or made. The `message` is a sentence for the user, who need not see it if it was `stopped`. */
export class PasskeyRefused extends Error {
  readonly stopped: boolean;

  constructor(error: unknown, stopped: boolean) {
    super(SENTENCES[stopped ? 'AbortError' : (error as Error).name] ?? 'The passkey did not work.', { cause: error });
    this.stopped = stopped;
  }
}

export interface PasskeySignIn {
  /** Waits until the user chooses a passkey from the suggestions of a field with `autocomplete="username webauthn"`. */
  fromAutofill?: boolean;
  signal?: AbortSignal;
}

type Json = Record<string, unknown>;

const FRESH_MS = 240_000; // a challenge is good for five minutes, and a page may wait for longer
const CHECK_MS = 10_000;

const UNKNOWN = 'This passkey signs nobody in here. Use another one, or your password.';
const SENTENCES: Record<string, string> = {
  AbortError: 'No passkey was used, because something else was begun.',
  NotAllowedError: 'No passkey was used. Try again if you like.',
  InvalidStateError: 'This device has a passkey for your account already.',
  NotSupportedError: 'This device cannot make the kind of passkey that is needed.',
  ConstraintError: 'This device cannot check that it is you. Set up a screen lock first.',
  SecurityError: 'Passkeys do not work at this address.',
};

export class Passkeys {
  readonly #session: Session;
  /** A browser allows one ceremony at a time, so the next one ends the one before. */
  #pending: AbortController | undefined;

  constructor(session: Session) {
    this.#session = session;
  }

  isSupported(): boolean {
    return typeof PublicKeyCredential === 'function';
  }

  async isAutofillSupported(): Promise<boolean> {
    return this.isSupported() && (await PublicKeyCredential.isConditionalMediationAvailable?.()) === true;
  }

  /** Signs in without a password. Rejects with PasskeyRefused if the user does not choose one or `signal` aborts. */
  async signIn({ fromAutofill = false, signal }: PasskeySignIn = {}): Promise<void> {
    const credential = await (fromAutofill ? this.#wait(signal) : this.prove(signal));
    await this.#session.signInWithPasskey(credential).catch((error: unknown) => {
      if (!(error instanceof Problem) || error.code !== 'credentials_invalid') throw error;
      throw new Problem(error.status, error.code, UNKNOWN, error.detail);
    });
  }

  /** What `session.second` and `session.stepUp` take as `passkey`. */
  async prove(signal?: AbortSignal): Promise<object> {
    const controller = this.#begin(signal);
    return this.#get(await this.#options(), controller.signal);
  }

  /** Ends what waits for the user. */
  stop(): void {
    this.#pending?.abort();
    this.#pending = undefined;
  }

  async list(): Promise<Passkey[]> {
    return (await this.#session.call<{ passkeys: Passkey[] }>('GET', '/users/me/passkeys')).passkeys;
  }

  /** Makes a passkey on this device, and makes it known to the service. */
  async add(name?: string): Promise<void> {
    const { signal } = this.#begin();
    const options = await this.#session.call<Json>('POST', '/users/me/passkeys/options', {});
    const credential = await ceremony(signal, async () => {
      if (isNative('parseCreationOptionsFromJSON')) {
        const publicKey = PublicKeyCredential.parseCreationOptionsFromJSON(options as never);
        return (await navigator.credentials.create({ publicKey, signal }) as PublicKeyCredential).toJSON() as object;
      }
      const { startRegistration } = await standIn(signal);
      return startRegistration({ optionsJSON: options as never });
    });
    await this.#session.call('POST', '/users/me/passkeys', { credential, ...(name && { name }) });
  }

  async rename(id: string, name: string): Promise<void> {
    await this.#session.call('PATCH', `/users/me/passkeys/${encodeURIComponent(id)}`, { name });
  }

  /** Also tells the user's device, where the browser can, so that it does not offer that passkey any longer. */
  async remove(id: string): Promise<void> {
    await this.#session.call('DELETE', `/users/me/passkeys/${encodeURIComponent(id)}`);
    if (!this.isSupported() || typeof PublicKeyCredential.signalUnknownCredential !== 'function') return;
    const { rpId } = await this.#options();
    await PublicKeyCredential.signalUnknownCredential({ rpId: String(rpId), credentialId: id }).catch(() => undefined);
  }

  #options(): Promise<Json> {
    return this.#session.ask<Json>('POST', '/auth/passkey/options', {});
  }

  #begin(signal?: AbortSignal): AbortController {
    this.stop();
    const controller = (this.#pending = new AbortController());
    signal?.addEventListener('abort', () => controller.abort(), { once: true, signal: controller.signal });
    if (signal?.aborted) controller.abort();
    return controller;
  }

  /** Begins again with a new challenge before the old one expires, while somebody may look at the page. */
  async #wait(signal?: AbortSignal): Promise<object> {
    for (;;) {
      const controller = this.#begin(signal);
      const begunAt = Date.now();
      let isOld = false;
      const clock = setInterval(() => {
        isOld = Date.now() - begunAt > FRESH_MS && !document.hidden;
        if (isOld) controller.abort();
      }, CHECK_MS);
      try {
        return await this.#get(await this.#options(), controller.signal, 'conditional');
      } catch (error) {
        if (!isOld || signal?.aborted || this.#pending !== controller) throw error;
      } finally {
        clearInterval(clock);
      }
    }
  }

  #get(options: Json, signal: AbortSignal, mediation?: 'conditional'): Promise<object> {
    return ceremony(signal, async () => {
      if (isNative('parseRequestOptionsFromJSON')) {
        const publicKey = PublicKeyCredential.parseRequestOptionsFromJSON(options as never);
        const request = { publicKey, signal, ...(mediation && { mediation }) };
        return (await navigator.credentials.get(request) as PublicKeyCredential).toJSON() as object;
      }
      const { startAuthentication } = await standIn(signal);
      const useBrowserAutofill = mediation !== undefined;
      return startAuthentication({ optionsJSON: options as never, useBrowserAutofill, verifyBrowserAutofillInput: false });
    });
  }
}

function isNative(parse: 'parseCreationOptionsFromJSON' | 'parseRequestOptionsFromJSON'): boolean {
  return [PublicKeyCredential[parse], PublicKeyCredential.prototype.toJSON].every((one) => typeof one === 'function');
}

async function standIn(signal: AbortSignal): Promise<typeof import('@simplewebauthn/browser')> {
  const library = await import('@simplewebauthn/browser');
  signal.throwIfAborted();
  signal.addEventListener('abort', () => library.WebAuthnAbortService.cancelCeremony(), { once: true });
  return library;
}

/** The library's errors have the names of the browser's. */
async function ceremony(signal: AbortSignal, run: () => Promise<object>): Promise<object> {
  try {
    signal.throwIfAborted();
    return await run();
  } catch (error) {
    throw new PasskeyRefused(error, signal.aborted);
  }
}
