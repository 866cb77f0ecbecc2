import { betterAuth } from "better-auth";
import { mongodbAdapter } from "better-auth/adapters/mongodb";
import { MongoClient } from "mongodb";

export async function open(uri) {
  const client = await new MongoClient(uri).connect();
  const auth = betterAuth({
    baseURL: "http://127.0.0.1",
    database: mongodbAdapter(client.db()),
    emailAndPassword: { enabled: true },
    secret: crypto.randomUUID(),
    telemetry: { enabled: false },
  });

  return {
    async signUp(email, password) {
      await auth.api.signUpEmail({ body: { name: "Natalie", email, password } });
      return true;
    },
    async signIn(email, password) {
      return auth.api.signInEmail({ body: { email, password } }).then(
        () => true,
        (error) => {
          if (error.statusCode === 401) return false;
          throw error;
        },
      );
    },
  };
}
