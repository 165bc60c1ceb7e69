// What can go wrong between a client and a node, on purpose. One Faults
// belongs to one node (one URL path); all nodes serve the same chain.
//
// Probabilities lie between 0 and 1. Draws come from a seeded generator, so
// equal requests in equal order meet equal faults.

import { badParams } from './errors.js';
import { fromBase58, sha256 } from './codec.js';

const DEFAULTS = {
  seed: 1,
  methods: [], // drop, delayMs and rateLimit touch only these; empty = all
  drop: 0, // connection closed, request not executed
  delayMs: 0, // answer comes that much later
  rateLimit: 0, // HTTP 429
  rateLimitBody: 'json', // or 'html', as a proxy in front answers
  retryAfterSec: 1, // Retry-After header of a 429
  hangUp: 0, // sendTransaction executed, then connection closed
  swallow: 0, // sendTransaction acknowledged, never landed
  delayLanding: 0, // sendTransaction acknowledged, landed later
  landAfterMin: 1, // blocks
  landAfterMax: 120,
  hideStatus: 0, // share of signatures that this node never shows
  nullStatus: 0, // a status reply that is null this once
  keepBlocks: 0, // blocks of history that the node keeps; 0 = all
  staleBlocks: 0, // blocks that heights, slots and blockhashes lag
  genesis: '', // getGenesisHash answers that, as a node of another cluster; empty = the truth
};
const PROBABILITIES = ['drop', 'rateLimit', 'hangUp', 'swallow', 'delayLanding', 'hideStatus', 'nullStatus'];
const COUNTS = ['seed', 'delayMs', 'retryAfterSec', 'landAfterMin', 'landAfterMax', 'keepBlocks', 'staleBlocks'];

export class Faults {
  constructor() {
    this.injected = {};
    this.set({});
  }

  // set replaces all settings; what `settings` leaves out gets its default.
  set(settings) {
    check(settings);
    this.settings = { ...DEFAULTS, ...settings };
    this.state = this.settings.seed >>> 0;
  }

  // hit draws fault `name` and counts it when it strikes.
  hit(name, method) {
    const p = this.settings[name];
    if (p === 0 || (method !== undefined && !this.concerns(method))) return false;
    return this.random() < p && this.count(name);
  }

  concerns(method) {
    const { methods } = this.settings;
    return methods.length === 0 || methods.includes(method);
  }

  delayMs(method) {
    return this.concerns(method) ? this.settings.delayMs : 0;
  }

  landAfter() {
    const { landAfterMin, landAfterMax } = this.settings;
    return landAfterMin + Math.floor(this.random() * (landAfterMax - landAfterMin + 1));
  }

  // hides depends on seed and signature only: what is hidden stays hidden.
  hides(signature) {
    const { hideStatus, seed } = this.settings;
    if (hideStatus === 0) return false;
    const draw = sha256(`hide/${seed}/`, signature).readUInt32LE(0) / 2 ** 32;
    return draw < hideStatus && this.count('hideStatus');
  }

  // forgets says whether a block of the chain is older than this node's history.
  forgets(ledger, height) {
    const { keepBlocks } = this.settings;
    return keepBlocks > 0 && height <= ledger.height - keepBlocks && this.count('keepBlocks');
  }

  count(name) {
    this.injected[name] = (this.injected[name] ?? 0) + 1;
    return true;
  }

  // random is Mulberry32: uniform in [0, 1), 32 bits of state.
  random() {
    this.state = (this.state + 0x6d2b79f5) >>> 0;
    let t = this.state;
    t = Math.imul(t ^ (t >>> 15), t | 1);
    t ^= t + Math.imul(t ^ (t >>> 7), t | 61);
    return ((t ^ (t >>> 14)) >>> 0) / 2 ** 32;
  }
}

function hash(text) {
  let bytes;
  try {
    bytes = fromBase58(text);
  } catch {
    bytes = [];
  }
  if (bytes.length !== 32) throw badParams('genesis must be a hash in base58, or empty');
}

function check(settings) {
  if (settings === null || typeof settings !== 'object' || Array.isArray(settings)) throw badParams('faults must be an object');
  for (const [name, value] of Object.entries(settings)) {
    if (!(name in DEFAULTS)) throw badParams(`no fault is called ${JSON.stringify(name)}; known: ${Object.keys(DEFAULTS).join(', ')}`);
    if (PROBABILITIES.includes(name) && !(value >= 0 && value <= 1)) throw badParams(`${name} must be between 0 and 1`);
    if (COUNTS.includes(name) && !(Number.isSafeInteger(value) && value >= 0)) throw badParams(`${name} must be a whole number, not negative`);
  }
  const { methods = [], rateLimitBody = 'json', genesis = '', landAfterMin = 1, landAfterMax = 120 } = settings;
  if (!Array.isArray(methods) || methods.some((m) => typeof m !== 'string')) throw badParams('methods must be a list of method names');
  if (rateLimitBody !== 'json' && rateLimitBody !== 'html') throw badParams('rateLimitBody must be json or html');
  if (typeof genesis !== 'string') throw badParams('genesis must be a hash in base58, or empty');
  if (genesis !== '') hash(genesis);
  if (landAfterMin < 1 || landAfterMin > landAfterMax) throw badParams('landAfterMin must be at least 1 and at most landAfterMax');
}
