// The Solana VM itself, with the pieces that LiteSVM leaves to its user:
// clock, slot hashes, a changing blockhash, and durable nonces of failed
// transactions. Addresses are base58 text outside and bytes inside.

import { createRequire } from 'node:module';
import { base58, fromBase58, sha256 } from './codec.js';
import { readNonce } from './programs.js';
import { errorJSON } from './vmerrors.js';

// The raw-bytes layer of litesvm; its other entry point needs the types of a
// client library that this server has no use for.
const { Account, Clock, LiteSvm } = createRequire(import.meta.url)('litesvm/dist/internal.js');

export const SLOTS_PER_EPOCH = 432_000;

export function keyBytes(address) {
  return fromBase58(address);
}

export class Runtime {
  constructor(snapshot) {
    this.restore(snapshot);
  }

  // restore replaces the whole state; without a snapshot it starts a new chain.
  restore(snapshot) {
    this.svm = snapshot ? LiteSvm.fromBytes(snapshot) : new LiteSvm();
    // The ledger keeps the ring of blockhashes and the known signatures.
    this.svm.setBlockhashCheck(false);
    this.svm.setTransactionHistory(0n);
    this.svm.setSigverify(true);
    this.syncedTo = '';
  }

  snapshot() {
    return Buffer.from(this.svm.toBytes());
  }

  firstSlot() {
    return Number(this.svm.getClock().slot);
  }

  // sync brings the sysvars up to the ledger's tip. It is called before each
  // execution instead of at each tick, so idle slots cost nothing.
  sync(ledger) {
    const tip = ledger.tip();
    if (this.syncedTo === tip.hash) return;
    const epoch = Math.floor(tip.slot / SLOTS_PER_EPOCH);
    this.svm.setClock(new Clock(BigInt(tip.slot), 0n, BigInt(epoch), BigInt(epoch + 1), BigInt(tip.time)));
    this.svm.setSlotHashes(ledger.slotHashes().map(({ slot, hash }) => ({ slot: BigInt(slot), hash })));
    this.svm.expireBlockhash();
    this.syncedTo = tip.hash;
  }

  execute(tx) {
    return outcome(this.svm.sendVersionedTransaction(tx.raw));
  }

  simulate(tx) {
    this.svm.setSigverify(false);
    try {
      const result = this.svm.simulateVersionedTransaction(tx.raw);
      const out = outcome(result);
      out.accounts = new Map();
      if (!out.err) for (const a of result.postAccounts()) out.accounts.set(base58(a.address), accountJSON(a.account()));
      return out;
    } finally {
      this.svm.setSigverify(true);
    }
  }

  account(address) {
    const account = this.svm.getAccount(keyBytes(address));
    return account === null || account.lamports() === 0n ? null : accountJSON(account);
  }

  setAccount(address, { lamports, data, owner, executable }) {
    this.svm.setAccount(keyBytes(address), new Account(lamports, data, keyBytes(owner), executable, 0n));
  }

  addProgram(address, elf) {
    this.svm.addProgram(keyBytes(address), elf);
  }

  programAccounts(program) {
    return this.svm.getProgramAccounts(keyBytes(program)).map((a) => ({ address: base58(a.address), account: accountJSON(a.account()) }));
  }

  rentExempt(bytes) {
    return this.svm.minimumBalanceForRentExemption(BigInt(bytes));
  }

  // nextNonce is the durable nonce that an advance would store now.
  nextNonce() {
    return sha256('DURABLE_NONCE', fromBase58(this.svm.latestBlockhash()));
  }

  // advanceNonce does for a failed transaction what mainnet does and LiteSVM
  // does not: the nonce is used up, or the transaction could run again.
  advanceNonce(address, used) {
    const account = this.account(address);
    if (readNonce(account)?.nonce !== used) return;
    this.nextNonce().copy(account.data, 40);
    this.setAccount(address, account);
  }
}

function accountJSON(account) {
  return {
    lamports: account.lamports(),
    data: Buffer.from(account.data()),
    owner: base58(account.owner()),
    executable: account.executable(),
    rentEpoch: account.rentEpoch(),
  };
}

function outcome(result) {
  const failed = result.constructor.name === 'FailedTransactionMetadata';
  const meta = failed || result.constructor.name === 'SimulatedTransactionInfo' ? result.meta() : result;
  return {
    err: failed ? errorJSON(result.err()) : null,
    logs: meta.logs(),
    units: Number(meta.computeUnitsConsumed()),
    inner: innerJSON(meta.innerInstructions()),
    returnData: returnJSON(meta.returnData()),
  };
}

function innerJSON(groups) {
  const list = [];
  groups.forEach((group, index) => {
    if (group.length === 0) return;
    const instructions = group.map((inner) => {
      const ix = inner.instruction();
      return {
        programIdIndex: ix.programIdIndex(),
        accounts: [...ix.accounts()],
        data: base58(ix.data()),
        stackHeight: inner.stackHeight(),
      };
    });
    list.push({ index, instructions });
  });
  return list;
}

function returnJSON(returned) {
  const data = Buffer.from(returned.data());
  if (data.length === 0) return undefined;
  return { programId: base58(returned.programId()), data: [data.toString('base64'), 'base64'] };
}
