// The chain around the VM: blocks, the ring of blockhashes, what landed and
// where, and which of it is confirmed or finalized.
//
// One tick makes one block. Every sixteenth block leaves a slot number out,
// as missed leaders do, so slots and block heights never agree by accident.

import { base58, fromBase58, sha256 } from './codec.js';

export const HASH_AGE = 150; // blocks a blockhash stays valid: a ring of 151
export const CONFIRMED_DEPTH = 2;
export const FINALIZED_DEPTH = 31;
const RECENT_STATUSES = 150; // blocks behind the root that statuses cover without a history search
const FIRST_HEIGHT = 425_000_000;
const SKIP_EVERY = 16;
const MAX_BLOCKS = 20_000;
const MAX_TRANSACTIONS = 200_000;

export class Ledger {
  constructor({ genesis, firstSlot, now }) {
    Object.assign(this, { genesis, fork: 0, seq: 0, blocks: new Map(), heightOfHash: new Map(), txs: new Map(), byAddress: new Map() });
    this.first = FIRST_HEIGHT; // the oldest block kept
    this.height = FIRST_HEIGHT;
    this.root = FIRST_HEIGHT;
    this.total = 0;
    this.addBlock(firstSlot, now);
    for (let i = 0; i < FINALIZED_DEPTH + 9; i++) this.tick(now);
  }

  tip() {
    return this.blocks.get(this.height);
  }

  tick(now) {
    const { slot, time } = this.tip();
    this.height++;
    this.root = Math.max(this.root, this.height - FINALIZED_DEPTH);
    this.addBlock(slot + (this.height % SKIP_EVERY === 0 ? 2 : 1), Math.max(time, now));
    this.heightOfHash.delete(this.blocks.get(this.height - HASH_AGE - 1)?.hash);
    if (this.height - this.first >= MAX_BLOCKS) this.blocks.delete(this.first++);
  }

  addBlock(slot, time) {
    const { height } = this;
    const hash = base58(sha256('heliograph vm block', fromBase58(this.genesis), `${this.fork}/${height}`));
    this.blocks.set(height, { slot, height, hash, time, signatures: [] });
    this.heightOfHash.set(hash, height);
  }

  // slotHashes lists the parents of the open block, newest first.
  slotHashes() {
    const list = [];
    for (let h = this.height - 1; list.length < 512 && this.blocks.has(h); h--) list.push(this.blocks.get(h));
    return list;
  }

  // heightAt is the newest block that a commitment shows.
  heightAt(commitment) {
    if (commitment === 'processed') return this.height;
    return commitment === 'confirmed' ? Math.max(this.root, this.height - CONFIRMED_DEPTH) : this.root;
  }

  // blockAt is that block, seen by a node that lags `stale` blocks.
  blockAt(commitment, stale = 0) {
    return this.blocks.get(Math.max(this.first, this.heightAt(commitment) - stale));
  }

  // blockOfSlot finds the block of a slot, or null when it was skipped,
  // pruned or is still to come.
  blockOfSlot(slot) {
    let [low, high] = [this.first, this.height];
    while (low < high) {
      const middle = Math.ceil((low + high) / 2);
      if (this.blocks.get(middle).slot <= slot) low = middle;
      else high = middle - 1;
    }
    const block = this.blocks.get(low);
    return block.slot === slot ? block : null;
  }

  // heightFrom is the height of the first kept block at or after a slot, or one
  // above the newest.
  heightFrom(slot) {
    let [low, high] = [this.first, this.height + 1];
    while (low < high) {
      const middle = Math.floor((low + high) / 2);
      if (this.blocks.get(middle).slot < slot) low = middle + 1;
      else high = middle;
    }
    return low;
  }

  // hashValid: the block at height `at` still accepts this blockhash.
  hashValid(hash, at = this.height) {
    const height = this.heightOfHash.get(hash);
    return height !== undefined && height <= at && at - height <= HASH_AGE;
  }

  level(height) {
    if (height <= this.root) return 'finalized';
    return height <= this.heightAt('confirmed') ? 'confirmed' : 'processed';
  }

