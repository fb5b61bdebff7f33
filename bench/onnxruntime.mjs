// ONNX Runtime's side of bench/compare_onnxruntime: for each argument (a model, or a folder of models) one JSON line
// with the milliseconds to load and run it (median; of a folder, of one model on average) and to run it alone with 1
// and 2 threads. ORT_NODE_ROOT: the folder whose node_modules holds onnxruntime-node.
import { createRequire } from 'node:module';
import fs from 'node:fs';
import path from 'node:path';

const ort = createRequire(process.env.ORT_NODE_ROOT + '/')('onnxruntime-node');
const kArrays = { float32: Float32Array, float64: Float64Array, int32: Int32Array, int64: BigInt64Array, uint8: Uint8Array,
  int8: Int8Array, int16: Int16Array, uint16: Uint16Array, uint32: Uint32Array, uint64: BigUint64Array, bool: Uint8Array };

const options = (threads) => ({ graphOptimizationLevel: 'all', executionMode: 'sequential', intraOpNumThreads: threads,
  interOpNumThreads: 1, logSeverityLevel: 4 });

function feedsOf(session) {
  const feeds = {};
  for (const i of session.inputMetadata) {
    const dims = i.shape.map((d) => (typeof d === 'number' && d >= 0 ? d : 2));
    const size = dims.reduce((a, b) => a * b, 1);
    const data = new kArrays[i.type](size);
    if (i.type.startsWith('float')) for (let k = 0; k < size; ++k) data[k] = Math.sin(k * 12.9898);
    feeds[i.name] = new ort.Tensor(i.type, data, dims);
  }
  return feeds;
}

const median = (times) => times.sort((a, b) => a - b)[times.length >> 1];

async function timed(f, least = 5, seconds = 3) {
  const times = [];
  const end = performance.now() + seconds * 1000;
  await f();
  while (times.length < least || performance.now() < end) {
    const start = performance.now();
    await f();
    times.push(performance.now() - start);
  }
  return median(times);
}

function modelsIn(file) {
  if (!fs.statSync(file).isDirectory()) return [file];
  return fs.readdirSync(file, { recursive: true }).filter((f) => f.endsWith('.onnx')).sort().map((f) => path.join(file, f));
}

for (const argument of process.argv.slice(2)) {
  const row = { model: argument, skipped: [] };
  const cases = [];
  for (const file of modelsIn(argument)) {
    try {
      const s = await ort.InferenceSession.create(file, options(1));
      const feeds = feedsOf(s);
      await s.run(feeds);
      await s.release();
      cases.push({ file, feeds });
    } catch (e) {
      row.skipped.push(file);
    }
  }
  row.models = cases.length;
  row.load_run_ms = await timed(async () => {
    for (const c of cases) {
      const s = await ort.InferenceSession.create(c.file, options(1));
      await s.run(c.feeds);
      await s.release();
    }
  }) / cases.length;
  for (const threads of cases.length === 1 ? [1, 2] : []) {
    const s = await ort.InferenceSession.create(cases[0].file, options(threads));
    row[`run_${threads}_ms`] = await timed(() => s.run(cases[0].feeds));
    await s.release();
  }
  console.log(JSON.stringify(row));
}
