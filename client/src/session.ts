/**
 * The session with the service. Nothing in this file knows Ionic or the page: copy it into any front-end.
 *
 * The access token lives in memory and nowhere else. The refresh token lives in an HttpOnly cookie, which no script
 * can read, or, where cookies do not work (Capacitor, Electron), in a RefreshTokenStore that the app provides.
 */

export interface User {
  id: string;
  email: string;
  roles: string[];
  emailVerified: boolean;
  language: string | null;
}

/** With `FLASK_SIGN_UP=private` a sign-up has an id, and the account exists only after a confirmation. */
export interface SignUp extends Partial<User> {
  signUpId?: string;
}

/** What came by mail: the `token` of the link, or the code and the id that the request for the mail was answered with. */
export type Proof = { token: string } | { resetId: string; code: string };

/** What a user can show besides the password. */
export type Method = 'totp' | 'recoveryCode' | 'passkey';

/** A code of the user's app, a recovery code, or what `passkeys.ts` has made of a passkey. */
export type Factor = { totp: string } | { recoveryCode: string } | { passkey: object };

/** What a sign-in still needs. The `continuation` goes to `second`, within `expiresIn` seconds. */
export type SignInResult =
  | { status: 'signed-in' }
  | { status: 'second-factor'; continuation: string; methods: Method[]; expiresIn: number };

/** What a refused request needs: a proof at most `maxAge` seconds old, or two steps (`acrValues` is `aal2`). */
export interface StepUpNeed {
  maxAge?: number;
  acrValues?: string;
}

export interface Options {
  /** Other APIs that may have the access token, such as `https://api.example.com`. */
  origins?: readonly string[] | undefined;
  store?: RefreshTokenStore | undefined;
}

/**
 * Where an app without cookies keeps its tokens: the Keychain or the Keystore, never localStorage. `clear` removes the
 * refresh token alone: by the device's token, the service recognises the device at the next sign-in.
 */
export interface RefreshTokenStore {
  read(): Promise<string | null>;
  write(refreshToken: string): Promise<void>;
  clear(): Promise<void>;
  readDevice?(): Promise<string | null>;
  writeDevice?(deviceToken: string): Promise<void>;
}

export interface Fault {
  /** A JSON pointer into the body that was sent, such as `/password`. */
  pointer: string;
  code: string;
  detail: string;
}

/** An error answer: RFC 9457 problem details. Decide by `code`, show `message`, log `detail`. */
export class Problem extends Error {
  readonly status: number;
  readonly code: string;
  readonly detail: string;
  readonly faults: readonly Fault[];
  /** The whole answer, with the members that only this code has. */
  readonly members: Readonly<Record<string, unknown>>;

  constructor(
    status: number, code: string, message: string,
    detail = message, faults: readonly Fault[] = [], members: Readonly<Record<string, unknown>> = {},
  ) {
    super(message);
    this.status = status;
    this.code = code;
    this.detail = detail;
    this.faults = faults;
    this.members = members;
  }
}

/** No answer: the service or the network is down, or the request timed out. */
export class Unreachable extends Error {
  constructor(message = 'The service does not answer. Check your connection and try again.') { super(message); }
}

/** The request was dropped because the session that made it is over. */
export class Superseded extends Error {
  constructor(message = 'This was not done, because your session has ended or changed.') { super(message); }
}

/** Nobody is signed in, so no request was sent. */
export class NotSignedIn extends Error {
  constructor(message = 'Sign in first.') { super(message); }
}

/** Why the session changed: the `detail` of a `change` event. */
export type Change =
  'signed-in' | 'resumed' | 'signed-out' | 'signed-in-elsewhere' | 'signed-out-elsewhere' | 'ended';

export type ChangeListener = (event: CustomEvent<Change>) => void;

interface ChangeTarget {
  addEventListener(type: 'change', listener: ChangeListener, options?: AddEventListenerOptions): void;
  removeEventListener(type: 'change', listener: ChangeListener): void;
  dispatchEvent(event: CustomEvent<Change>): boolean;
}
const ChangeTarget = EventTarget as new () => ChangeTarget;

