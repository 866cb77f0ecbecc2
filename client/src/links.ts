/** The link of a mail that opened this page. */
export interface Link {
  action: string;
  token: string;
}

/** Reads the link, and removes it from the address at once: the token is for nobody who sees the address later. */
export function takeLink(): Link | undefined {
  const query = new URLSearchParams(location.search);
  const [action, token] = [query.get('action'), query.get('token')];
  if (action === null || token === null) return undefined;
  history.replaceState(null, '', location.pathname);
  return { action, token };
}