  append(record) {
    const block = this.tip();
    Object.assign(record, { seq: ++this.seq, slot: block.slot, height: block.height, blockTime: block.time });
    block.signatures.push(record.signature);
    this.index(record);
    this.total++;
    if (this.txs.size > MAX_TRANSACTIONS) {
      const oldest = this.txs.values().next().value;
      this.keptFrom = oldest.slot + 1; // transactions of earlier slots may be missing
      this.forget(oldest);
    }
    return record;
  }

  index(record) {
    this.txs.set(record.signature, record);
    for (const key of record.keys) {
      if (!this.byAddress.has(key)) this.byAddress.set(key, []);
      this.byAddress.get(key).push(record.signature);
    }
  }

  forget(record) {
    this.txs.delete(record.signature);
    for (const key of record.keys) {
      const list = this.byAddress.get(key);
      // The oldest record leaves by age, the newest by a fork: both are cheap.
      if (list[0] === record.signature) list.shift();
      else if (list.at(-1) === record.signature) list.pop();
      else list.splice(list.indexOf(record.signature), 1);
      if (list.length === 0) this.byAddress.delete(key);
    }
  }

  // status is the entry of getSignatureStatuses, or null.
  status(signature, search) {
    const record = this.txs.get(signature);
    if (!record || (!search && record.height < this.root - RECENT_STATUSES)) return null;
    const level = this.level(record.height);
    return {
      slot: record.slot,
      confirmations: level === 'finalized' ? null : this.height - record.height,
      err: record.err,
      status: record.err === null ? { Ok: null } : { Err: record.err },
      confirmationStatus: level,
    };
  }

  // firstKept is the slot from which on no transaction was forgotten.
  firstKept() {
    return this.txs.size < MAX_TRANSACTIONS ? 0 : this.txs.values().next().value.slot + 1;
  }

  // history lists the records that touch an address, newest first.
  *history(address) {
    const signatures = this.byAddress.get(address) ?? [];
    for (let i = signatures.length - 1; i >= 0; i--) yield this.txs.get(signatures[i]);
  }

  // rewind switches to another fork that left this one at block `height`
  // after transaction `seq`. The slot goes on, as the cluster's clock does;
  // the height and the blockhashes do not. It returns the records it dropped.
  rewind(height, seq, now) {
    const { slot, time } = this.tip();
    const dropped = [...this.txs.values()].filter((r) => r.seq > seq);
    for (const record of dropped.toReversed()) this.forget(record);
    for (let h = this.height; h > height; h--) {
      this.heightOfHash.delete(this.blocks.get(h).hash);
      this.blocks.delete(h);
    }
    const gone = new Set(dropped.map((r) => r.signature));
    const last = this.blocks.get(height);
    last.signatures = last.signatures.filter((s) => !gone.has(s));
    this.height = height;
    this.restoreRing();
    this.fork++;
    this.height++;
    this.root = Math.min(this.root, height);
    this.total -= dropped.length;
    this.addBlock(slot + 1, Math.max(time, now));
    return dropped;
  }

  // restoreRing rebuilds the blockhash ring from the blocks.
  restoreRing() {
    this.heightOfHash.clear();
    for (let h = Math.max(this.height - HASH_AGE, this.first); h <= this.height; h++) {
      this.heightOfHash.set(this.blocks.get(h).hash, h);
    }
  }

  toJSON() {
    const { genesis, fork, seq, first, height, root, total } = this;
    return { genesis, fork, seq, first, height, root, total, blocks: [...this.blocks.values()], txs: [...this.txs.values()] };
  }

  static fromJSON({ blocks, txs, ...rest }) {
    const ledger = Object.create(Ledger.prototype);
    Object.assign(ledger, rest, { blocks: new Map(), heightOfHash: new Map(), txs: new Map(), byAddress: new Map() });
    for (const block of blocks) ledger.blocks.set(block.height, block);
    for (const record of txs) ledger.index(record);
    ledger.restoreRing();
    return ledger;
  }
}
