/** Solves ALTCHA challenges. Loaded only if the service asks for a proof of work. */
import { type Challenge, solveChallengeWorkers } from 'altcha/lib';
import Pbkdf2Worker from 'altcha/workers/pbkdf2?worker';

/** The field `altcha` of a sign-up: the solution, as ALTCHA's own widget writes it. */
export async function solve(challenge: Challenge): Promise<string> {
  const solution = await solveChallengeWorkers({
    challenge,
    concurrency: Math.min(navigator.hardwareConcurrency, 8),
    createWorker: () => new Pbkdf2Worker(),
  }).catch(() => null);
  if (solution === null) throw new Error('This browser could not solve the puzzle that protects the sign-up.');
  return btoa(JSON.stringify({ challenge, solution }));
}
