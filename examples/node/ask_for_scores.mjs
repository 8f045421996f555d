// Ask for scores: node ask_for_scores.mjs BROKERS PREFIX USER [ITEM ...] [FIELD=VALUE ...]
// Without items all live ones compete. The fields are what is known of a user who may be new to the model.
import { randomUUID } from 'node:crypto'
import { Kafka, logLevel } from 'kafkajs'

const [brokers, prefix, user, ...more] = process.argv.slice(2)
if (user === undefined) fail('node ask_for_scores.mjs BROKERS PREFIX USER [ITEM ...] [FIELD=VALUE ...]')
const items = more.filter(word => !word.includes('='))
const profile = more.filter(word => word.includes('=')).map(word => word.split(/=(.*)/s, 2))
const [requests, scores] = [`${prefix}requests`, `${prefix}scores`]
const request = { request_id: randomUUID(), user_id: user, ts: Date.now(), top_k: 10 }
if (items.length > 0) request.candidates = items
if (profile.length > 0) request.profile = Object.fromEntries(profile)

const kafka = new Kafka({ clientId: 'ralm-example', brokers: brokers.split(','), logLevel: logLevel.NOTHING })
const admin = kafka.admin()
const consumer = kafka.consumer({ groupId: `ask-${randomUUID()}` })
const producer = kafka.producer({ allowAutoTopicCreation: false })

try {
  await Promise.all([admin.connect(), consumer.connect(), producer.connect()])
  print(await ask())
} catch (error) {
  fail(error.message)
} finally {
  await Promise.all([admin.disconnect(), consumer.disconnect(), producer.disconnect()])
}

async function ask () {
  const known = await admin.listTopics() // of all topics: to ask for one by name may make it
  for (const topic of [requests, scores]) {
    if (!known.includes(topic)) {
      throw new Error(`there is no topic ${topic} at ${brokers}: make it with \`ralm topics\`, or mend the prefix`)
    }
  }
  // Where the answers end before the request is sent: read from there, ours cannot be missed.
  const ends = await admin.fetchTopicOffsets(scores)
  await consumer.subscribe({ topic: scores })
  return await new Promise((resolve, reject) => {
    const late = () => reject(new Error('no answer within 60 s: does the flow run, and is it ready (/-/ready)?'))
    const timer = setTimeout(late, 60_000)
    const eachMessage = async ({ message }) => {
      const found = JSON.parse(message.value.toString())
      // An answer may come twice, after a crash; the request_id tells.
      if (found.request_id !== request.request_id) return
      clearTimeout(timer)
      resolve(found)
    }
    consumer.run({ autoCommit: false, eachMessage }).catch(reject)
    for (const { partition, high } of ends) consumer.seek({ topic: scores, partition, offset: high })
    producer.send({ topic: requests, messages: [{ key: user, value: JSON.stringify(request) }] }).catch(reject)
  })
}

function print (answer) {
  switch (answer.status) {
    case 'ok':
      for (const score of answer.scores) console.log(`${score.score.toFixed(3)}  ${score.item_id}`)
      for (const item of answer.cold) console.log(`cold   ${item}  (too few clicks yet)`)
      break
    case 'unknown_user':
      console.log('the model does not know this user, nor anything of the profile: fall back to what is popular')
      break
    case 'no_candidates':
      console.log('no candidate has centroids yet: fall back to what is popular')
      break
    case 'expired':
      console.log('the request waited too long: ask again if somebody still waits')
      break
    default:
      throw new Error(`status ${answer.status} is newer than this program`)
  }
}

function fail (text) {
  console.error(text)
  process.exit(1)
}
