// node stack.mjs STACK URI signUp|signIn < '[[EMAIL, PASSWORD], ...]': prints for each whether the stack let the user in.
import { readFileSync, writeSync } from "node:fs";

const [stack, uri, action] = process.argv.slice(2);
const { open } = await import(`./apps/${stack}.mjs`);
const app = await open(uri);
const answers = [];
for (const [email, password] of JSON.parse(readFileSync(0, "utf8"))) answers.push(await app[action](email, password));
writeSync(1, `\n${JSON.stringify(answers)}\n`);
process.exit(0);
