// A walk through the API with openapi-fetch and the types of openapi-typescript. tsc checks them, and node runs it.
import createClient from 'openapi-fetch';
import type { components, paths } from './schema.js';

declare const process: { argv: string[] };
const [, , baseUrl = '', email = '', password = ''] = process.argv;
const api = createClient<paths>({ baseUrl });

function expect<T>(value: T | undefined, what: string): T {
  if (value === undefined) throw new Error(`no ${what}`);
  console.log(what);
  return value;
}

const bearer = (tokens: components['schemas']['Token']) => ({ headers: { Authorization: `${tokens.tokenType} ${tokens.token}` } });

// sign up
const created = await api.POST('/users', { body: { email, password } });
const user = expect(created.data, 'signed up');
const createdAt: string | null = user.createdAt;
const again = await api.POST('/users', { body: { email, password } });
if (createdAt === null || again.error?.code !== 'email_taken') throw new Error('two accounts');
const status: 409 = again.error.status;
// @ts-expect-error -- a code that signing up never answers
if (again.error.code === 'last_admin') throw new Error(`${status}`);
const short = await api.POST('/users', { body: { email: 'bob@example.com', password: 'short' } });
if (short.error?.code !== 'validation_failed') throw new Error('a short password');
console.log(...short.error.errors.map((fault) => `${fault.pointer} ${fault.code}`));

// sign in
const first = expect((await api.POST('/auth', { body: { email, password } })).data, 'signed in');
// @ts-expect-error -- absent in cookie mode
const certain: string = first.refreshToken;
const wrong = await api.POST('/auth', { body: { email, password: `not ${certain}` } });
if (wrong.error?.code !== 'credentials_invalid') throw new Error('a wrong password');

// refresh
const refreshToken = expect(first.refreshToken, 'refresh token');
const tokens = expect((await api.POST('/auth/refresh', { body: { refreshToken } })).data, 'refreshed');

// refresh by cookie
const browser = await api.POST('/auth', { body: { email, password, cookie: true } });
if (browser.data?.refreshToken !== undefined) throw new Error('a refresh token beside the cookie');
const cookie = browser.response.headers.getSetCookie()[0]?.split(';')[0] ?? '';
const withCookie = { params: { header: { 'X-Requested-With': 'walk' } }, headers: { Cookie: cookie } };
const other = expect((await api.POST('/auth/refresh', withCookie)).data, 'refreshed by cookie');
const crossSite = await api.POST('/auth/refresh', { headers: { Cookie: cookie } });
if (crossSite.error?.code !== 'cross_site_refused') throw new Error('a cookie alone');

// sessions
const listed = expect((await api.GET('/auth/sessions', bearer(tokens))).data, 'listed');
const [another] = listed.sessions.filter((session) => !session.current);
const path = { session_id: another?.id ?? '' };
if ((await api.DELETE('/auth/sessions/{session_id}', { params: { path }, ...bearer(tokens) })).error) throw new Error('not ended');
const ended = await api.GET('/users/me', bearer(other));
if (ended.error?.code !== 'token_invalid') throw new Error('it lives on');
console.log('ended one');
const query = { scope: 'others' } as const;
if ((await api.DELETE('/auth/sessions', { params: { query }, ...bearer(tokens) })).error) throw new Error('not ended');

// sign out
const me = expect((await api.GET('/users/me', bearer(tokens))).data, 'still signed in');
const left = await api.DELETE('/auth', bearer(tokens));
const out = await api.GET('/users/me', bearer(tokens));
if (me.id !== user.id || left.response.status !== 204 || out.error?.code !== 'token_invalid') throw new Error('not signed out');
console.log('signed out');
