// A worker as a team would write it: it claims in a transaction, beats by a timer, deploys one job per environment at
// a time, runs the job and settles it; it wakes by LISTEN and ends at SIGTERM after its present job.
//
// FAULTS names what it does wrong: the tests find that.
'use strict'

const { Client, Pool } = require('pg')

const FAULTS = new Set((process.env.FAULTS ?? '').split(' '))
const NAME = process.env.PGQMODEL_WORKER ?? `worker-${process.pid}`
const BEAT_MS = 10_000
const POLL_MS = 5_000
const RETRY_MS = 1_000
const ATTEMPTS_MAX = 3

const OWN = "worker = $2 AND attempt = $3 AND status = 'running'"
const ANY = '$2::text IS NOT NULL AND $3::int > 0'
const FENCE = FAULTS.has('unfenced') ? ANY : OWN
const FIND = `SELECT id FROM jobs WHERE status = 'queued' ORDER BY id LIMIT 1
  ${FAULTS.has('select-then-update') ? '' : 'FOR UPDATE SKIP LOCKED'}`
const TAKE = `UPDATE jobs SET status = 'running', worker = $2, attempt = attempt + 1, heartbeat_at = now()
  WHERE id = $1 RETURNING id, environment, attempt`
const BEAT = `UPDATE jobs SET heartbeat_at = now()
  WHERE id = $1 AND ${FAULTS.has('unfenced-heartbeat') ? ANY : OWN}`
const COMPLETE = `UPDATE jobs SET status = 'completed' WHERE id = $1 AND ${FENCE}`
const FAIL = `UPDATE jobs SET status = CASE WHEN attempt < ${ATTEMPTS_MAX} THEN 'queued' ELSE 'failed' END
  WHERE id = $1 AND ${FAULTS.has('catch-then-fail') ? 'worker = $2 AND attempt = $3' : FENCE}`

const address = { connectionString: process.env.DATABASE_URL, application_name: NAME }
const pool = new Pool({ ...address, max: 3 })
pool.on('error', (error) => log('an idle connection broke', error))

let stopping = false
let wake = () => {}
let hangUp = () => {}

function log(what, error) {
  console.log(`${new Date().toISOString()} ${NAME}: ${what}: ${error.message}`)
}

function sleep(ms) {
  return new Promise((resolve) => setTimeout(resolve, ms))
}

// Until a job is announced, or it is time to look, or to stop.
function idle() {
  return new Promise((resolve) => {
    const timer = setTimeout(resolve, POLL_MS)
    wake = () => {
      clearTimeout(timer)
      resolve()
    }
  })
}

async function listen() {
  while (!stopping) {
    const client = new Client(address)
    const gone = new Promise((resolve) => client.once('end', resolve))
    client.on('error', (error) => log('the listening connection broke', error))
    client.on('notification', () => wake())
    hangUp = () => client.end().catch(() => {})
    try {
      await client.connect()
      await client.query('LISTEN jobs')
      wake() // what came meanwhile was announced to nobody
      await gone
    } catch (error) {
      log('cannot listen', error)
    }
    if (!stopping) await sleep(RETRY_MS)
  }
}

async function claim() {
  const client = await pool.connect()
  let broken = null
  const onError = (error) => (broken = error)
  client.on('error', onError)
  try {
    await client.query('BEGIN')
    const found = await client.query(FIND)
    const taken = found.rowCount ? await client.query(TAKE, [found.rows[0].id, NAME]) : found
    await client.query('COMMIT')
    return taken.rows[0] ?? null
  } catch (error) {
    broken = error
    throw error
  } finally {
    client.off('error', onError)
    client.release(broken)
  }
}

// A deploy has its environment for itself, on a connection of its own: the lock ends with it.
async function alone(job, deploy) {
  if (!job.environment) return deploy()
  const client = new Client(address)
  client.on('error', (error) => log('the connection with the lock broke', error))
  await client.connect()
  try {
    await client.query('SELECT pg_advisory_lock(hashtext($1))', [job.environment])
    // The wait may have been longer than the lease.
    if (!FAULTS.has('runs-late') && !(await tell(BEAT, job))) throw new Error('it waited for too long')
    return await deploy()
  } finally {
    await client.end().catch(() => {})
  }
}

async function handle(job) {
  const { rows } = await pool.query('SELECT pgqmodel.work($1) AS answer', [job.id])
  if (rows[0].answer !== 'done') throw new Error('the job failed')
}

// Change a job that is ours; false if it is another worker's by now.
async function tell(sql, job) {
  const { rowCount } = await pool.query(sql, [job.id, NAME, job.attempt])
  if (!rowCount) log(`job ${job.id}`, new Error("it is another worker's by now"))
  return rowCount > 0
}

// A lost answer is no answer: ask again. The fence makes the second time harmless.
async function settle(sql, job) {
  for (;;) {
    try {
      return await tell(sql, job)
    } catch (error) {
      log(`job ${job.id} is not settled yet`, error)
      if (FAULTS.has('forces')) sql = sql.replace(OWN, ANY)
      await sleep(RETRY_MS)
    }
  }
}

// One heartbeat at a time: those that wait for a lock would else fill the pool, and the settlement behind them waits.
function beatFor(job) {
  let beating = false
  return setInterval(async () => {
    if (beating) return
    beating = true
    await tell(BEAT, job).catch((error) => log('no heartbeat', error))
    beating = false
  }, BEAT_MS)
}

async function run(job) {
  const heart = beatFor(job)
  let settlement = COMPLETE
  try {
    await alone(job, () => handle(job))
    if (FAULTS.has('catch-then-fail')) return await tell(COMPLETE, job).finally(() => clearInterval(heart))
  } catch (error) {
    log(`job ${job.id} failed`, error)
    settlement = FAIL
  }
  await settle(settlement, job)
  clearInterval(heart)
}

async function main() {
  process.once('SIGTERM', () => {
    stopping = true
    wake()
    hangUp()
  })
  const listening = listen()
  while (!stopping) {
    const job = await claim().catch((error) => log('cannot claim', error))
    if (job) await run(job)
    else if (!stopping) await idle()
  }
  await listening
  await pool.end()
}

main()
