"""What columns are called by those who export them, and how well a name fits what is looked for."""

import re

_WORDS = {
    "user_id": "user|customer|member|visitor|account|client|person|people|shopper|subscriber|reader|viewer|uid|buyer|"
    "reviewer|listener|player|patient|guest|cust|username|userid|msno|kunde|kunden|nutzer|benutzer|cliente|usuario|"
    "utilisateur|acheteur;email|mail|cookie|device|session",
    "item_id": "item|product|sku|article|movie|film|content|book|isbn|song|track|video|post|news|asin|business|"
    "goods|iid|listing|recipe|game|app|artikel|produkt|producto|produto|produit|articulo|ware|ean|gtin|hotel|"
    "course|podcast|document|venue|poi|restaurant|anime|manga|tweet|stock|photo|paper|job|beer|wine|show|series|episode|"
    "place;aid|vid|pid|offer|campaign|ad|creative|artist|art|page|url|title",
    "timestamp": "timestamp|datetime|dat|time|ts|date|when|created|createdat|at|unixtime|datum|zeit|zeitpunkt|"
    "zeitstempel|fecha|data|heure|bestelldatum|on|day",
    "rating": "rating|stars|score|rate|vote|overall|bewertung|note",
    "event": "event|eventtype|action|behavior|behaviour|interaction|activity|type",
    "categories": "categories|category|genres|genre|tags|tag|hashtags|topics|topic|department|section|kategorie|"
    "kategorien;type|group|brand|class|family|line|collection|feat|feature|features|keyword|keywords|style|theme",
    "title": "title|name|headline|label|titel|bezeichnung|nombre|titre",
}
"""Words for each; those after the semicolon are taken where there is nothing better."""
_ID = re.compile(r"(id|idstr|no|nr|number|key|code|nummer|numero|num|hash|uuid|guid|ref|pk)s?$")

_LEAST_LETTERS = 3
_CLICKS = ("click", "bought", "buy", "purchas", "like", "order", "convert", "watched", "read", "played", "positive")


def rank(name: str, role: str) -> int:
    """How well a column's name fits a role: 1 is best, 0 does not.

    >>> [rank(name, "user_id") for name in ("user_id", "CustomerNo", "order_customer", "useful", "Email")]
    [1, 2, 4, 0, 6]
    """
    first, _, last = _WORDS[role].partition(";")
    found = _rank(name, role, first.split("|"))
    if found or not last:
        return found
    found = _rank(name, role, last.split("|"))
    return found + 5 if found else 0


def _rank(name: str, role: str, wanted: list[str]) -> int:
    parts = re.findall(r"[A-Z]?[a-z]+|[A-Z]+(?![a-z])|\d+", name)
    words = [part.lower() for part in parts]
    whole = "".join(words)
    if whole in (role.replace("_", ""), wanted[0]):
        return 1
    if whole in wanted or _ID.sub("", whole) in wanted:
        return 2
    if role.endswith("_id") and not _ID.search(whole):
        return 4 if words and words[-1] in wanted else 0
    return 3 if any(word in wanted for word in words) else 0


def is_called_like(stem: str, column: str) -> bool:
    """Whether a file is called like what a column has the ids of.

    >>> is_called_like("artists", "artistID"), is_called_like("tags", "artistID")
    (True, False)
    """
    words = [word.lower() for word in re.findall(r"[A-Z]?[a-z]+|[A-Z]+(?![a-z])", column)]
    return any(len(word) >= _LEAST_LETTERS and word in stem.lower() for word in words)


def is_click(name: str) -> bool:
    """Whether a column that says yes or no is called like a click.

    >>> [is_click(name) for name in ("is_clicked", "wasPurchased", "reordered", "buy")]
    [True, True, False, True]
    """
    words = [word.lower() for word in re.findall(r"[A-Z]?[a-z]+|[A-Z]+(?![a-z])", name)]
    return any(word.startswith(_CLICKS) for word in words)
