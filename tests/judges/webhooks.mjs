// npm's `standardwebhooks` verifies webhooks. In: JSON [{secret, headers, body}, …]. Out: for each what it read, or its
// error's name.
import { Webhook } from "standardwebhooks";

let text = "";
for await (const piece of process.stdin) text += piece;
const results = JSON.parse(text).map(({ secret, headers, body }) => {
  try {
    return new Webhook(secret).verify(body, headers);
  } catch (error) {
    return error.constructor.name;
  }
});
process.stdout.write(JSON.stringify(results));
