// npm better-auth with its in-memory store: one person who is signed in.
// Argument: port. Prints a line of JSON when it listens; ends on SIGTERM.
import { randomBytes } from 'node:crypto';
import { createServer } from 'node:http';
import { betterAuth } from 'better-auth';
import { memoryAdapter } from 'better-auth/adapters/memory';
import { toNodeHandler } from 'better-auth/node';

const port = Number(process.argv[2]);
const auth = betterAuth({
  baseURL: `http://127.0.0.1:${port}`,
  secret: randomBytes(32).toString('hex'),
  database: memoryAdapter({ user: [], session: [], account: [], verification: [] }),
  emailAndPassword: { enabled: true },
  rateLimit: { enabled: false },
  telemetry: { enabled: false },
});
const answer = await auth.api.signUpEmail({
  body: { email: 'ada@bench.example', password: randomBytes(16).toString('hex'), name: 'Ada' },
  asResponse: true,
});
const cookie = answer.headers.get('set-cookie').split(';')[0];
const server = createServer(toNodeHandler(auth));
server.listen(port, '127.0.0.1', () => console.log(JSON.stringify({ cookie })));
process.on('SIGTERM', () => server.close(() => process.exit(0)));
