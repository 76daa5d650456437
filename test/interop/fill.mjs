// Starts cognito-local, fills a pool through the AWS SDK, and prints one line of
// JSON: the endpoint, the region, the pool's id, and its users as the SDK lists
// them. Then serves until its standard input ends.
import { spawn } from "node:child_process";
import { mkdirSync, mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { fileURLToPath } from "node:url";
import {
  AdminCreateUserCommand,
  AdminDisableUserCommand,
  AdminSetUserPasswordCommand,
  CognitoIdentityProviderClient,
  CreateUserPoolCommand,
  paginateListUsers,
} from "@aws-sdk/client-cognito-identity-provider";

const NAMES = ["Zoë Ångström", "李小龙", "O'Neil \"Quote\" \\ Back", "Дарья 🐘", "Plain Name"];

/** Starts cognito-local on a free port, its data below the folder; resolves to process and URL. */
function startServer(folder) {
  // unless told, it makes every user name an e-mail address
  mkdirSync(`${folder}/.cognito`);
  writeFileSync(
    `${folder}/.cognito/config.json`,
    JSON.stringify({ UserPoolDefaults: { UsernameAttributes: [] } }),
  );
  const program = fileURLToPath(import.meta.resolve("cognito-local/lib/bin/start.js"));
  const server = spawn(process.execPath, [program], {
    cwd: folder,
    env: { ...process.env, HOST: "127.0.0.1", PORT: "0" },
    stdio: ["ignore", "pipe", "inherit"],
  });
  return new Promise((resolve, reject) => {
    let log = "";
    server.on("exit", (code) => reject(new Error(`cognito-local ended with ${code}: ${log}`)));
    server.stdout.on("data", (chunk) => {
      log += chunk;
      const url = /http:\/\/127\.0\.0\.1:\d+/.exec(log);
      if (url) resolve({ server, endpoint: url[0] });
    });
  });
}

/** Makes the i-th of varied users: some without e-mail, disabled, or confirmed. */
async function createUser(client, UserPoolId, i) {
  const Username = i % 10 === 3 ? `użytkownik-${i}` : `user-${i}`;
  const attributes = { name: NAMES[i % NAMES.length], "custom:number": String(i) };
  if (i % 25 !== 7) attributes.email = `${Username}@example.org`;
  await client.send(
    new AdminCreateUserCommand({
      UserPoolId,
      Username,
      MessageAction: "SUPPRESS",
      UserAttributes: Object.entries(attributes).map(([Name, Value]) => ({ Name, Value })),
    }),
  );
  if (i % 20 === 5) await client.send(new AdminDisableUserCommand({ UserPoolId, Username }));
  if (i % 3 === 0)
    await client.send(
      new AdminSetUserPasswordCommand({ UserPoolId, Username, Password: "Passw0rd!", Permanent: true }),
    );
}

/** A user in the columns of cognito_users. */
function row(user) {
  const attributes = Object.fromEntries(user.Attributes.map(({ Name, Value }) => [Name, Value]));
  return {
    username: user.Username,
    email: attributes.email ?? null,
    status: user.UserStatus,
    enabled: user.Enabled,
    created_at: user.UserCreateDate.toISOString(),
    updated_at: user.UserLastModifiedDate.toISOString(),
    attributes,
  };
}

const folder = mkdtempSync(`${tmpdir()}/cognito-local-`);
process.on("exit", () => rmSync(folder, { recursive: true }));
const { server, endpoint } = await startServer(folder);
process.on("exit", () => server.kill());
process.stdin.on("end", () => process.exit()).resume();

const region = "local";
const credentials = { accessKeyId: "AKIAIOSFODNN7EXAMPLE", secretAccessKey: "anything" };
const client = new CognitoIdentityProviderClient({ endpoint, region, credentials });
const { UserPool } = await client.send(new CreateUserPoolCommand({ PoolName: "interop" }));
for (let i = 0; i < 75; i++) await createUser(client, UserPool.Id, i);

const users = [];
for await (const page of paginateListUsers({ client }, { UserPoolId: UserPool.Id }))
  users.push(...page.Users.map(row));
console.log(JSON.stringify({ endpoint, region, user_pool_id: UserPool.Id, users }));
