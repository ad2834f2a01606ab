// What viewers make of profiles: viewers.mjs MODULES FILE... prints a line of JSON for each file: what speedscope's
// importer gets from it ([name, unit, total, names of frames] for each profile), and for .gz and .pb files what pprof-format
// decodes (totals by sample type). MODULES is the node_modules with both.
import fs from 'node:fs'
import vm from 'node:vm'
import zlib from 'node:zlib'
import { createRequire } from 'node:module'

const [modules, ...files] = process.argv.slice(2)

// Speedscope is published as one script for browsers: it is run with nothing behind its window, up to its importer.
async function speedscope() {
  const folder = `${modules}/speedscope/dist/release/`
  const script = fs.readdirSync(folder).find(f => /^speedscope.*\.js$/.test(f))
  const code = fs.readFileSync(folder + script, 'utf8')
  const lazy = /\(await ([\w$]+)\)\.importProfilesFromArrayBuffer/.exec(code)[1]
  const anything = new Proxy(function () {}, {
    get: (_, key) => (key === Symbol.toPrimitive ? () => '' : anything),
    apply: () => anything, construct: () => anything, set: () => true,
  })
  const page = {
    TextDecoder, TextEncoder, Uint8Array, ArrayBuffer, URL, URLSearchParams, performance, setTimeout, atob, btoa,
    console: { log() {}, warn() {}, error: console.error }, document: anything, localStorage: anything,
    navigator: { userAgent: '', platform: '' }, location: { hash: '', search: '', protocol: 'file:', href: '' },
    matchMedia: () => anything, requestAnimationFrame() {}, addEventListener() {}, devicePixelRatio: 1,
    HTMLCanvasElement: class {}, HTMLElement: class {}, Element: class {}, Node: class {},
  }
  page.window = page.self = page.globalThis = page
  vm.createContext(page)
  try {
    vm.runInContext(code.replace('console.log(`speedscope v', `globalThis.importer=${lazy};$&`), page)
  } catch (e) {
    if (!page.importer)
      throw e
  }
  return page.importer
}

function totals(data) {
  const { Profile } = createRequire(`${modules}/x.js`)('pprof-format')
  const p = Profile.decode(data[0] === 0x1f ? zlib.gunzipSync(data) : data)
  const text = i => p.stringTable.strings[Number(i)]
  return p.sampleType.map((t, i) => [text(t.type), text(t.unit), Number(p.sample.reduce((n, s) => n + BigInt(s.value[i]), 0n))])
}

const importer = await speedscope()
for (const file of files) {
  const data = fs.readFileSync(file)
  const group = await importer.importProfilesFromArrayBuffer(file, data.buffer.slice(data.byteOffset, data.byteOffset + data.length))
  const profiles = (group ? group.profiles : []).map(p => {
    const names = []
    p.forEachFrame(f => names.push(f.name))
    return [p.getName(), p.getWeightUnit(), p.getTotalWeight(), names]
  })
  console.log(JSON.stringify({ profiles, totals: /\.(gz|pb)$/.test(file) ? totals(data) : [] }))
}
