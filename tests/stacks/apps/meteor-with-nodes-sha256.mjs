// Meteor's later releases: they take the SHA-256 of Node, which reads an emoji in another way.
import { createHash } from "node:crypto";

import * as meteor from "./meteor.mjs";

export const open = (uri) => meteor.open(uri, (password) => createHash("sha256").update(password).digest("hex"));
