// Verifies the tokens on stdin, one a line, with the keys at a URL; prints the kid of each, or why it is refused.
import { createInterface } from 'node:readline';
import { createRemoteJWKSet, jwtVerify } from 'jose';

const [url, issuer, keepMilliseconds] = process.argv.slice(2);
// It never asks because of an unknown kid: only the age of what it keeps counts.
const keys = createRemoteJWKSet(new URL(url), { cacheMaxAge: Number(keepMilliseconds), cooldownDuration: 1e9 });
for await (const token of createInterface({ input: process.stdin })) {
  try {
    const { protectedHeader } = await jwtVerify(token, keys, { algorithms: ['ES256', 'EdDSA'], issuer });
    console.log(protectedHeader.kid);
  } catch (error) {
    console.log(`refused: ${error.code}`);
  }
}
