"""What columns are called by those who export them, and how well a name fits what is looked for.

Accents on Latin letters are left out. A name in a script without blanks between words fits by how it ends.
"""

import re
import unicodedata

_WORDS = {
    "user_id": "user|customer|member|visitor|account|client|person|people|shopper|subscriber|reader|viewer|uid|buyer|"
    "reviewer|listener|player|patient|guest|cust|username|userid|msno|kunde|kunden|nutzer|benutzer|cliente|usuario|"
    "utilisateur|acheteur|household|hh|besteller|kaufer|用户|客户|会员|顾客|买家|用戶|客戶|ユーザー|ユーザ|顧客|会員|고객|"
    "사용자|회원|пользователь|пользователя|клиент|клиента|покупатель;email|mail|cookie|device|session|playlist|pseudo",
    "item_id": "item|product|sku|article|movie|film|content|book|isbn|song|track|video|post|news|asin|business|"
    "goods|iid|listing|recipe|game|app|artikel|produkt|producto|produto|produit|articulo|ware|ean|gtin|hotel|"
    "course|podcast|document|bookmark|venue|poi|restaurant|anime|manga|tweet|stock|photo|paper|job|beer|wine|show|series|episode|"
    "place|商品|产品|物品|视频|电影|图书|文章|新闻|歌曲|產品|アイテム|製品|動画|상품|아이템|товар|товара|продукт|фильм;aid|vid|pid|offer|campaign|ad|creative|artist|art|page|url|title",
    "timestamp": "timestamp|datetime|dat|time|ts|date|when|created|createdat|at|unixtime|datum|zeit|zeitpunkt|"
    "zeitstempel|fecha|data|heure|bestelldatum|tstamp|on|day|时间|日期|時間|日時|日付|시간|날짜|время|дата",
    "rating": "rating|stars|score|rate|vote|overall|bewertung|note|评分|分数|評価|평점|оценка|рейтинг",
    "event": "event|eventtype|action|behavior|behaviour|interaction|activity|type|aktion|行为|事件|类型|行動|イベント|"
    "행동|событие|действие",
    "categories": "categories|category|genres|genre|tags|tag|hashtags|topics|topic|department|section|kategorie|"
    "kategorien|categoria|categorie|类别|分类|标签|类目|カテゴリ|カテゴリー|카테고리|категория;"
    "type|group|brand|class|family|line|collection|feat|feature|features|keyword|keywords|style|theme",
    "title": "title|name|headline|label|titel|bezeichnung|nombre|titre|nome|nom|名称|标题|商品名|タイトル|이름|"
    "название;description|desc|text",
}
"""Words for each; those after the semicolon are taken where there is nothing better."""
_ID = re.compile(
    r"((id|idstr|no|nr|number|key|code|nummer|numero|num|hash|uuid|guid|ref|reference|referenz|pk|uri)s?"
    r"|编号|编码|号|番号|コード|번호|номер|код)$"
)
_PARTS = re.compile(r"[A-Z]?[a-z]+|[A-Z]+(?![a-z])|\d+|[^\W\d_A-Za-z]+")
_LATIN = re.compile(r"[a-z]+")

_LEAST_LETTERS = 3
NO_CLICK = (
    *("impression", "skip", "remove", "dislike", "refund", "return", "cancel", "error", "logout", "hide"),
    *("exposure", "show", "unlike", "delete"),
)
"""Events that say nothing for an item, or something against it."""
VIEWS = ("view", "pv", "浏览")
"""Views count where there is nothing better, or little."""
EVENT_WORDS = (
    *("click", "buy", "cart", "fav", "purchase", "play", "like", "order", "add", "share", "comment", "watch", "sale"),
    *("search", "download", "install", "bookmark", "购买", "点击", "收藏", "加购"),
)
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
    words = _words_of(name)
    whole = "".join(words)
    if whole in (role.replace("_", ""), wanted[0]):
        return 1
    bare = _ID.sub("", whole)
    if whole in wanted or bare in wanted or _is_compound(bare, role, wanted):
        return 2
    if role.endswith("_id") and not _ID.search(whole):
        return 4 if words and words[-1] in wanted else 0
    return 3 if any(word in wanted for word in words) else 0


def _words_of(name: str) -> list[str]:
    """The words of a name in lower case, of Latin letters without accents.

    >>> _words_of("Numéro_Client"), _words_of("用户ID"), _words_of("orderNo2")
    (['numero', 'client'], ['用户', 'id'], ['order', 'no', '2'])
    """
    bare = "".join(sign for sign in unicodedata.normalize("NFD", name) if not unicodedata.combining(sign))
    return [part.lower() for part in _PARTS.findall(bare if bare.isascii() else name)]


def _is_compound(word: str, role: str, wanted: list[str]) -> bool:
    """Whether a word of another script ends as is wanted, or one of Latin letters names an item's title.

    >>> [rank(name, "title") for name in ("Artikelbezeichnung", "商品名称", "productname", "username")]
    [2, 2, 2, 0]
    """
    if not _LATIN.search(word):
        return any(word.endswith(each) for each in wanted if not _LATIN.search(each))
    items = _WORDS["item_id"].replace(";", "|").split("|")
    return role == "title" and any(word.endswith(each) and word.removesuffix(each) in items for each in wanted)


def is_called_like(stem: str, column: str) -> bool:
    """Whether a file is called like what a column has the ids of.

    >>> is_called_like("artists", "artistID"), is_called_like("tags", "artistID")
    (True, False)
    """
    words = [word.lower() for word in re.findall(r"[A-Z]?[a-z]+|[A-Z]+(?![a-z])", column)]
    return any(len(word) >= _LEAST_LETTERS and word in stem.lower() for word in words)


def is_key(name: str) -> bool:
    """Whether a column is called like one of ids, whatever they are of."""
    return bool(_ID.search("".join(_words_of(name))))


def is_click(name: str) -> bool:
    """Whether a column that says yes or no is called like a click.

    >>> [is_click(name) for name in ("is_clicked", "wasPurchased", "reordered", "buy")]
    [True, True, False, True]
    """
    words = [word.lower() for word in re.findall(r"[A-Z]?[a-z]+|[A-Z]+(?![a-z])", name)]
    return any(word.startswith(_CLICKS) for word in words)
