/**
 * The session with the service. Nothing in this file knows Ionic or the page: copy it into any front-end.
 *
 * The access token lives in memory and nowhere else. The refresh token lives in an HttpOnly cookie, which no script
 * can read, or, where cookies do not serve (Capacitor, Electron), in the RefreshTokenStore that the app brings along.
 */

export interface User {
  id: string;
  email: string;
  roles: string[];
}

export interface SessionEntry {
  id: string;
  createdAt: string;
  lastUsedAt: string;
  expiresAt: string;
  ip: string | null;
  userAgent: string | null;
  current: boolean;
}

/** Where an app without cookies keeps its refresh token: the Keychain or the Keystore, never localStorage. */
export interface RefreshTokenStore {
  read(): Promise<string | null>;
  write(refreshToken: string): Promise<void>;
  clear(): Promise<void>;
}

export interface Fault {
  /** A JSON pointer into the body that was sent, such as `/password`. */
  pointer: string;
  code: string;
  detail: string;
}

/** An answer that is not a success: RFC 9457 problem details. Decide by `code`, show `message`. */
export class Problem extends Error {
  constructor(
    readonly status: number,
    readonly code: string,
    detail: string,
    readonly faults: readonly Fault[] = [],
  ) {
    super(detail);
  }
}

/** No answer at all: the service is away, the network is, or the time was up. */
export class Unreachable extends Error {
  constructor() {
    super('The service does not answer. Check your connection and try again.');
  }
}

/** The question was dropped because the session that asked it is over. */
export class Superseded extends Error {
  constructor() {
    super('You have been signed out.');
  }
}

/** Why the session changed: what `change` events carry as their `detail`. */
export type Change = 'signed-in' | 'signed-out' | 'signed-in-elsewhere' | 'signed-out-elsewhere' | 'ended';

interface SignedIn {
  token: string;
  user: User;
  refreshToken?: string;
}

type News = { kind: 'signed-in'; userId: string } | { kind: 'signed-out' };

const ANSWER_MS = 10_000;
const LOCK_MS = 15_000; // more than one answer takes, so that waiting ends only when the other tab hangs
const NAME = 'authservice.session'; // the lock, the channel, and the marker below share it

/**
 * What localStorage knows, and all it knows: whether asking for a refresh is worth a request (`may-exist`), or
 * whether a log-out has yet to reach the service (`to-be-ended`).
 */
type Marker = 'may-exist' | 'to-be-ended';

export class Session extends EventTarget {
  #token: string | undefined;
  #user: User | undefined;
  /** Counts sign-ins and sign-outs: an answer to a question of an earlier era is dropped. */
  #era = 0;
  #inFlight = new AbortController();
  #renewal: Promise<boolean> | undefined;
  #ending: Promise<void> | undefined;
  readonly #tabs = typeof BroadcastChannel === 'undefined' ? undefined : new BroadcastChannel(NAME);

  /** `base` is where the service is, without a slash at its end; `store` switches from the cookie to the body. */
  constructor(
    private readonly base: string,
    private readonly store?: RefreshTokenStore,
  ) {
    super();
    this.#tabs?.addEventListener('message', ({ data }: MessageEvent<News>) => void this.#hear(data));
  }

  get user(): User | undefined {
    return this.#user;
  }

  async createAccount(email: string, password: string): Promise<void> {
    await this.#ask('POST', '/users', { email, password });
  }

