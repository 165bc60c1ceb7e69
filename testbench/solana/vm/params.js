// Checked access to JSON-RPC parameters. Everything here throws -32602.

import { base58, fromBase58, fromBase64 } from './codec.js';
import { badParams } from './errors.js';

const COMMITMENTS = ['processed', 'confirmed', 'finalized'];

export function address(value, name = 'address') {
  if (typeof value !== 'string' || value.length > 44 || fromBase58(value)?.length !== 32) throw badParams(`${name} is not 32 bytes of base58`);
  return value;
}

export function signature(value) {
  if (typeof value !== 'string' || value.length > 88 || fromBase58(value)?.length !== 64) throw badParams('signature is not 64 bytes of base58');
  return value;
}

export function integer(value, name, { min = 0, max = Number.MAX_SAFE_INTEGER } = {}) {
  if (!Number.isSafeInteger(value) || value < min || value > max) throw badParams(`${name} must be a whole number from ${min} to ${max}`);
  return value;
}

export function list(value, name, max) {
  if (!Array.isArray(value)) throw badParams(`${name} must be a list`);
  if (value.length > max) throw badParams(`too many ${name}: ${value.length}, at most ${max}`);
  return value;
}

// config is the trailing options object; nodes accept null for it.
export function config(value) {
  if (value === undefined || value === null) return {};
  if (typeof value !== 'object' || Array.isArray(value)) throw badParams('options must be an object');
  return value;
}

export function commitment(value, fallback = 'finalized') {
  if (value === undefined || value === null || value === '') return fallback;
  if (!COMMITMENTS.includes(value)) throw badParams(`unknown commitment ${JSON.stringify(value)}`);
  return value;
}

// atLeastConfirmed is for history, which no node serves as processed.
export function atLeastConfirmed(value) {
  const c = commitment(value);
  if (c === 'processed') throw badParams('Method does not support commitment below `confirmed`');
  return c;
}

export function base64(value, name) {
  const bytes = typeof value === 'string' ? fromBase64(value) : null;
  if (bytes === null) throw badParams(`${name} is not base64`);
  return bytes;
}

// accountData writes bytes in the encoding that a client asked for.
export function accountData(data, { encoding, dataSlice }) {
  let bytes = data;
  if (dataSlice) {
    const offset = integer(dataSlice.offset, 'dataSlice.offset');
    bytes = data.subarray(offset, offset + integer(dataSlice.length, 'dataSlice.length'));
  }
  switch (encoding) {
    case undefined:
    case null:
    case 'binary':
    case 'base58': {
      if (bytes.length > 128) throw badParams('Encoded binary (base 58) data should be less than 128 bytes, please use Base64 encoding.');
      const text = base58(bytes);
      return encoding === 'base58' ? [text, 'base58'] : text;
    }
    case 'base64':
    case 'jsonParsed': // a node, too, answers base64 for what it cannot parse
      return [bytes.toString('base64'), 'base64'];
    default:
      throw badParams(`encoding ${JSON.stringify(encoding)} is not supported; use base64`);
  }
}
