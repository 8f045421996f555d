"""A fault of the clock that judges: where ``message.timestamp.type`` is altered, a topic has records of both kinds."""

from confluent_kafka.admin import AdminClient, AlterConfigOpType, ConfigEntry, ConfigResource, ResourceType

from flows.kafka.topics import LOG_APPEND_TIME, TIMESTAMP_TYPE

from .registry import fault
from .scene import Scene

_CREATE_TIME = "CreateTime"


@fault("time-type")
def time_type(scene: Scene) -> None:
    """Clicks and requests get the producers' times and the broker's in turn, under the flow and between its runs.

    Each record is judged by what it has, and the topics stay what they were.
    """
    for kind in (_CREATE_TIME, LOG_APPEND_TIME) * 2:
        scene.busy()
        under = scene.rng.random() < 0.5
        if not under:
            scene.end(drained=scene.rng.random() < 0.5)
        alter(scene, TIMESTAMP_TYPE, kind)
        scene.portion()
        if not under:
            scene.start()
        scene.busy()
        if scene.rng.random() < 0.5:
            scene.end(drained=scene.rng.random() < 0.5)
            scene.check_positions()
            scene.start()
    scene.settle()


def alter(scene: Scene, name: str, value: str) -> None:
    """Set a configuration of the topics of clicks and requests."""
    admin = AdminClient({"bootstrap.servers": scene.settings.bootstrap_servers})
    for kind in ("clicks", "requests"):
        entry = ConfigEntry(name, value, incremental_operation=AlterConfigOpType.SET)
        topic = scene.settings.topic_prefix + kind
        resource = ConfigResource(ResourceType.TOPIC, topic, incremental_configs=[entry])
        for done in admin.incremental_alter_configs([resource]).values():
            done.result(timeout=20)
