// The wire form of a transaction, legacy and version 0, read strictly.
//
// The VM aborts the whole process on bytes that it cannot decode, so nothing
// reaches it that has not passed parseTransaction. The checks are those of
// Solana's `sanitize`: an index always points at an existing account.

import { createPublicKey, verify } from 'node:crypto';
import { base58 } from './codec.js';

export const MAX_TRANSACTION_BYTES = 1232;

class Reader {
  constructor(bytes) {
    this.bytes = bytes;
    this.at = 0;
  }

  take(n) {
    if (this.at + n > this.bytes.length) throw new Error('unexpected end of transaction');
    this.at += n;
    return this.bytes.subarray(this.at - n, this.at);
  }

  u8() {
    return this.take(1)[0];
  }

  // compactU16 reads 7 bits a byte, at most three bytes, shortest form only.
  compactU16() {
    let value = 0;
    for (let i = 0; i < 3; i++) {
      const byte = this.u8();
      if (i > 0 && byte === 0) throw new Error('length not in its shortest form');
      value |= (byte & 0x7f) << (7 * i);
      if ((byte & 0x80) === 0) {
        if (value > 0xffff) break;
        return value;
      }
    }
    throw new Error('length exceeds 16 bits');
  }

  list(read) {
    const n = this.compactU16();
    const items = [];
    for (let i = 0; i < n; i++) items.push(read());
    return items;
  }

  key() {
    return base58(this.take(32));
  }

  indexes() {
    return [...this.take(this.compactU16())];
  }
}

// parseTransaction decodes raw bytes or throws an Error naming the fault.
export function parseTransaction(bytes) {
  const r = new Reader(bytes);
  const signatures = r.list(() => r.take(64));
  const messageAt = r.at;
  const message = readMessage(r);
  const tx = {
    raw: Buffer.from(bytes.subarray(0, r.at)),
    message: Buffer.from(bytes.subarray(messageAt, r.at)),
    signatures: signatures.map((s) => Buffer.from(s)),
    ...message,
  };
  if (tx.signatures.length !== tx.header.signers) throw new Error('number of signatures does not match the header');
  tx.signature = base58(tx.signatures[0]);
  return tx;
}

// parseMessage decodes a message alone, as getFeeForMessage receives it.
export function parseMessage(bytes) {
  return readMessage(new Reader(bytes));
}

function readMessage(r) {
  let version = 'legacy';
  let first = r.u8();
  if (first & 0x80) {
    version = first & 0x7f;
    if (version !== 0) throw new Error(`transaction version ${version} is not supported`);
    first = r.u8();
  }
  const header = { signers: first, readonlySigners: r.u8(), readonlyOthers: r.u8() };
  const keys = r.list(() => r.key());
  const blockhash = r.key();
  const instructions = r.list(() => ({
    program: r.u8(),
    accounts: r.indexes(),
    data: Buffer.from(r.take(r.compactU16())),
  }));
  const lookups = version === 0
    ? r.list(() => ({ table: r.key(), writable: r.indexes(), readonly: r.indexes() }))
    : [];
  const msg = { version, header, keys, blockhash, instructions, lookups };
  checkMessage(msg);
  return msg;
}

function checkMessage({ header, keys, instructions, lookups }) {
  if (header.signers + header.readonlyOthers > keys.length) throw new Error('header counts exceed the account keys');
  if (header.readonlySigners >= header.signers) throw new Error('fee payer is not writable');
  let accounts = keys.length;
  for (const l of lookups) {
    const n = l.writable.length + l.readonly.length;
    if (n === 0) throw new Error('address table lookup without an address');
    accounts += n;
  }
  if (accounts > 256) throw new Error('more than 256 accounts');
  for (const ix of instructions) {
    if (ix.program === 0 || ix.program >= keys.length) throw new Error('program index out of range');
    if (ix.accounts.some((i) => i >= accounts)) throw new Error('account index out of range');
  }
}

// isWritable says whether account i of the message is requested writable;
// loadedWritable is the number of writable accounts that tables contribute.
export function isWritable({ header, keys }, i, loadedWritable) {
  if (i >= keys.length) return i - keys.length < loadedWritable;
  if (i < header.signers) return i < header.signers - header.readonlySigners;
  return i < keys.length - header.readonlyOthers;
}

const ED25519_SPKI = Buffer.from('302a300506032b6570032100', 'hex');

// signaturesValid checks every signature; keyBytes decodes a base58 key.
export function signaturesValid(tx, keyBytes) {
  return tx.signatures.every((signature, i) => {
    try {
      const key = createPublicKey({ key: Buffer.concat([ED25519_SPKI, keyBytes(tx.keys[i])]), format: 'der', type: 'spki' });
      return verify(null, tx.message, key, signature);
    } catch {
      return false; // not a point on the curve
    }
  });
}
