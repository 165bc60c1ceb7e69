// A Solana VM behind JSON-RPC on the loopback interface. See ../README.md.

import { parseArgs } from 'node:util';
import { Chain } from './chain.js';
import { base58, fromBase58, sha256 } from './codec.js';
import { serve } from './http.js';
import { Store } from './state.js';

const USAGE = `usage: node main.js [flags]

  --port N       TCP port on 127.0.0.1; 0 picks a free one (default 8899)
  --slot-ms N    a block every N milliseconds; 0 only on x_tick (default 400)
  --state FILE   continue the chain in FILE and keep it there
  --save-ms N    how often a changed chain is written (default 2000)
  --genesis H    genesis hash, 32 bytes of base58
  --seed TEXT    derive the genesis hash from TEXT (default "heliograph")
  --detached     keep running when standard input closes

Prints one line {"listening":"http://127.0.0.1:PORT","genesis":"..."} when ready.
Example: node main.js --port 8899 --slot-ms 400 --state /tmp/chain
`;

const IDLE_SAVES = 15; // ticks alone are written every fifteenth time

function fail(message) {
  process.stderr.write(`solana vm: ${message}\n`);
  process.exit(2);
}

function flags() {
  const text = (value) => ({ type: 'string', default: value });
  let values;
  try {
    ({ values } = parseArgs({
      options: {
        port: text('8899'), 'slot-ms': text('400'), state: text(''), 'save-ms': text('2000'), genesis: text(''), seed: text('heliograph'),
        detached: { type: 'boolean', default: false }, help: { type: 'boolean', default: false },
      },
    }));
  } catch (e) {
    fail(`${e.message}\n${USAGE}`);
  }
  if (values.help) {
    process.stdout.write(USAGE);
    process.exit(0);
  }
  const number = (name, max) => {
    const n = Number(values[name]);
    if (values[name] === '' || !Number.isInteger(n) || n < 0 || n > max) fail(`--${name} must be a whole number from 0 to ${max}`);
    return n;
  };
  const given = values.genesis !== '';
  if (given && fromBase58(values.genesis.slice(0, 64))?.length !== 32) fail('--genesis must be 32 bytes of base58');
  return {
    port: number('port', 65535),
    slotMs: number('slot-ms', 3_600_000),
    saveMs: Math.max(100, number('save-ms', 3_600_000)),
    state: values.state,
    genesis: given ? values.genesis : base58(sha256('heliograph testbench genesis', values.seed)),
    detached: values.detached,
  };
}

function open({ state, genesis }) {
  const store = state === '' ? null : new Store(state);
  const saved = store?.load() ?? null;
  if (saved && saved.ledger.genesis !== genesis) {
    throw new Error(`state file ${state} holds the chain ${saved.ledger.genesis}, asked for ${genesis}; move it away or pass --genesis ${saved.ledger.genesis}`);
  }
  const chain = new Chain({ genesis, saved });
  if (store) store.chain = chain;
  return { store, chain };
}

function main() {
  const options = flags();
  const log = (line) => process.stderr.write(`solana vm: ${line}\n`);
  let opened;
  try {
    opened = open(options);
    opened.store?.save();
  } catch (e) {
    fail(e.message);
  }
  const { store, chain } = opened;

  let stopping = false;
  const stop = () => {
    if (stopping) return;
    stopping = true;
    let code = 0;
    try {
      store?.save();
    } catch (e) {
      log(`save on exit: ${e.message}`);
      code = 1;
    }
    process.exit(code);
  };
  process.on('SIGTERM', stop);
  process.on('SIGINT', stop);
  if (!options.detached) {
    // The parent holds the other end: when it dies, so does this process.
    process.stdin.on('end', stop).on('close', stop).on('error', stop).resume();
  }

  if (options.slotMs > 0) setInterval(() => chain.tick(), options.slotMs);
  let idle = 0;
  if (store) {
    setInterval(() => {
      if (!chain.changed && ++idle < IDLE_SAVES) return;
      idle = 0;
      try {
        store.save();
      } catch (e) {
        log(`save: ${e.message}`);
      }
    }, options.saveMs);
  }

  const server = serve({ chain, store, log });
  server.on('error', (e) => fail(`listen on port ${options.port}: ${e.message}`));
  server.listen(options.port, '127.0.0.1', () => {
    const listening = `http://127.0.0.1:${server.address().port}`;
    process.stdout.write(`${JSON.stringify({ listening, genesis: chain.ledger.genesis })}\n`);
  });
}

main();
