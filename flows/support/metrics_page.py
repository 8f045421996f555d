"""Reads the metrics page of a running flow."""

from collections.abc import Iterable
from dataclasses import dataclass
from http.client import HTTPConnection, HTTPException

from prometheus_client.parser import text_string_to_metric_families

from flows.support.errors import RalmError

_TIMEOUT_S = 10.0


class ScrapeError(RalmError):
    """The page could not be read this time; the next scrape may succeed."""


@dataclass(frozen=True)
class MetricsPage:
    """All samples of a page: name and labels, and the value."""

    samples: list[tuple[str, dict[str, str], float]]

    @classmethod
    def parse(cls, text: str) -> "MetricsPage":
        r"""Read the text format.

        >>> page = MetricsPage.parse('ralm_items{partition="0"} 3.0\nralm_items{partition="1"} 4.0\n')
        >>> page.total("ralm_items"), page.by("ralm_items", "partition")
        (7.0, {'0': 3.0, '1': 4.0})
        """
        families = text_string_to_metric_families(text)
        return cls([(s.name, s.labels, float(s.value)) for family in families for s in family.samples])

    def values(self, name: str, **labels: str) -> Iterable[tuple[dict[str, str], float]]:
        """The samples of a name that have these labels."""
        wanted = labels.items()
        return ((found, value) for sample, found, value in self.samples if sample == name and wanted <= found.items())

    def total(self, name: str, **labels: str) -> float:
        """The sum over all samples of a name that have these labels."""
        return sum(value for _, value in self.values(name, **labels))

    def by(self, name: str, label: str) -> dict[str, float]:
        """The values of a name by one of its labels."""
        return {found[label]: value for found, value in self.values(name)}


@dataclass(frozen=True)
class MetricsServer:
    """Where a flow serves its metrics and its health."""

    host: str
    port: int

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
