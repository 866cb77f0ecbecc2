// What an app of NestJS, or of Express, does with mongoose and bcrypt.
import bcrypt from "bcrypt";
import mongoose from "mongoose";

const COST = 10;

export async function open(uri) {
  await mongoose.connect(uri);
  const schema = new mongoose.Schema({
    email: { type: String, unique: true, required: true },
    password: { type: String, required: true },
    name: String,
  });
  schema.pre("save", async function () {
    if (this.isModified("password")) this.password = await bcrypt.hash(this.password, COST);
  });
  const User = mongoose.model("User", schema);

  return {
    async signUp(email, password) {
      await User.create({ email, password, name: "Natalie" });
      return true;
    },
    async signIn(email, password) {
      const user = await User.findOne({ email });
      return user !== null && (await bcrypt.compare(password, user.password));
    },
    async changePassword(email, password) {
      const user = await User.findOne({ email });
      user.password = password;
      await user.save();
      return true;
    },
  };
}
