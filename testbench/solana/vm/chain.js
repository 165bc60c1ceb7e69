// Chain joins the VM and the ledger: what lands, when, and what a fork undoes.

import { createPrivateKey, createPublicKey, sign } from 'node:crypto';
import { base58, fromBase58, sha256 } from './codec.js';
import { Ledger } from './ledger.js';
import { parseTransaction, signaturesValid } from './message.js';
import { balances, loadAddresses, record } from './meta.js';
import { MEMO, SYSTEM, readNonce } from './programs.js';
import { Runtime, keyBytes } from './runtime.js';

const FAUCET_LAMPORTS = 9_000_000_000_000_000n; // 9 million SOL
const MAX_CHECKPOINTS = 16;
const ED25519_PKCS8 = Buffer.from('302e020100300506032b657004220420', 'hex');
const unixNow = () => Math.floor(Date.now() / 1000);

export class Chain {
  // saved is {ledger, vm} as state.js returns it, or null for a new chain.
  constructor({ genesis, saved }) {
    this.runtime = new Runtime(saved?.vm);
    this.ledger = saved
      ? Ledger.fromJSON(saved.ledger)
      : new Ledger({ genesis, firstSlot: this.runtime.firstSlot(), now: unixNow() });
    this.pending = saved?.pending ?? [];
    this.airdrops = saved?.airdrops ?? 0;
    this.dropped = {}; // reason -> transactions that never landed
    this.checkpoints = new Map();
    this.nextCheckpoint = 1;
    this.changed = !saved; // something beside ticks is not on disk yet
    this.faucet = faucetKey(this.ledger.genesis);
    if (!saved) {
      const account = { lamports: FAUCET_LAMPORTS, data: Buffer.alloc(0), owner: SYSTEM, executable: false };
      this.runtime.setAccount(this.faucet.address, account);
    }
  }

  // tick makes one block and lands what is due in it.
  tick() {
    this.ledger.tick(unixNow());
    const due = this.pending.filter((p) => p.height <= this.ledger.height);
    if (due.length === 0) return;
    this.pending = this.pending.filter((p) => p.height > this.ledger.height);
    for (const { raw } of due) this.land(parseTransaction(Buffer.from(raw, 'base64')));
  }

  // landLater queues a transaction for the block `blocks` ahead.
  landLater(tx, blocks) {
    this.pending.push({ height: this.ledger.height + blocks, raw: tx.raw.toString('base64') });
    this.changed = true;
  }

  // lifetime says why a transaction may run at block height `at`: 'blockhash',
  // 'nonce', or null when it may not.
  lifetime(tx, at = this.ledger.height) {
    if (this.ledger.hashValid(tx.blockhash, at)) return 'blockhash';
    return this.nonceOf(tx) === null ? null : 'nonce';
  }

  // nonceOf is the nonce account of a durable transaction whose nonce is the
  // stored one, or null.
  nonceOf(tx) {
    const first = tx.instructions[0];
    if (first === undefined || tx.keys[first.program] !== SYSTEM || first.accounts.length === 0) return null;
    if (first.data.length < 4 || first.data.readUInt32LE(0) !== 4) return null;
    const address = tx.keys[first.accounts[0]];
    if (address === undefined || readNonce(this.runtime.account(address))?.nonce !== tx.blockhash) return null;
    this.runtime.sync(this.ledger);
    return base58(this.runtime.nextNonce()) === tx.blockhash ? null : address;
  }

  // land executes tx in the open block. It returns the record, or null when
  // a validator would have dropped the transaction without a trace.
  land(tx) {
    const known = this.ledger.txs.get(tx.signature);
    if (known) return known;
    const lifetime = this.lifetime(tx);
    if (lifetime === null) return this.drop('BlockhashNotFound');
    if (!signaturesValid(tx, keyBytes)) return this.drop('SignatureFailure');
    const nonce = lifetime === 'nonce' ? this.nonceOf(tx) : null;
    this.runtime.sync(this.ledger);
    const loaded = loadAddresses(this.runtime, tx);
    const keys = [...tx.keys, ...loaded.writable, ...loaded.readonly];
    const pre = balances(this.runtime, keys);
    const result = this.runtime.execute(tx);
    const post = balances(this.runtime, keys);
    // A transaction that paid its fee is in a block, whatever became of it.
    if (result.err !== null && pre.lamports[0] === post.lamports[0]) return this.drop(reason(result.err));
    if (result.err !== null && nonce !== null) this.runtime.advanceNonce(nonce, tx.blockhash);
    this.changed = true;
    return this.ledger.append(record({ tx, loaded, keys, pre, post, result }));
  }

  drop(why) {
    this.dropped[why] = (this.dropped[why] ?? 0) + 1;
    return null;
  }

  // airdrop sends lamports from the faucet; the memo's counter keeps equal
  // requests apart. It returns the signature.
  airdrop(to, lamports) {
    const memo = Buffer.from(`airdrop ${++this.airdrops}`);
    const data = Buffer.alloc(12);
    data.writeUInt32LE(2);
    data.writeBigUInt64LE(lamports, 4);
    const message = Buffer.concat([
      Buffer.from([1, 0, 2, 4]), keyBytes(this.faucet.address), keyBytes(to), keyBytes(SYSTEM), keyBytes(MEMO),
      fromBase58(this.ledger.tip().hash),
      Buffer.from([2, 2, 2, 0, 1, data.length]), data, Buffer.from([3, 0, memo.length]), memo,
    ]);
    const raw = Buffer.concat([Buffer.from([1]), sign(null, message, this.faucet.key), message]);
    return this.land(parseTransaction(raw));
  }

  checkpoint() {
    const { height, seq } = this.ledger;
    const id = this.nextCheckpoint++;
    this.checkpoints.set(id, { height, seq, vm: this.runtime.snapshot() });
    if (this.checkpoints.size > MAX_CHECKPOINTS) this.checkpoints.delete(this.checkpoints.keys().next().value);
    return { id, height, slot: this.ledger.tip().slot };
  }

  // rollback switches to a fork that branched off at a checkpoint. With
  // reland > 0 the dropped transactions come again that many blocks later,
  // as they do on a cluster where other leaders still hold them.
  rollback({ id, force = false, reland = 0 }) {
    const cp = this.checkpoints.get(id);
    if (!cp) throw new Error(`no checkpoint ${id}: it was never made, is one of more than ${MAX_CHECKPOINTS}, or a rollback passed it`);
    if (!force && cp.height < this.ledger.root) {
      throw new Error(`checkpoint ${id} at block ${cp.height} lies behind the finalized block ${this.ledger.root}; a cluster never undoes that, pass force to do it anyway`);
    }
    const dropped = this.ledger.rewind(cp.height, cp.seq, unixNow());
    this.runtime.restore(cp.vm);
    for (const other of [...this.checkpoints.keys()]) if (other > id) this.checkpoints.delete(other);
    if (reland > 0) for (const { raw } of dropped) this.pending.push({ height: this.ledger.height + reland, raw });
    this.changed = true;
    return dropped.map((r) => r.signature);
  }
}

function reason(err) {
  return typeof err === 'string' ? err : Object.keys(err)[0];
}

function faucetKey(genesis) {
  const seed = sha256('heliograph vm faucet', fromBase58(genesis));
  const key = createPrivateKey({ key: Buffer.concat([ED25519_PKCS8, seed]), format: 'der', type: 'pkcs8' });
  const spki = createPublicKey(key).export({ format: 'der', type: 'spki' });
  return { key, address: base58(spki.subarray(-32)) };
}
