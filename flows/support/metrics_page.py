"""Reads the metrics page of a running flow."""

import json
from dataclasses import dataclass
from http.client import HTTPConnection, HTTPException
from typing import Any

from prometheus_client.parser import text_string_to_metric_families

from flows.support.errors import RalmError
from monitoring.samples import Samples

_TIMEOUT_S = 10.0


class ScrapeError(RalmError):
    """The page could not be read this time; the next scrape may succeed."""


class MetricsPage(Samples):
    """All samples of a page."""

    @classmethod
    def parse(cls, text: str) -> "MetricsPage":
        r"""Read the text format.

        >>> page = MetricsPage.parse('ralm_items{partition="0"} 3.0\nralm_items{partition="1"} 4.0\n')
        >>> page.total("ralm_items"), page.by("ralm_items", "partition")
        (7.0, {'0': 3.0, '1': 4.0})
        """
        return cls.of(text_string_to_metric_families(text))


@dataclass(frozen=True)
class MetricsServer:
    """Where a flow serves its metrics and its health."""

    host: str
    port: int

    @property
    def home(self) -> str:
        """The address of the status page."""
        return f"http://{self.host}:{self.port}/"

    @property
    def url(self) -> str:
        """The address of the metrics page."""
        return f"http://{self.host}:{self.port}/metrics"

    def page(self) -> MetricsPage:
        """The metrics now.

        Raises:
            OSError: when the server does not answer.
        """
        status, text = self._get("/metrics")
        if status != 200:
            msg = f"{self.url} answers {status}"
            raise OSError(msg)
        return MetricsPage.parse(text)

    def ready(self) -> tuple[bool, str]:
        """Whether the flow is ready, and what it says about it."""
        try:
            status, text = self._get("/-/ready")
        except OSError as error:
            return False, str(error)
        return status == 200, text

    def status(self) -> dict[str, Any]:
        """What the status page shows, as the flow says it.

        Raises:
            OSError: when the server does not answer.
        """
        code, text = self._get("/-/status")
        if code != 200:
            msg = f"http://{self.host}:{self.port}/-/status answers {code}"
            raise OSError(msg)
        report: dict[str, Any] = json.loads(text)
        return report

    def _get(self, path: str) -> tuple[int, str]:
        connection = HTTPConnection(self.host, self.port, timeout=_TIMEOUT_S)
        try:
            connection.request("GET", path)
            response = connection.getresponse()
            return response.status, response.read().decode()
        except HTTPException as error:
            raise OSError(str(error) or type(error).__name__) from error
        finally:
            connection.close()
