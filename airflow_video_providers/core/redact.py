"""The two redactors: one for the API key, one for addresses. What both take out is in no text of the package."""

from __future__ import annotations

import re
from urllib.parse import unquote

#: A shorter key is no secret, and could be part of an ordinary word in an answer.
SHORTEST_SECRET = 8
STARS = "***"

# An http address in running text: plain, with JSON's escaped slashes, or percent-encoded, however often.
_SCHEME = r"https?(?::|%(?:25)*3a|\\+u003a)(?:\\*/|\\+u002f|%(?:25)*2f){2,}"
_USERINFO = r"(?:(?!%(?:25)*2f)[^\s\"<>/\\?#])*(?:@|%(?:25)*40)"
_QUERY = r"(?:[?#&]|%(?:25)*(?:3f|23)|\\u00(?:3f|23|26))"  # what it, or a fragment, begins with
#: Scheme, and host with path. The punctuation behind an address is the sentence's, not the query's.
_ADDRESS = re.compile(
    rf"({_SCHEME})(?:{_USERINFO})?((?:(?!{_QUERY}|{_SCHEME})[^\s\"<>])*)(?:{_QUERY}[^\s\"<>]*(?<![)\]}}.,;:!'\\]))?",
    re.IGNORECASE,
)


# What libraries write of an address whose scheme and host stand elsewhere, or nowhere: its query, its signature, its password.
_QUERY_ALONE = re.compile(r"\?[\w.~%+-]+=[^\s\"'<>]*(?<![)\]}.,;:!'\\])")
_SIGNATURE = r"x-[a-z]+-signature|x-[a-z]+-security-token|signature|sig|token|access_token"
_NAMED = re.compile(
    rf"(?:(?<![\w/-])|(?<=%26)|(?<=%3f)|(?<=u0026))({_SIGNATURE})(=|%(?:25)*3d|\\+u003d)(?!\*)[^&\s\"'<>]+",
    re.IGNORECASE,
)
_PASSWORD = re.compile(r"(://[^/@\s:\"'<>]*:)(?!\*)[^/@\s\"'<>]+@")


def public_text(text: str) -> str:
    """A text as it may be shown: its addresses stand without userinfo, query and fragment, which may be signatures."""
    if "http" in text.lower():  # every status word passes here, at every poll
        text = _ADDRESS.sub(r"\1\2", text)
    if "=" in text or "%" in text or "\\u003" in text:
        text = _NAMED.sub(rf"\1\2{STARS}", _QUERY_ALONE.sub("", text))
    return _PASSWORD.sub(rf"\1{STARS}@", text) if "://" in text else text


def public_url(url: str) -> str:
    """One address as it may be shown, whatever its scheme and spelling: no userinfo, no query, no fragment."""
    return re.sub("//[^/]*@", "//", public_text(re.split("[?#]", url, maxsplit=1)[0]))


_SECRETS = re.compile(
    rf"[?&;](?:{_SIGNATURE})=([^&#\s]+)"
    r"|://[^/@\s]*?:([^/@\s]+)@",
    re.IGNORECASE,
)


def secrets_in(text: str) -> list[str]:
    """The signatures and passwords of the addresses in a text, as they are written and as they are read."""
    if "://" not in text:
        return []
    found = [one or other for one, other in _SECRETS.findall(text)]
    return [each for one in found for each in dict.fromkeys((one, unquote(one))) if len(each) >= SHORTEST_SECRET]


class Redactor:
    """Takes one API key out of texts, however it is spelled there.

    Each of its characters may stand as itself, behind a backslash, as JSON's ``\\u003d``, percent-encoded in either
    case and repeatedly, or as an HTML entity.

    :param key: The key. One of less than eight characters is no secret and stays.
    """

    def __init__(self, key: str) -> None:
        self._key = key if len(key) >= SHORTEST_SECRET else ""
        self._spelled: re.Pattern[str] | None = None

    def __repr__(self) -> str:
        return f"{type(self).__name__}({STARS})"

    def text(self, text: str) -> str:
        """The text, with stars where the key was."""
        if not self._key:
            return text
        if self._key in text:
            text = text.replace(self._key, STARS)
        if "\\" in text or "%" in text or "&#" in text:
            if self._spelled is None:
                self._spelled = re.compile("".join(_spellings(char) for char in self._key))
            text = self._spelled.sub(STARS, text)
        return text


def _spellings(char: str) -> str:
    number = ord(char)
    digits = "".join(f"[{digit}{digit.upper()}]" if digit.isalpha() else digit for digit in f"{number:02x}")
    plain = rf"\\{{0,8}}(?:{re.escape(char)}|u00{digits}|x{digits})"
    entity = rf"&#(?:0{{0,8}}{number}|[xX]0{{0,8}}{digits});"
    return rf"(?:{plain}|%(?:25){{0,8}}{digits}|{entity})"
