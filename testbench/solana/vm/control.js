// The x_* methods: what a test does to the chain and to a node. Faults never
// touch them.

import { badParams } from './errors.js';
import * as p from './params.js';

const MAX_TICKS = 100_000;
const MAX_ACCOUNT_BYTES = 10 * 1024 * 1024;

export const CONTROLS = new Map(Object.entries({
  x_tick({ chain }, [o]) {
    const n = p.integer(p.config(o).slots ?? 1, 'slots', { min: 1, max: MAX_TICKS });
    for (let i = 0; i < n; i++) chain.tick();
    return stats(chain);
  },

  x_setFaults({ faults }, [settings]) {
    faults.set(settings ?? {});
    return faults.settings;
  },

  x_clearFaults({ faults }) {
    faults.set({});
    return faults.settings;
  },

  x_checkpoint: ({ chain }) => chain.checkpoint(),

  x_rollback({ chain }, [o]) {
    const { id, force, reland } = p.config(o);
    p.integer(id, 'id', { min: 1 });
    p.integer(reland ?? 0, 'reland', { max: 1000 });
    try {
      return { dropped: chain.rollback({ id, force: force === true, reland: reland ?? 0 }) };
    } catch (e) {
      throw badParams(e.message);
    }
  },

  x_setAccount({ chain }, [key, account]) {
    const { lamports, owner, data, executable } = p.config(account);
    const bytes = p.base64(data ?? '', 'data');
    if (bytes.length > MAX_ACCOUNT_BYTES) throw badParams(`data exceeds ${MAX_ACCOUNT_BYTES} bytes`);
    chain.runtime.setAccount(p.address(key), {
      lamports: BigInt(p.integer(lamports, 'lamports')),
      owner: p.address(owner, 'owner'),
      data: bytes,
      executable: executable === true,
    });
    chain.changed = true;
    return null;
  },

  x_loadProgram({ chain }, [key, elf]) {
    const bytes = p.base64(elf, 'program');
    if (bytes.length < 64 || bytes.readUInt32BE(0) !== 0x7f454c46) throw badParams('program is not an ELF file');
    chain.runtime.addProgram(p.address(key), bytes);
    chain.changed = true;
    return null;
  },

  x_save({ store }) {
    if (store === null) throw badParams('the server was started without --state');
    store.save();
    return null;
  },

  x_stats: ({ chain, faults, requests }) => ({ ...stats(chain), faults: faults.injected, requests: Object.fromEntries(requests), rssBytes: process.memoryUsage.rss() }),
}));

function stats({ ledger, pending, dropped, checkpoints }) {
  return {
    slot: ledger.tip().slot,
    height: ledger.height,
    finalizedHeight: ledger.root,
    transactions: ledger.total,
    pending: pending.length,
    dropped,
    checkpoints: [...checkpoints.keys()],
  };
}