interface AccessToken {
  token: string;
  expiresIn: number;
}

interface SignedIn extends AccessToken {
  user: User;
  refreshToken?: string;
  deviceToken?: string;
}

type News = { kind: 'signed-in'; userId: string } | { kind: 'signed-out' };

const ANSWER_MS = 10_000;
const EARLY_SECONDS = 30; // a token is renewed early, so that it does not expire on its way
const LOCK_MS = 15_000; // longer than one answer takes, so the wait ends only if the other tab hangs
// How often a refused request is sent again. Not once: a new password, set in any tab, may replace the new token while
// the request is on its way. Not without end: the service or an API may refuse every token.
const RENEWALS_MAX = 2;
const NAME = 'authservice.session'; // the lock, the channel, and the marker below share it

/** All that localStorage holds: a session may exist, or the service still has to be told about a sign-out. */
type Marker = 'may-exist' | 'to-be-ended';

export class Session extends ChangeTarget {
  readonly #base: string;
  readonly #origins: ReadonlySet<string>;
  readonly #store: RefreshTokenStore | undefined;
  #token: string | undefined;
  #renewAt = 0;
  #user: User | undefined;
  /** A sign-in or sign-out aborts the previous era, and answers that belong to it are dropped. */
  #era = new AbortController();
  #renewal: Promise<boolean> | undefined;
  #ending: Promise<void> | undefined;
  #tabs: BroadcastChannel | undefined;
  #stepUp: Promise<boolean> | undefined;

  /**
   * Asked if the service refuses a request until the user has shown again who they are. Ask the user, call `stepUp`, and
   * resolve to true: the request is then sent once more. While one answer is awaited, it is that of every such request.
   */
  onStepUpRequired: ((need: StepUpNeed) => Promise<boolean>) | undefined;

  /** `base` is the URL of the service, without a final slash. With `store` no cookie is used. */
  constructor(base: string, { origins = [], store }: Options = {}) {
    super();
    this.#base = base;
    this.#origins = new Set(origins.map((origin) => new URL(origin).origin));
    this.#store = store;
  }

