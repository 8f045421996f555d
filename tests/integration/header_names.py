"""Sends header names that the Python client would not: any bytes, as clients of other languages may."""

import ctypes
from pathlib import Path

import confluent_kafka
import pytest

_PRODUCER, _TOPIC, _VALUE, _KEY, _COPY, _HEADERS, _END = 0, 1, 4, 5, 7, 10, 0


def send_with_header_name(servers: str, topic: str, key: bytes, value: bytes, name: bytes) -> None:
    """Send one message with one header through librdkafka's C interface."""
    found = list(Path(confluent_kafka.__file__).parents[1].glob("confluent_kafka.libs/librdkafka-*"))
    if len(found) != 1:
        pytest.skip("librdkafka does not lie where the wheel of confluent-kafka has it")
    library, pointer = ctypes.CDLL(str(found[0])), ctypes.c_void_p
    for function in ("rd_kafka_conf_new", "rd_kafka_new", "rd_kafka_headers_new"):
        getattr(library, function).restype = pointer
    trouble = ctypes.create_string_buffer(512)
    config = pointer(library.rd_kafka_conf_new())
    library.rd_kafka_conf_set(config, b"bootstrap.servers", servers.encode(), trouble, 512)
    producer = pointer(library.rd_kafka_new(_PRODUCER, config, trouble, 512))
    headers = pointer(library.rd_kafka_headers_new(1))
    size = ctypes.c_ssize_t
    library.rd_kafka_header_add(headers, name, size(len(name)), b"1", size(1))
    arguments = (_TOPIC, topic.encode(), _COPY, 2, _VALUE, value, size(len(value)), _KEY, key, size(len(key)))
    assert library.rd_kafka_producev(producer, *arguments, _HEADERS, headers, _END) == 0
    assert library.rd_kafka_flush(producer, 20_000) == 0
    library.rd_kafka_destroy(producer)
