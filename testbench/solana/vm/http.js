// HTTP and JSON-RPC 2.0 in front of the methods. The path is the node: "/" is
// one node, "/node/b" another, with faults of its own and the same chain.

import { createServer } from 'node:http';
import { setTimeout as sleep } from 'node:timers/promises';
import { stringify } from './codec.js';
import { CONTROLS } from './control.js';
import { INTERNAL, INVALID_REQUEST, METHOD_NOT_FOUND, PARSE, RpcError } from './errors.js';
import { Faults } from './faults.js';
import { METHODS, context } from './rpc.js';

const MAX_BODY_BYTES = 1 << 20;
const MAX_PROGRAM_BODY_BYTES = 16 << 20; // x_loadProgram, on /control only
const MAX_BATCH = 100;
const MAX_NODES = 64;
const NODE_PATH = /^\/(node\/[a-z0-9-]{1,32})?$/;
const CONTROL_PATH = '/control';

export function serve({ chain, store, log }) {
  const nodes = new Map();
  const requests = new Map(); // method -> calls, of all nodes

  function node(path) {
    if (path !== CONTROL_PATH && !NODE_PATH.test(path)) return null;
    if (!nodes.has(path)) {
      if (nodes.size >= MAX_NODES) return null;
      nodes.set(path, { ...context(chain, new Faults()), store, requests });
    }
    return nodes.get(path);
  }

  return createServer((req, res) => {
    handle(req, res, node(req.url)).catch((e) => {
      if (!req.socket.destroyed) log(`${req.url}: ${e.stack}`);
      req.socket.destroy();
    });
  });
}

async function handle(req, res, ctx) {
  if (ctx === null) return text(res, 404, 'no such node; use / or /node/NAME');
  if (req.method !== 'POST') return text(res, 405, 'JSON-RPC wants POST');
  const body = await readBody(req, req.url === CONTROL_PATH ? MAX_PROGRAM_BODY_BYTES : MAX_BODY_BYTES);
  if (body === null) return text(res, 413, 'request body too large');
  const call = parse(body);
  if (call === null) return json(res, failure(null, new RpcError(PARSE, 'Parse error')));
  const first = Array.isArray(call) ? call[0] : call;
  const method = typeof first?.method === 'string' ? first.method : '';
  const { faults } = ctx;
  if (!CONTROLS.has(method)) {
    if (faults.hit('drop', method)) return req.socket.destroy();
    if (faults.hit('rateLimit', method)) return tooMany(res, first?.id, faults.settings);
    if (faults.delayMs(method) > 0) await sleep(faults.delayMs(method));
  }
  const answer = dispatch(ctx, call);
  if (method === 'sendTransaction' && faults.hit('hangUp')) return req.socket.destroy();
  json(res, answer);
}

async function readBody(req, limit) {
  const parts = [];
  let size = 0;
  for await (const part of req) {
    size += part.length;
    if (size > limit) return null;
    parts.push(part);
  }
  return Buffer.concat(parts).toString('utf8');
}

function parse(body) {
  try {
    return JSON.parse(body);
  } catch {
    return null;
  }
}

function dispatch(ctx, call) {
  if (!Array.isArray(call)) return one(ctx, call);
  if (call.length === 0 || call.length > MAX_BATCH) {
    return failure(null, new RpcError(INVALID_REQUEST, `a batch holds 1 to ${MAX_BATCH} requests`));
  }
  return call.map((c) => one(ctx, c));
}

function one(ctx, call) {
  const id = call?.id ?? null;
  try {
    if (call === null || typeof call !== 'object' || typeof call.method !== 'string' || call.jsonrpc !== '2.0') {
      throw new RpcError(INVALID_REQUEST, 'Invalid request');
    }
    const run = METHODS.get(call.method) ?? CONTROLS.get(call.method);
    if (!run) throw new RpcError(METHOD_NOT_FOUND, `Method not found: ${call.method.slice(0, 80)}`);
    const params = call.params ?? [];
    if (!Array.isArray(params)) throw new RpcError(INVALID_REQUEST, 'params must be a list');
    ctx.requests.set(call.method, (ctx.requests.get(call.method) ?? 0) + 1);
    return { jsonrpc: '2.0', result: run(ctx, params), id };
  } catch (e) {
    return failure(id, e);
  }
}

function failure(id, e) {
  const code = e instanceof RpcError ? e.code : INTERNAL;
  const message = e instanceof RpcError ? e.message : `Internal error: ${e.stack}`;
  return { jsonrpc: '2.0', error: { code, message, data: e.data }, id };
}

function json(res, value) {
  send(res, 200, 'application/json; charset=utf-8', stringify(value));
}

function text(res, status, message) {
  send(res, status, 'text/plain; charset=utf-8', `${message}\n`);
}

function send(res, status, type, body, headers = {}) {
  const bytes = Buffer.from(body);
  res.writeHead(status, { 'Content-Type': type, 'Content-Length': bytes.length, ...headers });
  res.end(bytes);
}

// tooMany answers 429 as the node itself or as a proxy before it would.
function tooMany(res, id, { rateLimitBody, retryAfterSec }) {
  const headers = { 'Retry-After': String(retryAfterSec) };
  if (rateLimitBody === 'html') {
    const page = '<html>\r\n<head><title>429 Too Many Requests</title></head>\r\n<body><h1>429 Too Many Requests</h1></body>\r\n</html>\r\n';
    return send(res, 429, 'text/html', page, headers);
  }
  const body = stringify({ jsonrpc: '2.0', error: { code: 429, message: 'Too many requests for a specific RPC call' }, id: id ?? null });
  send(res, 429, 'application/json', body, headers);
}