  get user(): User | undefined { return this.#user; }

  override addEventListener(...all: Parameters<ChangeTarget['addEventListener']>): void {
    this.#listen();
    super.addEventListener(...all);
  }

  /** `solve` makes a proof of work of a challenge. It is called only if the service asks for a proof. */
  async createAccount(email: string, password: string, solve?: (challenge: unknown) => Promise<string>): Promise<SignUp> {
    const body = { email, password };
    try {
      return await this.#ask('POST', '/users', body);
    } catch (error) {
      if (!solve || !(error instanceof Problem) || !error.faults.some(({ pointer }) => pointer === '/altcha')) throw error;
      return this.#ask('POST', '/users', { ...body, altcha: await solve(await this.#ask('GET', '/users/challenge')) });
    }
  }

  /** Nobody is signed in yet if the user has two steps: go on with `second`. */
  async signIn(email: string, password: string): Promise<SignInResult> {
    try {
      await this.#start('/auth', { email, password });
      return { status: 'signed-in' };
    } catch (error) {
      if (!(error instanceof Problem) || error.code !== 'second_factor_required') throw error;
      const { continuation, methods, expiresIn } = error.members as Extract<SignInResult, { continuation: string }>;
      return { status: 'second-factor', continuation, methods, expiresIn };
    }
  }

  /** The second step of a sign-in. After a wrong code, it can be called again with the same `continuation`. */
  async second(continuation: string, factor: Factor): Promise<void> {
    await this.#start('/auth/second', { continuation, ...factor });
  }

  /** The `credential` is what `passkeys.ts` has made of the answer of `POST /auth/passkey/options`. */
  async signInWithPasskey(credential: object): Promise<void> {
    await this.#start('/auth/passkey', { credential });
  }

  async #start(path: string, proof: object): Promise<void> {
    // A pending sign-out comes first: its late answer would clear the cookie of the new session.
    if (read() === 'to-be-ended') await this.#end().catch(() => undefined);
    this.#begin();
    const deviceToken = (await this.#store?.readDevice?.()) ?? undefined;
    await this.#keep(await this.#ask('POST', path, { ...proof, cookie: this.#store === undefined, deviceToken }));
    if (this.#user !== undefined) this.#tell({ kind: 'signed-in', userId: this.#user.id });
    this.#announce('signed-in');
  }

  /** The user shows again who they are. With two steps on, the password alone does not do. */
  async stepUp(proof: { password: string } | Factor): Promise<void> {
    const era = this.#era.signal;
    const prove = (token: string): Promise<AccessToken> => this.#ask('POST', '/auth/step-up', proof, token, era);
    // In turn, because a concurrent renewal would bring a token from before this.
    await this.#withToken((token) => this.#inTurn(async () => this.#hold(await prove(token))));
  }

  /** Turns two steps on by a code of the app that `POST /users/me/totp` has set up. Resolves to the recovery codes. */
  async turnOnTwoSteps(code: string): Promise<string[]> {
    const era = this.#era.signal;
    type Answer = AccessToken & { recoveryCodes: string[] };
    return this.#withStepUp(() => this.#withToken((token) => this.#inTurn(async () => {
      const answer = await this.#ask<Answer>('PUT', '/users/me/totp', { code }, token, era);
      this.#hold(answer);
      return answer.recoveryCodes;
    })));
  }

  /** Ends the session in every tab, then at the service. Throws if the service cannot be told; `resume` tells it later. */
  async signOut(): Promise<void> {
    mark('to-be-ended');
    this.#forget('signed-out');
    this.#tell({ kind: 'signed-out' });
    await this.#end();
  }

  /** Resumes the session after a reload; false if there is none. */
  async resume(): Promise<boolean> {
    if (read() === 'to-be-ended') await this.#end();
    return (await this.accessToken()) !== undefined;
  }

  /**
   * A token to send as `Authorization: Bearer`, renewed if necessary; undefined if nobody is signed in.
   * Call `reaches` before you send it. If an API `refused` it with a 401, pass it in to get a new one.
   */
  async accessToken(refused?: string): Promise<string | undefined> {
    this.#listen();
    if (this.#token !== undefined && this.#token !== refused && Date.now() < this.#renewAt) return this.#token;
    const era = this.#era.signal;
    const mayExist = this.#user ?? (this.#store === undefined ? read() : await this.#store.read());
    const isIn = mayExist && read() !== 'to-be-ended' && (await this.#renew('resumed'));
    era.throwIfAborted(); // a request of one user is never sent as another user, or as nobody
    return isIn ? this.#token : undefined;
  }

  /** Whether the access token may be sent there: to the service, and to the `origins` of the constructor. */
  reaches(url: string): boolean {
    const here = typeof location === 'undefined' ? 'nowhere:/' : location.href;
    const { origin, protocol } = new URL(url, here);
    return /^https?:$/.test(protocol) && (this.#origins.has(origin) || origin === new URL(this.#base, here).origin);
  }

  /** The global `fetch` with the access token, if somebody is signed in, for URLs that `reaches` allows. */
  async fetch(input: RequestInfo | URL, init?: RequestInit): Promise<Response> {
    const request = new Request(input, init);
    if (!this.reaches(request.url)) throw new TypeError(`${request.url} is not of the origins of this session.`);
    const era = this.#era.signal;
    const send = (token: string | undefined): Promise<Response> => {
      era.throwIfAborted();
      const copy = request.clone();
      if (token !== undefined) copy.headers.set('Authorization', `Bearer ${token}`);
      return fetch(copy);
    };
    const sendWithToken = async (): Promise<Response> => {
      let token = await this.accessToken();
      let response = await send(token);
      for (let renewals = 0; response.status === 401 && token !== undefined && renewals < RENEWALS_MAX; renewals++) {
        token = await this.accessToken(token);
        response = await send(token);
      }
      return response;
    };
    let response = await sendWithToken();
    if (response.status === 403 && this.onStepUpRequired !== undefined) {
      const refusal = problem(response, await response.clone().text());
      if (await this.#stepsUp(refusal)) response = await sendWithToken();
    }
    era.throwIfAborted();
    return response;
  }

  /** A request to the service that needs the session. It is sent again after a renewal of the token or a step-up. */
  async call<T = void>(method: string, path: string, body?: unknown): Promise<T> {
    const era = this.#era.signal;
    return this.#withStepUp(() => this.#withToken((token) => this.#ask<T>(method, path, body, token, era)));
  }

  /** A request to the service that needs no session, such as `POST /auth/reset`. */
  async ask<T = void>(method: string, path: string, body?: unknown): Promise<T> {
    return this.#ask<T>(method, path, body);
  }

  /** Also ends every other session of the user, and replaces the tokens of this one. */
  async changePassword(currentPassword: string, newPassword: string): Promise<void> {
    const era = this.#era.signal;
    const change = (token: string): Promise<SignedIn> =>
      this.#ask('PUT', '/users/me/password', { currentPassword, newPassword }, token, era);
    // In turn, because a concurrent renewal would use the refresh token that this replaces.
    const send = (token: string): Promise<void> => this.#inTurn(async () => this.#keep(await change(token)));
    await this.#withStepUp(() => this.#withToken(send));
  }

  /** Ends every session of the user, signs nobody in, and makes this device known. */
  async resetPassword(proof: Proof, newPassword: string): Promise<void> {
    const body = { ...proof, newPassword, deviceToken: this.#store !== undefined };
    const answer = await this.#ask<{ deviceToken: string } | undefined>('PUT', '/auth/reset', body);
    if (answer) await this.#store?.writeDevice?.(answer.deviceToken);
  }

  async deleteAccount(currentPassword: string): Promise<void> {
    await this.call('DELETE', '/users/me', { currentPassword });
    mark(undefined);
    this.#forget('signed-out');
    await this.#store?.clear();
    this.#tell({ kind: 'signed-out' });
  }

  /** Stops listening to other tabs and drops pending requests, without an event. `resume` starts again. */
  close(): void {
    this.#tabs?.close();
    this.#tabs = undefined;
    this.#forget();
  }

  async #withToken<T>(ask: (token: string) => Promise<T>, refused?: string, renewals = 0): Promise<T> {
    const token = await this.accessToken(refused);
    if (token === undefined) throw new NotSignedIn();
    return ask(token).catch((error: unknown) => {
      // Only a refused token: a refused code must not be sent twice.
      const isOfToken = error instanceof Problem && error.code.startsWith('token_');
      if (!isOfToken || renewals === RENEWALS_MAX) throw error;
      return this.#withToken(ask, token, renewals + 1);
    });
  }

  async #withStepUp<T>(send: () => Promise<T>): Promise<T> {
    return send().catch(async (error: unknown) => {
      if (!(error instanceof Problem) || !(await this.#stepsUp(error))) throw error;
      return send();
    });
  }

  /** Whether that was a refusal until a step-up, and the user has stepped up. */
  async #stepsUp({ code, members }: Problem): Promise<boolean> {
    if (code !== 'step_up_required' || this.onStepUpRequired === undefined) return false;
    const { maxAge, acrValues } = members as StepUpNeed;
    const need = { ...(maxAge !== undefined && { maxAge }), ...(acrValues !== undefined && { acrValues }) };
    this.#stepUp ??= this.onStepUpRequired(need).finally(() => { this.#stepUp = undefined; });
    return this.#stepUp;
  }

  /** One renewal at a time in this tab. `news` is announced if nobody was signed in before. */
  #renew(news: Change): Promise<boolean> {
    const era = this.#era.signal;
    const renewal = (this.#renewal ??= this.#inTurn(() => this.#refresh(era, news)).finally(() => {
      if (this.#renewal === renewal) this.#renewal = undefined;
    }));
    return renewal;
  }

  /**
   * One at a time in all tabs, because a refresh token is good for one use. If the browser has no locks (a page over
   * plain HTTP), or a tab hangs and keeps the lock, it goes ahead: the service accepts two uses within seconds.
   */
  async #inTurn<T>(action: () => Promise<T>): Promise<T> {
    if (typeof navigator === 'undefined' || navigator.locks === undefined) return action();
    let begun: Promise<T> | undefined;
    const [signal, done] = deadline(LOCK_MS);
    const request = navigator.locks.request(NAME, { signal }, () => (begun = action()));
    return request.catch(() => begun ?? action()).finally(done);
  }

  async #refresh(era: AbortSignal, news: Change): Promise<boolean> {
    if (era.aborted) return false; // signed out while this waited for its turn
    const before = this.#user?.id;
    try {
      const refreshToken = await this.#store?.read();
      const body = refreshToken ? { refreshToken } : {};
      const answer = await this.#ask<SignedIn>('POST', '/auth/refresh', body, undefined, era);
      await this.#keep(answer);
      if (before === undefined) {
        this.#announce(news);
      } else if (before !== answer.user.id) {
        this.#begin(); // answers for the previous user are not for this one
        this.#announce('signed-in-elsewhere');
      }
      return true;
    } catch (error) {
      if (era.aborted) return false;
      if (!(error instanceof Problem) || error.status !== 401) throw error;
      mark(undefined);
      if (before !== undefined) this.#forget('ended');
      await this.#store?.clear();
      return false;
    }
  }

  #hold({ token, expiresIn }: AccessToken): void {
    this.#token = token;
    this.#renewAt = Date.now() + 1000 * Math.max(expiresIn - EARLY_SECONDS, expiresIn / 2);
  }

  async #keep({ user, refreshToken, deviceToken, ...access }: SignedIn): Promise<void> {
    this.#hold(access);
    this.#user = user;
    mark('may-exist');
    if (refreshToken !== undefined) await this.#store?.write(refreshToken);
    if (deviceToken !== undefined) await this.#store?.writeDevice?.(deviceToken);
  }

  #end(): Promise<void> {
    return (this.#ending ??= this.#endAtService().finally(() => { this.#ending = undefined; }));
  }

  /** Only with the refresh token: the access token may have expired, and the cookie must be cleared too. */
  async #endAtService(): Promise<void> {
    const refreshToken = await this.#store?.read();
    if (this.#store === undefined || refreshToken) {
      await this.#ask('DELETE', '/auth', refreshToken ? { refreshToken } : undefined).catch((error: unknown) => {
        if (!(error instanceof Problem) || error.status !== 401) throw error; // 401: it had ended before
      });
    }
    await this.#store?.clear();
    if (read() === 'to-be-ended') mark(undefined);
  }

  #begin(): void {
    this.#era.abort(new Superseded());
    this.#era = new AbortController();
    this.#renewal = undefined;
  }

  #forget(why?: Change): void {
    this.#begin();
    this.#token = undefined;
    this.#user = undefined;
    if (why !== undefined) this.#announce(why);
  }

  /** Lazily, because an open channel keeps a page out of the browser's cache, and a rendering server running. */
  #listen(): void {
    if (this.#tabs !== undefined || typeof document === 'undefined' || typeof BroadcastChannel === 'undefined') return;
    this.#tabs = new BroadcastChannel(NAME);
    this.#tabs.onmessage = ({ data }: MessageEvent<News>) => void this.#hear(data);
  }

  /** Reacts to another tab. That tab writes the marker, because this one may read it a moment too late. */
  async #hear(news: News): Promise<void> {
    const before = this.#user?.id;
    if (news.kind === 'signed-out') {
      this.#forget(before === undefined ? undefined : 'signed-out-elsewhere');
    } else if (news.userId !== before && this.#store === undefined) {
      // The cookie now belongs to another user. A tab must not show one user and act as another.
      this.#forget();
      const era = this.#era.signal;
      const isIn = await this.#renew('signed-in-elsewhere').catch(() => false);
      if (!isIn && before !== undefined && !era.aborted) this.#announce('signed-out-elsewhere');
    }
  }

  #tell(news: News): void { this.#listen(); this.#tabs?.postMessage(news); }
  #announce(why: Change): void { this.dispatchEvent(new CustomEvent<Change>('change', { detail: why })); }

  async #ask<T>(method: string, path: string, body?: unknown, token?: string, era = this.#era.signal): Promise<T> {
    const headers: Record<string, string> = { Accept: 'application/json', 'X-Requested-With': 'authservice' };
    if (body !== undefined) headers['Content-Type'] = 'application/json';
    if (token !== undefined) headers['Authorization'] = `Bearer ${token}`;
    const [signal, done] = deadline(ANSWER_MS, era);
    const request: RequestInit = {
      method, headers, signal, cache: 'no-store',
      body: body === undefined ? null : JSON.stringify(body),
      credentials: this.#store === undefined ? 'include' : 'omit',
    };
    const [response, text] = await fetch(this.#base + path, request)
      .then(async (answer) => [answer, await answer.text()] as const)
      .catch(() => { throw era.reason ?? new Unreachable(); })
      .finally(done);
    era.throwIfAborted();
    if (!response.ok) throw problem(response, text);
    try {
      const isEmpty = response.status === 204 || (response.status === 202 && text === '');
      return (isEmpty ? undefined : JSON.parse(text)) as T;
    } catch {
      const detail = `${method} ${response.url} was answered ${response.status}, but not with JSON.`;
      throw new Problem(response.status, 'answer_malformed', 'Another server answered instead of the service.', detail);
    }
  }
}

