// What two other detectors say about sample projects: directories below argv[2] in, JSON out. Runs nothing of theirs.
import fs from 'node:fs'
import path from 'node:path'
import { Project } from '@netlify/build-info'
import { NodeFS } from '@netlify/build-info/node'
import vercel from '@vercel/frameworks'

const frameworks = vercel.frameworks ?? vercel
const silent = { debug() {}, log() {}, error() {}, warn() {}, info() {} }

function matches(directory, { path: file, matchContent, matchPackage }) {
  const read = (name) => {
    try {
      return fs.readFileSync(path.join(directory, name), 'utf8')
    } catch {
      return null
    }
  }
  if (matchPackage) {
    const text = read('package.json')
    if (text === null) return false
    const manifest = JSON.parse(text)
    return [manifest.dependencies, manifest.devDependencies].some((all) => all && matchPackage in all)
  }
  const text = read(file ?? 'package.json')
  return text !== null && (!matchContent || new RegExp(matchContent, 'm').test(text))
}

function vercelSays(directory) {
  const found = frameworks.filter(({ detectors }) => {
    if (!detectors) return false
    const every = (detectors.every ?? []).every((one) => matches(directory, one))
    const some = !detectors.some || detectors.some.some((one) => matches(directory, one))
    return every && some
  })
  const superseded = new Set(found.flatMap(({ supersedes }) => supersedes ?? []))
  const first = found.find(({ slug }) => !superseded.has(slug))
  if (!first) return null
  const { outputDirectory } = first.settings
  const prefixes = first.envPrefix ? [first.envPrefix].flat() : []
  return { framework: first.slug, output: outputDirectory?.value ?? outputDirectory?.placeholder ?? null, prefixes }
}

async function netlifySays(directory) {
  const files = new NodeFS()
  files.logger = silent
  const project = new Project(files, directory, directory).setEnvironment({}).setNodeVersion(process.version)
  const [first] = (await project.detectFrameworksInPath(directory)) ?? []
  if (!first) return null
  return { framework: first.id, output: first.build?.directory ?? null, port: first.dev?.port ?? null }
}

const said = {}
for (const name of fs.readdirSync(process.argv[2]).sort()) {
  const directory = path.join(process.argv[2], name)
  said[name] = { vercel: vercelSays(directory), netlify: await netlifySays(directory) }
}
process.stdout.write(JSON.stringify(said))
