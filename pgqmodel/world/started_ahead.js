// What a Node process does before its program when it is started ahead: it loads the libraries that `worker.preload`
// names, says so on a socket, and waits there until its life begins. The program finds no trace of that.
'use strict'

const { closeSync, readSync, writeSync } = require('node:fs')
const { createRequire } = require('node:module')

const { socket, modules, options } = JSON.parse(process.env.PGQMODEL_AHEAD)
delete process.env.PGQMODEL_AHEAD
if (options === null) delete process.env.NODE_OPTIONS
else process.env.NODE_OPTIONS = options

const load = createRequire(`${process.cwd()}/`)
try {
  for (const name of modules) load(name)
} catch (error) {
  console.error(error.message.split('\n')[0])
  process.exit(1)
}
writeSync(socket, '.')
readSync(socket, Buffer.alloc(1))
closeSync(socket)
