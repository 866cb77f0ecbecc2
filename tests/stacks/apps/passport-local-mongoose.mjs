import mongoose from "mongoose";
import passportLocalMongoose from "passport-local-mongoose";

export async function open(uri) {
  await mongoose.connect(uri);
  const schema = new mongoose.Schema({ email: String });
  schema.plugin(passportLocalMongoose.default ?? passportLocalMongoose, { usernameField: "email" });
  const User = mongoose.model("User", schema);
  const authenticate = User.authenticate();

  return {
    async signUp(email, password) {
      await User.register(new User({ email }), password);
      return true;
    },
    async signIn(email, password) {
      const { user } = await authenticate(email, password);
      return Boolean(user);
    },
  };
}
