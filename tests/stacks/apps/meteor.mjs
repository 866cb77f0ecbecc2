// What Meteor's accounts-password stores and checks. Its packages are not on npm, but what they are made of is:
// the SHA-256 that most releases have, and bcrypt.
import bcrypt from "bcrypt";
import SHA256 from "meteor-sha256";
import { MongoClient } from "mongodb";

const COST = 10; // its default

export async function open(uri, sha256 = SHA256) {
  const client = await new MongoClient(uri).connect();
  const users = client.db().collection("users");
  await users.createIndex({ "emails.address": 1 }, { unique: true, sparse: true });

  return {
    async signUp(email, password) {
      await users.insertOne({
        _id: randomId(),
        createdAt: new Date(),
        services: { password: { bcrypt: await bcrypt.hash(sha256(password), COST) } },
        emails: [{ address: email, verified: true }],
      });
      return true;
    },
    async signIn(email, password) {
      const user = await users.findOne({ "emails.address": email });
      return user !== null && (await bcrypt.compare(sha256(password), user.services.password.bcrypt));
    },
  };
}

function randomId() {
  const letters = "23456789ABCDEFGHJKLMNPQRSTWXYZabcdefghijkmnopqrstuvwxyz";
  return Array.from(crypto.getRandomValues(new Uint8Array(17)), (byte) => letters[byte % letters.length]).join("");
}
