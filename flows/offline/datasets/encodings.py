"""Tells in which encoding text is that is not UTF-8."""

import re
from collections.abc import Callable

LATIN = "cp1252"
"""What text that is not UTF-8 most likely is where single letters have accents: as Windows writes in the west."""
_SAMPLE = 1 << 20
_RUNS = re.compile(rb"[\x80-\xff]{2,}")
_HIGH = re.compile(rb"[\x80-\xff]")
_MOSTLY = 0.5
_NEARLY = 0.9


def _fits(letters: str) -> Callable[[str], bool]:
    return lambda sign: re.fullmatch(letters, sign) is not None


def _is_usual_chinese(sign: str) -> bool:
    """Whether a sign is one of the 3,755 that GB 2312 has first, or a mark between them."""
    try:
        return sign.encode("gb2312")[0] <= 0xD7
    except UnicodeEncodeError:
        return False


_USUAL: dict[str, Callable[[str], bool]] = {
    "euc_kr": _fits("[\uac00-\ud7a3]"),
    "gb18030": _is_usual_chinese,
    "cp1251": _fits("[\u0401\u0410-\u0451\u2116\xab\xbb\u2013\u2014]"),
    "shift_jis": _fits("[\u3000-\u30ff\u4e00-\u9fff\uff00-\uffef]"),
    "big5": _fits("[\u3000-\u303f\u4e00-\u9fff\uff00-\uffef]"),
}
"""Of encodings in which letters stand one after another that are not ASCII, which ones texts have most."""


def encoding_like(content: bytes) -> str:
    """The encoding that bytes are most likely in, of those that one's own tables may be in.

    >>> encoding_like("naïve café".encode("cp1252")), encoding_like("товар,книга".encode("cp1251"))
    ('cp1252', 'cp1251')
    >>> [encoding_like("用户,商品名称,时间".encode("gbk")), encoding_like("ユーザー,商品".encode("shift_jis"))]
    ['gb18030', 'shift_jis']
    """
    sample = content[:_SAMPLE]
    if len(content) > _SAMPLE:
        sample = sample.rpartition(b"\n")[0] or sample
    if sum(map(len, _RUNS.findall(sample))) < _MOSTLY * len(_HIGH.findall(sample)):
        return LATIN
    return next((encoding for encoding, usual in _USUAL.items() if _is_in(sample, encoding, usual)), LATIN)


def _is_in(content: bytes, encoding: str, usual: Callable[[str], bool]) -> bool:
    try:
        signs = [sign for sign in content.decode(encoding) if not sign.isascii()]
    except UnicodeDecodeError:
        return False
    return sum(map(usual, signs)) >= _NEARLY * len(signs)
