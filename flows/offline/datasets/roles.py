"""What columns are called by those who export them, and how well a name fits what is looked for."""

import re

_WORDS = {
    "user_id": "user|customer|member|visitor|account|client|person|people|shopper|subscriber|reader|viewer|uid|buyer|"
    "reviewer|listener|player|patient|guest|cust|username|userid|msno|kunde|kunden|nutzer|benutzer|cliente|usuario|"
    "utilisateur|acheteur;email|mail|cookie|device|session",
    "item_id": "item|product|sku|article|movie|film|content|book|isbn|song|track|video|post|news|asin|business|"
    "goods|iid|listing|recipe|game|app|artikel|produkt|producto|produto|produit|articulo|ware|ean|gtin|hotel|"
    "course|podcast|document;offer|campaign|ad|creative|artist|page|url|title",
    "timestamp": "timestamp|datetime|time|ts|date|when|created|createdat|at|unixtime|datum|zeit|zeitpunkt|zeitstempel|"
    "fecha|data|heure|bestelldatum|on|day",
    "rating": "rating|stars|score|rate|vote|overall|bewertung|note",
    "event": "event|eventtype|action|behavior|behaviour|interaction|activity|type",
    "categories": "categories|category|genres|genre|tags|topics|topic|department|section|kategorie|kategorien;"
    "type|group|brand|class|family|line|collection",
    "title": "title|name|headline|label|titel|bezeichnung|nombre|titre",
}
"""Words for each; those after the semicolon are taken where there is nothing better."""
_ID = re.compile(r"(id|no|nr|number|key|code|nummer|numero|num|hash|uuid|guid|ref|pk)s?$")


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
