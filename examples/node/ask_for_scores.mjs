// Ask for scores: node ask_for_scores.mjs BROKERS PREFIX USER [ITEM ...]; without items all live ones compete.
import { randomUUID } from 'node:crypto'
import { Kafka, logLevel } from 'kafkajs'

const [brokers, prefix, user, ...items] = process.argv.slice(2)
const request = { request_id: randomUUID(), user_id: user, ts: Date.now(), top_k: 10 }
if (items.length > 0) request.candidates = items

const kafka = new Kafka({ clientId: 'ralm-example', brokers: brokers.split(','), logLevel: logLevel.ERROR })
const consumer = kafka.consumer({ groupId: `ask-${randomUUID()}` })
const producer = kafka.producer()
await consumer.connect()
await producer.connect()
await consumer.subscribe({ topic: `${prefix}scores`, fromBeginning: false })

const answer = await new Promise((resolve, reject) => {
  const timer = setTimeout(() => reject(new Error('no answer within 60 s: does the flow run, and is it ready?')), 60_000)
  consumer.run({
    eachMessage: async ({ message }) => {
      const found = JSON.parse(message.value.toString())
      if (found.request_id === request.request_id) {
        clearTimeout(timer)
        resolve(found)
      }
    }
  })
  // Ask only once this consumer has joined and stands at the end of the answers.
  consumer.on(consumer.events.GROUP_JOIN, async () => {
    await new Promise((ready) => consumer.on(consumer.events.FETCH_START, ready))
    await producer.send({
      topic: `${prefix}requests`,
      messages: [{ key: user, value: JSON.stringify(request) }]
    })
  })
}).catch((error) => {
  console.error(error.message)
  process.exitCode = 1
})

switch (answer?.status) {
  case undefined:
    break
  case 'ok':
    for (const score of answer.scores) console.log(score.score.toFixed(3), score.item_id)
    for (const item of answer.cold) console.log('cold ', item, '(too few clicks yet)')
    break
  case 'unknown_user':
    console.log('the model does not know this user: fall back to what is popular')
    break
  case 'no_candidates':
    console.log('no candidate has centroids yet: fall back to what is popular')
    break
  case 'expired':
    console.log('the request waited too long: ask again if somebody still waits')
    break
  default:
    console.error(`status ${answer.status} is newer than this program`)
    process.exitCode = 1
}
await Promise.all([consumer.disconnect(), producer.disconnect()])
