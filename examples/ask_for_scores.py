"""Ask for scores: ``ask_for_scores.py BROKERS PREFIX USER [ITEM ...] [FIELD=VALUE ...]``.

Without items all live ones compete. The fields are what is known of a user who may be new to the model.
"""

import json
import sys
import time
from uuid import uuid4

from confluent_kafka import Consumer, KafkaException, Producer, TopicPartition

if len(sys.argv) < 4:
    sys.exit(__doc__)
servers, prefix, user, *more = sys.argv[1:]
items = [word for word in more if "=" not in word]
profile = dict(word.split("=", 1) for word in more if "=" in word)
requests, scores = f"{prefix}requests", f"{prefix}scores"
request = {"request_id": str(uuid4()), "user_id": user, "ts": time.time_ns() // 1_000_000, "top_k": 10}
if items:
    request["candidates"] = items
if profile:
    request["profile"] = profile

# Stand at the end of the answers first, so that ours cannot be missed.
consumer = Consumer({"bootstrap.servers": servers, "group.id": f"ask-{uuid4()}", "enable.auto.commit": False})
try:
    known = consumer.list_topics(timeout=10).topics  # of all topics: to ask for one by name may make it
    for topic in (requests, scores):
        if topic not in known:
            sys.exit(f"there is no topic {topic} at {servers}: make it with `ralm topics`, or mend the prefix")
    places = [TopicPartition(scores, partition) for partition in known[scores].partitions]
    for place in places:
        place.offset = consumer.get_watermark_offsets(place, timeout=10)[1]
except KafkaException as error:
    sys.exit(f"no broker answers at {servers}: {error.args[0].str()}")
consumer.assign(places)

producer = Producer({"bootstrap.servers": servers})
producer.produce(requests, json.dumps(request), user)
if producer.flush(10):
    sys.exit("the request was not delivered within 10 s")

answer, deadline = None, time.monotonic() + 60
while answer is None:
    if time.monotonic() > deadline:
        sys.exit("no answer within 60 s: does the flow run, and is it ready (/-/ready)?")
    message = consumer.poll(0.5)
    if message is not None and message.error() is None:
        found = json.loads(message.value() or b"{}")
        # An answer may come twice, after a crash; the request_id tells.
        answer = found if found.get("request_id") == request["request_id"] else None
consumer.close()

match answer["status"]:
    case "ok":
        for score in answer["scores"]:
            print(f"{score['score']:.3f}  {score['item_id']}")
        for item in answer["cold"]:
            print(f"cold   {item}  (too few clicks yet)")
    case "unknown_user":
        print("the model does not know this user, nor anything of the profile: fall back to what is popular")
    case "no_candidates":
        print("no candidate has centroids yet: fall back to what is popular")
    case "expired":
        print("the request waited too long: ask again if somebody still waits")
    case status:
        sys.exit(f"status {status} is newer than this program")
