// Starts `heddle lsp` and lets the editor talk with it.

const vscode = require("vscode");
const { LanguageClient } = require("vscode-languageclient/node");

let client;

async function start() {
  const command = vscode.workspace.getConfiguration("heddle").get("path", "heddle");
  const server = { command, args: ["lsp"] };
  client = new LanguageClient(
    "heddle",
    "Heddle",
    { run: server, debug: server },
    {
      documentSelector: [{ language: "heddle" }],
      synchronize: { fileEvents: vscode.workspace.createFileSystemWatcher("**/*.hd") },
    },
  );
  try {
    await client.start();
  } catch (error) {
    client = undefined;
    vscode.window.showErrorMessage(
      `Heddle: "${command} lsp" cannot be started (${error.message ?? error}). The setting heddle.path names the program.`,
    );
  }
}

async function stop() {
  const running = client;
  client = undefined;
  await running?.stop();
}

async function restart() {
  await stop();
  await start();
}

async function activate(context) {
  context.subscriptions.push(
    vscode.commands.registerCommand("heddle.restart", restart),
    vscode.workspace.onDidChangeConfiguration((change) => {
      if (change.affectsConfiguration("heddle.path")) restart();
    }),
  );
  await start();
}

module.exports = { activate, deactivate: stop };