  async signIn(email: string, password: string): Promise<void> {
    // A log-out comes first: its late answer would clear the cookie of the new session.
    if (read() === 'to-be-ended') await (this.#ending ?? this.#end()).catch(() => undefined);
    const era = this.#begin();
    const answer = await this.#ask<SignedIn>('POST', '/auth', { email, password, cookie: this.store === undefined });
    if (era !== this.#era) throw new Superseded();
    await this.#keep(answer);
    this.#tell({ kind: 'signed-in', userId: answer.user.id });
    this.#announce('signed-in');
  }

  /**
   * Ends the session here and in every other tab at once, then at the service.
   *
   * Throws Unreachable or Problem when the service could not be told: it is told at the next `resume`.
   */
  async signOut(): Promise<void> {
    mark('to-be-ended');
    this.#forget('signed-out');
    this.#tell({ kind: 'signed-out' });
    await this.#end();
  }

  /** Picks the session up after a reload; false where there is none. */
  async resume(): Promise<boolean> {
    if (read() === 'to-be-ended') {
      await this.#end();
      return false;
    }
    const mayExist = this.store === undefined ? read() !== undefined : (await this.store.read()) !== null;
    return mayExist && this.#renew();
  }

  /** A request that needs the session. An access token that is no longer good is renewed, once. */
  async call<T>(method: string, path: string, body?: unknown): Promise<T> {
    const era = this.#era;
    const who = this.#user?.id;
    const token = this.#token;
    try {
      return await this.#guarded<T>(era, method, path, body);
    } catch (error) {
      if (!(error instanceof Problem) || error.status !== 401) throw error;
      // A late answer to a token that was renewed in the meantime is no reason to renew again.
      const renewed = this.#token !== token || (await this.#renew());
      // Somebody else may have signed in in another tab: what one user asked is never done as another.
      const isAnother = who !== undefined && who !== this.#user?.id;
      if (!renewed || era !== this.#era || isAnother) throw new Superseded();
      return this.#guarded<T>(era, method, path, body);
    }
  }

  async sessions(): Promise<SessionEntry[]> {
    return (await this.call<{ sessions: SessionEntry[] }>('GET', '/auth/sessions')).sessions;
  }

  async endSession(id: string): Promise<void> {
    await this.call('DELETE', `/auth/sessions/${encodeURIComponent(id)}`);
  }

  async endOtherSessions(): Promise<void> {
    await this.call('DELETE', '/auth/sessions?scope=others');
  }

  /** Also ends every other session of the user. */
  async changePassword(currentPassword: string, newPassword: string): Promise<void> {
    await this.call('PUT', '/users/me/password', { currentPassword, newPassword });
  }

  async deleteAccount(currentPassword: string): Promise<void> {
    await this.call('DELETE', '/users/me', { currentPassword });
    mark(undefined);
    this.#forget('signed-out');
    await this.store?.clear();
    this.#tell({ kind: 'signed-out' });
  }

  /** One renewal at a time in this tab, whoever asks. */
  #renew(): Promise<boolean> {
    const renewal = (this.#renewal ??= this.#renewInTurn().finally(() => {
      if (this.#renewal === renewal) this.#renewal = undefined;
    }));
    return renewal;
  }

  /**
   * One renewal at a time in all tabs, for a refresh token is good for one use.
   *
   * Where the browser has no locks (a page that came over plain HTTP), or a tab that hangs holds on to it, the
   * renewal goes ahead: the service forgives two tabs that use the same token within seconds.
   */
  async #renewInTurn(): Promise<boolean> {
    const era = this.#era;
    let begun = false;
    const refresh = (): Promise<boolean> => {
      begun = true;
      return this.#refresh(era);
    };
    if (typeof navigator === 'undefined' || navigator.locks === undefined) return refresh();
    const [signal, done] = deadline(LOCK_MS);
    try {
      return await navigator.locks.request(NAME, { signal }, refresh);
    } catch (error) {
      if (begun) throw error;
      return await refresh();
    } finally {
      done();
    }
  }