/** A signal that fires after a time or with `other`, and a function that stops it. AbortSignal.any needs Safari 17.4. */
function deadline(milliseconds: number, other?: AbortSignal): [AbortSignal, () => void] {
  const controller = new AbortController();
  const abort = (): void => controller.abort();
  const clock = setTimeout(abort, milliseconds);
  other?.addEventListener('abort', abort, { once: true });
  if (other?.aborted) abort();
  return [controller.signal, () => { clearTimeout(clock); other?.removeEventListener('abort', abort); }];
}

type Details = Record<'code' | 'title' | 'detail', string> & { errors?: Fault[] };

function problem({ status, headers }: Response, text: string): Problem {
  try {
    const details = JSON.parse(text) as Details;
    const { code, title, detail, errors } = details;
    const message = sentence(status, details, Number(headers.get('Retry-After')));
    if (code && title) return new Problem(status, code, message, detail, errors, details);
  } catch { /* not ours: a proxy in between answered */ }
  return new Problem(status, 'unknown', `The service answered ${status}. Try again later.`);
}

const SPEAKS_TO_PEOPLE = new Set([
  'credentials_invalid', 'email_taken', 'last_admin', 'last_way_in', 'passkeys_full', 'role_missing', 'roles_full',
  'second_factor_wrong',
]);

