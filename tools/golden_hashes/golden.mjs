// Hashes by the libraries of Node stacks. Run: node golden.mjs PATH_OF_METEORS_sha256.js > node.json
import { createRequire } from "node:module";
import { readFileSync } from "node:fs";
import { pathToFileURL } from "node:url";
import { createHash, randomBytes } from "node:crypto";
import vm from "node:vm";

const require = createRequire(`${process.cwd()}/`);
const passwords = JSON.parse(readFileSync(new URL("passwords.json", import.meta.url)));
const file = (path) => import(pathToFileURL(`${process.cwd()}/node_modules/${path}`));
const version = (name) =>
  JSON.parse(readFileSync(`${process.cwd()}/node_modules/${name}/package.json`)).version;
const golden = [];
const add = (stack, by, name, stored, more = {}) => golden.push({ stack, by, password: passwords[name], stored, ...more });
const all = Object.keys(passwords);
const few = ["words", "emoji", "73 bytes"];

// NestJS, Express, Feathers, Strapi: bcrypt and bcryptjs. Keystone 4: bcrypt-nodejs. Cost 5, which only saves time.
const bcrypt = require("bcrypt");
for (const name of all) add("bcrypt", `bcrypt ${version("bcrypt")}`, name, await bcrypt.hash(passwords[name], 5));
for (const module of ["bcryptjs3", "bcryptjs2"]) {
  const bcryptjs = require(module);
  for (const name of all) add("bcrypt", `bcryptjs ${version(module)}`, name, bcryptjs.hashSync(passwords[name], 5));
}
const bcryptNodejs = require("bcrypt-nodejs");
for (const name of all)
  add("bcrypt", `bcrypt-nodejs ${version("bcrypt-nodejs")}`, name,
    bcryptNodejs.hashSync(passwords[name], bcryptNodejs.genSaltSync(5)));
const parse = require(`${process.cwd()}/node_modules/parse-server/lib/password.js`);
for (const name of few) add("bcrypt", `parse-server ${version("parse-server")}`, name, await parse.hash(passwords[name]));

// Argon2 in Node stacks, by the defaults of the library, and with less memory
const argon2 = require("argon2");
for (const name of few)
  add("argon2", `argon2 ${version("argon2")}`, name, await argon2.hash(passwords[name], { memoryCost: 1024 }));
add("argon2", `argon2 ${version("argon2")}`, "tab", await argon2.hash(passwords.tab));
const nodeRs = require("@node-rs/argon2");
add("argon2", `@node-rs/argon2 ${version("@node-rs/argon2")}`, "emoji", await nodeRs.hash(passwords.emoji));
for (const [kind, type] of [["argon2i", argon2.argon2i], ["argon2d", argon2.argon2d]])
  add("argon2", `argon2 ${version("argon2")} (${kind})`, "emoji",
    await argon2.hash(passwords.emoji, { type, memoryCost: 1024, parallelism: 2 }));

// Meteor: its own SHA-256 of most releases, and that of the platform, which replaced it
const meteors = vm.runInNewContext(`${readFileSync(process.argv[2])}; SHA256`);
const platforms = (text) => createHash("sha256").update(text, "utf8").digest("hex");
for (const [by, sha256] of [["sha256.js", meteors], ["sha256-server.js", platforms]]) {
  for (const name of all) add("meteor", `Meteor's ${by}, bcrypt ${version("bcrypt")}`, name, {
    bcrypt: await bcrypt.hash(sha256(passwords[name]), 5),
  });
  // the parameters of Meteor's accounts-base
  for (const name of few) add("meteor", `Meteor's ${by}, argon2 ${version("argon2")}`, name, {
    argon2: await argon2.hash(sha256(passwords[name]), { type: argon2.argon2id, timeCost: 2, memoryCost: 19456, parallelism: 1 }),
  });
}

// passport-local-mongoose, without a database
const mongoose = require("mongoose");
for (const module of ["plm1", "plm4", "plm6", "plm9"]) {
  const required = require(module);
  const schema = new mongoose.Schema({});
  if (module === "plm9") schema.plugin(required.default ?? required.passportLocalMongoose ?? required);
  else required(schema, {});
  const Model = mongoose.model(module, schema);
  for (const name of module === "plm6" ? ["emoji"] : ["words", "umlauts", "emoji", "73 bytes"]) {
    const user = new Model({});
    await new Promise((resolve, reject) => {
      const made = user.setPassword(passwords[name], (error) => (error ? reject(error) : resolve()));
      if (made?.then) made.then(resolve, reject);
    });
    add("passport-local-mongoose", `passport-local-mongoose ${version(module)}`, name, { hash: user.hash, salt: user.salt });
  }
}

// Payload: what it writes today. Its older format is that of passport-local-mongoose, which it used.
const payload = await file("payload/dist/auth/strategies/local/generatePasswordSaltHash.js");
for (const name of few)
  add("payload", `payload ${version("payload")}`, name, await payload.generatePasswordSaltHash({
    collection: {}, isPasswordAuthenticated: true, password: passwords[name], req: {},
  }));
const { authenticateLocalStrategy } = await file("payload/dist/auth/strategies/local/authenticate.js");
for (const old of golden.filter((one) => one.by.startsWith("passport-local-mongoose 4")))
  if (await authenticateLocalStrategy({ doc: old.stored, password: old.password }))
    golden.push({ ...old, stack: "payload", by: `${old.by}, accepted by payload ${version("payload")}` });

// Better Auth
const betterAuth = await import(pathToFileURL(require.resolve("better-auth/crypto")));
for (const name of ["words", "emoji", "decomposed", "wide", "73 bytes"])
  add("better-auth", `better-auth ${version("better-auth")}`, name, await betterAuth.hashPassword(passwords[name]));

// Medusa: what @medusajs/auth-emailpass calls, with its parameters
const medusas = "@medusajs/auth-emailpass/node_modules/scrypt-kdf";
const scryptKdf = require(`./node_modules/${medusas}`);
for (const name of few)
  add("medusa", `scrypt-kdf ${version(medusas)} of @medusajs/auth-emailpass ${version("@medusajs/auth-emailpass")}`, name,
    (await scryptKdf.kdf(passwords[name], { logN: 15, r: 8, p: 1 })).toString("base64"));

// Firebase: a project with its own key, and its usual parameters; and a smaller one
const { FirebaseScrypt } = require("firebase-scrypt");
for (const [memCost, rounds, names] of [[14, 8, ["words", "emoji", "73 bytes"]], [10, 4, ["umlauts", "spaces"]]]) {
  const parameters = { memCost, rounds, saltSeparator: "Bw==", signerKey: randomBytes(64).toString("base64") };
  const project = new FirebaseScrypt(parameters);
  for (const name of names) {
    const salt = randomBytes(10).toString("base64");
    add("firebase", `firebase-scrypt ${version("firebase-scrypt")}`, name,
      { passwordHash: await project.hash(passwords[name], salt), salt }, { parameters });
  }
}

process.stdout.write(JSON.stringify(golden));