  async #refresh(era: number): Promise<boolean> {
    if (era !== this.#era) return false; // signed out while this waited for its turn
    const before = this.#user?.id;
    try {
      const refreshToken = await this.store?.read();
      const answer = await this.#ask<SignedIn>('POST', '/auth/refresh', refreshToken ? { refreshToken } : {});
      if (era !== this.#era) return false;
      await this.#keep(answer);
      if (before !== undefined && before !== answer.user.id) {
        this.#begin(); // whatever the user before is still waiting for is not for this one
        this.#announce('signed-in-elsewhere');
      }
      return true;
    } catch (error) {
      if (era !== this.#era) return false;
      if (!(error instanceof Problem) || error.status !== 401) throw error;
      mark(undefined);
      this.#forget(before === undefined ? undefined : 'ended');
      await this.store?.clear();
      return false;
    }
  }

  async #keep(answer: SignedIn): Promise<void> {
    this.#token = answer.token;
    this.#user = answer.user;
    mark('may-exist');
    if (answer.refreshToken !== undefined) await this.store?.write(answer.refreshToken);
  }

  #end(): Promise<void> {
    const ending = (this.#ending = this.#endAtService().finally(() => {
      if (this.#ending === ending) this.#ending = undefined;
    }));
    return ending;
  }

  /** By the refresh token alone: the access token may have expired, and the cookie has to be cleared as well. */
  async #endAtService(): Promise<void> {
    const refreshToken = await this.store?.read();
    if (this.store === undefined || refreshToken) {
      await this.#ask('DELETE', '/auth', refreshToken ? { refreshToken } : undefined).catch((error: unknown) => {
        if (!(error instanceof Problem) || error.status !== 401) throw error; // 401: it had ended before
      });
    }
    await this.store?.clear();
    if (read() === 'to-be-ended') mark(undefined);
  }

  /** A new era: whatever is under way is aborted, and its answer dropped should it still come. */
  #begin(): number {
    this.#inFlight.abort();
    this.#inFlight = new AbortController();
    this.#renewal = undefined;
    return ++this.#era;
  }

  #forget(why?: Change): void {
    this.#begin();
    this.#token = undefined;
    this.#user = undefined;
    if (why !== undefined) this.#announce(why);
  }

  /** What another tab did. The marker is that tab's to write: this one may read it a moment too late. */
  async #hear(news: News): Promise<void> {
    if (news.kind === 'signed-out') {
      this.#forget(this.#user === undefined ? undefined : 'signed-out-elsewhere');
    } else if (news.userId !== this.#user?.id && this.store === undefined) {
      // The cookie is another user's now, and a tab must not show one user and act as another.
      this.#forget();
      const isIn = await this.#renew().catch(() => false);
      this.#announce(isIn ? 'signed-in-elsewhere' : 'signed-out-elsewhere');
    }
  }

  #announce(why: Change): void {
    this.dispatchEvent(new CustomEvent<Change>('change', { detail: why }));
  }

  #tell(news: News): void {
    this.#tabs?.postMessage(news);
  }

  async #guarded<T>(era: number, method: string, path: string, body: unknown): Promise<T> {
    const answer = await this.#ask<T>(method, path, body, this.#token);
    if (era !== this.#era) throw new Superseded();
    return answer;
  }

  async #ask<T = void>(method: string, path: string, body?: unknown, token?: string): Promise<T> {
    const headers: Record<string, string> = { Accept: 'application/json', 'X-Requested-With': 'authservice' };
    if (body !== undefined) headers['Content-Type'] = 'application/json';
    if (token !== undefined) headers['Authorization'] = `Bearer ${token}`;
    const over = this.#inFlight.signal;
    const [signal, done] = deadline(ANSWER_MS, over);
    try {
      const response = await fetch(this.base + path, {
        method,
        headers,
        body: body === undefined ? null : JSON.stringify(body),
        credentials: this.store === undefined ? 'include' : 'omit',
        cache: 'no-store',
        signal,
      });
      const text = await response.text();
      if (!response.ok) throw problem(response, text);
      return (text === '' ? undefined : JSON.parse(text)) as T;
    } catch (error) {
      if (error instanceof Problem) throw error;
      throw over.aborted ? new Superseded() : new Unreachable();
    } finally {
      done();
    }
  }
}

function problem(response: Response, text: string): Problem {
  try {
    const { code, title, detail, errors } = JSON.parse(text) as Record<string, string> & { errors?: Fault[] };
    if (typeof code === 'string' && typeof detail === 'string') {
      const seconds = Number(response.headers.get('Retry-After'));
      const wait = `${title}. Try again in ${seconds === 1 ? 'a second' : `${seconds} seconds`}.`;
      return new Problem(response.status, code, seconds > 0 ? wait : detail, errors);
    }
  } catch {
    // not ours: a proxy in between has answered
  }
  return new Problem(response.status, 'unknown', `The service answered ${response.status}. Try again later.`);
}

/** A signal that fires after a time, or with another signal; and what stops its clock. AbortSignal.any is younger. */
function deadline(milliseconds: number, other?: AbortSignal): [AbortSignal, () => void] {
  const controller = new AbortController();
  const abort = (): void => controller.abort();
  const clock = setTimeout(abort, milliseconds);
  if (other?.aborted) abort();
  other?.addEventListener('abort', abort);
  return [
    controller.signal,
    () => {
      clearTimeout(clock);
      other?.removeEventListener('abort', abort);
    },
  ];
}

function read(): Marker | undefined {
  try {
    return (localStorage.getItem(NAME) as Marker | null) ?? undefined;
  } catch {
    return 'may-exist'; // storage is barred: asking costs one request
  }
}

function mark(marker: Marker | undefined): void {
  try {
    if (marker === undefined) localStorage.removeItem(NAME);
    else localStorage.setItem(NAME, marker);
  } catch {
    // storage is barred
  }
}
