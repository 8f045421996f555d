"""Reads the metrics page of a running flow."""

from dataclasses import dataclass
from http.client import HTTPConnection, HTTPException
from typing import Any

from prometheus_client.parser import text_string_to_metric_families

from flows.support.errors import RalmError
from monitoring.address import bare, host_port
from monitoring.samples import Samples
from state.nesting import json_of

_TIMEOUT_S = 10.0
_MOST_BYTES = 64 << 20
"""More of an answer is not read: whoever answers may be no flow."""
_SHOWN = 200
"""Characters of what an answer is refused for; it may quote the answer."""


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
    def address(self) -> str:
        """Host and port."""
        return host_port(self.host, self.port)

    @property
    def home(self) -> str:
        """The address of the status page."""
        return f"http://{self.address}/"

    @property
    def url(self) -> str:
        """The address of the metrics page."""
        return f"http://{self.address}/metrics"

    def page(self) -> MetricsPage:
        """The metrics now.

        Raises:
            OSError: when the server does not answer.
        """
        status, text = self._get("/metrics")
        if status != 200:
            msg = f"{self.url} answers {status}"
            raise OSError(msg)
        try:
            return MetricsPage.parse(text)
        except (ValueError, LookupError) as error:  # whatever the parser stumbles over
            msg = f"what answers at {self.url} are not metrics: {str(error)[:_SHOWN]}"
            raise OSError(msg) from error

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
            msg = f"{self.home}-/status answers {code}"
            raise OSError(msg)
        try:
            report: Any = json_of(text)
        except ValueError as error:
            msg = f"what answers at {self.home}-/status is not a flow: {str(error)[:_SHOWN]}"
            raise OSError(msg) from error
        if not isinstance(report, dict):
            msg = f"what answers at {self.home}-/status is not a flow"
            raise OSError(msg)
        return report

    def _get(self, path: str) -> tuple[int, str]:
        status, content = self._bytes(path)
        return status, content.decode(errors="replace")

    def _bytes(self, path: str) -> tuple[int, bytes]:
        connection = HTTPConnection(bare(self.host), self.port, timeout=_TIMEOUT_S)
        try:
            connection.request("GET", path)
            response = connection.getresponse()
            return response.status, response.read(_MOST_BYTES)
        except HTTPException as error:
            raise OSError(str(error) or type(error).__name__) from error
        finally:
            connection.close()