/** A sentence for the user. `detail` is mostly for the developer. */
function sentence(status: number, { code, title, detail, errors = [] }: Details, waitSeconds: number): string {
  if (errors.length > 0) return errors.map((fault) => `${label(fault.pointer)}${fault.detail}`).join(' ');
  if (waitSeconds > 120) return `${title}. Try again in ${Math.ceil(waitSeconds / 60)} minutes.`;
  if (waitSeconds > 0) return `${title}. Try again in ${waitSeconds === 1 ? 'a second' : `${waitSeconds} seconds`}.`;
  if (status >= 500) return `${title}. Try again later.`;
  if (code.startsWith('token_')) return 'Your session has ended. Sign in again.';
  if (SPEAKS_TO_PEOPLE.has(code)) return detail;
  if (code === 'code_invalid' || code === 'email_unverified') return `${title}. ${detail}`;
  if ([403, 404, 409].includes(status)) return `${title}.`;
  return `The app does not understand the answer of the service (${code}). Reload the page and try again.`;
}

/** `/currentPassword` becomes `Current password: `. */
function label(pointer: string): string {
  const name = pointer.slice(1).replace(/[A-Z]/g, (letter) => ` ${letter.toLowerCase()}`);
  return name && `${name.charAt(0).toUpperCase()}${name.slice(1)}: `;
}

/** If storage is blocked, a refresh costs one request. A rendering server has no session. */
function read(): Marker | undefined {
  if (typeof document === 'undefined') return undefined;
  try { return (localStorage.getItem(NAME) as Marker | null) ?? undefined; } catch { return 'may-exist'; }
}

function mark(marker: Marker | undefined): void {
  try { if (marker) localStorage.setItem(NAME, marker); else localStorage.removeItem(NAME); } catch { /* blocked */ }
}
