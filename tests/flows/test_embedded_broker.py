"""The embedded broker as a process: it answers, keeps what it has, pauses, and dies with its parent."""

import os
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

import pytest
from conftest import PlainClient
from confluent_kafka import KafkaException, Producer
from confluent_kafka.admin import AdminClient

from flows import embedded_broker
from flows.embedded_broker import EmbeddedBroker
from flows.errors import ConfigError, RalmError

pytestmark = pytest.mark.broker
