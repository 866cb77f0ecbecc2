// A whole Parse Server, over its REST API.
import { createServer } from "node:http";

import { ParseServer } from "parse-server";

const APP = "stacks";

export async function open(uri) {
  const http = createServer();
  await new Promise((listening) => http.listen(0, "127.0.0.1", listening));
  const url = `http://127.0.0.1:${http.address().port}`;
  const parse = new ParseServer({
    appId: APP, databaseURI: uri, directAccess: true, masterKey: crypto.randomUUID(), serverURL: url, silent: true,
  });
  await parse.start();
  http.on("request", parse.app);

  const post = async (path, body) => {
    const headers = { "Content-Type": "application/json", "X-Parse-Application-Id": APP };
    return (await fetch(url + path, { method: "POST", headers, body: JSON.stringify(body) })).status;
  };
  return {
    signUp: async (email, password) => (await post("/users", { username: email, email, password })) === 201,
    signIn: async (username, password) => (await post("/login", { username, password })) === 200,
  };
}
