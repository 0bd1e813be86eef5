"""Choose taps by address, pattern, type, place or role.

The grammar, one selector at a time; what several select is united, in graph order, without duplicates:

    conv1, encoder/conv:1@input     an exact address
    block?_conv*, **/relu           a glob over paths: * ? [ab] [!ab] stay within one name, ** crosses names
    re:<RE2 pattern>                a search in canonical addresses
    type:Conv2D                     the layer's class (also a glob)
    index:3, index:0..7, index:-1   places in model.layers, both ends included
    rank:4                          the number of axes, batch axis included
    last:conv                       the last layer with rows and columns whose class has that word in its name
    input, outputs, all             what went in, what comes out, every layer's output

A site may follow all but `re:` (`type:Conv2D@preactivation`, `all@scores`). An exact address wins over every other reading.

The sites are `output`, which is left out; `input`, what went in; `preactivation`, what a fused activation function gets; and
`scores` of a layer of attention, what it multiplies its values by: (heads, query, key), or (query, key), behind the softmax.
"""

import difflib
import re
from collections.abc import Callable, Iterable, Sequence

import re2

from layerscope.errors import InvalidSelector, LayerNotFound, OptionInvalid, TooMany
from layerscope.graph.taps.addresses import Site, parse_address, parse_site
from layerscope.graph.taps.geometry import has_rows
from layerscope.graph.taps.tap import LayerCall, Tap
from layerscope.limits import Limits

Predicate = Callable[[LayerCall], bool]

_LONGEST = 1_000
_PLACE = re.compile(r"(?P<path>[^:@]+)(?::(?P<call>\d{1,6})(?:\.(?P<output>\d{1,6}))?)?")
_RANGE = re.compile(r"(-?\d{1,6})(?:\.\.(-?\d{1,6}))?")
_GLOB = re.compile(r"(\*\*/|\*\*|\*|\?|\[!?[^\]!][^\]]*\])")
_GLOB_TO_RE2 = {"**/": "(?:.*/)?", "**": ".*", "*": "[^/]*", "?": "[^/]"}


def split_selectors(values: Iterable[str]) -> list[str]:
    """Split repeated and comma separated values; a value that begins with `re:` is not split."""
    parts: list[str] = []
    for value in values:
        parts.extend([value] if value.startswith("re:") else (part.strip() for part in value.split(",")))
    return [part for part in parts if part]


def read_selectors(values: Iterable[str]) -> list[str]:
    """As `split_selectors`, where at least one is needed.

    Raises:
        InvalidSelector: there is no selector.
    """
    selectors = split_selectors(values)
    if not selectors:
        raise InvalidSelector("There is no layer selector: give addresses, patterns, or all.")
    return selectors


def require_few(selectors: Sequence[str], limits: Limits) -> None:
    """Check that one request may have so many selectors.

    Raises:
        TooMany: it may not.
    """
    if len(selectors) > limits.selectors:
        raise TooMany(
            f"{len(selectors)} layer selectors are more than the {limits.selectors} one request may have",
            ways=("use patterns (block*)", "select by type: or index:", "send several requests"),
            selectors=len(selectors),
            limit=limits.selectors,
        )


def require_one(selector: str, addresses: Sequence[str], wanted: str = "name one") -> None:
    """Check that a selector gave one layer.

    Args:
        selector: as the caller wrote it.
        addresses: what it gave.
        wanted: the end of the sentence that says how many would do.

    Raises:
        InvalidSelector: it gave none, because it is blank.
        OptionInvalid: it gave several.
    """
    if not addresses:
        raise InvalidSelector(f"layer={selector[:100]!r} is no layer selector; {wanted}.")
    if len(addresses) > 1:
        raise OptionInvalid(
            f"layer={selector[:100]} selects {len(addresses)} layers; {wanted}.",
            option="layer",
            layers=list(addresses[:10]),
        )


class TapIndex:
    """All taps of one model, and the selection among them.

    Args:
        calls: the model's layer calls, in graph order.
        inputs: the addresses of the model's inputs.
        outputs: the addresses of its outputs.
    """

    def __init__(self, calls: Sequence[LayerCall], inputs: Sequence[str], outputs: Sequence[str]) -> None:
        self.calls = tuple(calls)
        self._taps = {tap.address: tap for call in calls for tap in call.taps}
        self._order = {address: number for number, address in enumerate(self._taps)}
        self._named = {"input": tuple(inputs), "outputs": tuple(outputs)}
        self._layers = 1 + max((call.index for call in calls if call.index is not None), default=-1)

    def __eq__(self, other: object) -> bool:
        if not isinstance(other, TapIndex):
            return NotImplemented
        return self.calls == other.calls and self._named == other._named

    def __hash__(self) -> int:
        return hash(self.calls)

    def __getitem__(self, address: str) -> Tap:
        """The tap of a canonical address."""
        return self._taps[address]

    def outputs(self) -> list[Tap]:
        """The output taps of every layer call, in graph order: what `all` selects."""
        return [tap for tap in self._taps.values() if tap.place.site == "output"]

    def select(self, selectors: Sequence[str]) -> list[Tap]:
        """The taps that any of `selectors` selects.

        Raises:
            InvalidSelector: a selector does not follow the grammar.
            LayerNotFound: a selector selects nothing; `details["near"]` names up to three close addresses.
        """
        found: set[str] = set()
        for selector in selectors:
            addresses = self._select_one(selector)
            if not addresses:
                raise self._nothing(selector)
            found.update(addresses)
        return [self._taps[address] for address in sorted(found, key=self._order.__getitem__)]

    def _select_one(self, selector: str) -> Sequence[str]:
        if len(selector) > _LONGEST:
            raise InvalidSelector(f"A selector of {len(selector)} characters is longer than {_LONGEST}.")
        if selector in self._taps:
            return [selector]
        if selector.startswith("re:"):
            pattern = _compile(selector.removeprefix("re:"))
            return [tap.address for tap in self.outputs() if pattern.search(tap.address)]
        rest, at, site_name = selector.rpartition("@")
        site = parse_site(site_name) if at else "output"
        rest = rest if at else selector
        if rest in self._named and site == "output":
            return self._named[rest]
        return self._by_form(rest, site, exact=selector)

    def _by_form(self, text: str, site: Site, *, exact: str) -> Sequence[str]:
        form, colon, argument = text.partition(":")
        match form if colon else "":
            case "type":
                pattern = _compile_glob(argument)
                return self._where(lambda call: bool(pattern.fullmatch(call.type)), site)
            case "index":
                return self._by_index(argument, site)
            case "rank":
                return [tap.address for tap in self._at(site) if str(len(tap.shape) + 1) == argument]
            case "last":
                return self._last(argument.lower(), site)
        if text == "all":
            return [tap.address for tap in self._at(site)]
        return self._by_glob(text, site) if _GLOB.search(text) else self._by_address(exact)

    def _by_address(self, text: str) -> Sequence[str]:
        """Spellings that are not canonical, such as `conv:0`."""
        address = str(parse_address(text))
        return [address] if address in self._taps else []

    def _by_glob(self, text: str, site: Site) -> Sequence[str]:
        parts = _PLACE.fullmatch(text)
        if parts is None:
            raise InvalidSelector(
                f"{text[:100]!r} is not a layer pattern: write pattern[:call][.output][@site]."
            )
        pattern = _compile_glob(parts["path"])
        return [
            tap.address
            for tap in self._at(site)
            if pattern.fullmatch(_path(tap))
            and parts["call"] in {None, str(tap.place.call)}
            and parts["output"] in {None, str(tap.place.output)}
        ]

    def _by_index(self, text: str, site: Site) -> Sequence[str]:
        match = _RANGE.fullmatch(text)
        if match is None:
            raise InvalidSelector(
                f"index:{text[:100]} is not a place in model.layers: write index:3 or index:0..7."
            )
        low, high = (
            int(end) + (self._layers if int(end) < 0 else 0) for end in (match[1], match[2] or match[1])
        )
        return self._where(lambda call: call.index is not None and low <= call.index <= high, site)

    def _last(self, word: str, site: Site) -> Sequence[str]:
        spatial = [tap for tap in self._at(site) if word in tap.layer.type.lower() and has_rows(tap)]
        return [spatial[-1].address] if spatial else []

    def _where(self, wanted: Predicate, site: Site) -> Sequence[str]:
        return [tap.address for tap in self._at(site) if wanted(tap.layer)]

    def _at(self, site: Site) -> list[Tap]:
        return [tap for tap in self._taps.values() if tap.place.site == site]

    def _nothing(self, selector: str) -> LayerNotFound:
        base = selector.partition("@")[0]
        if base != selector and base in self._taps:
            sites = ", ".join(self._taps[base].layer.tensors)
            return LayerNotFound(
                f"{base} has no such site; its sites are {sites}.", selector=selector, near=[base]
            )
        near = self._near(selector)
        hint = f" Did you mean {' or '.join(near)}?" if near else ""
        return LayerNotFound(
            f"{selector[:100]!r} selects no layer of this model.{hint}", selector=selector[:100], near=near
        )

    def _near(self, selector: str) -> list[str]:
        """Close addresses, whatever the case, and also by their last name alone."""
        base = selector.partition("@")[0]
        place = _PLACE.fullmatch(base)
        wanted = (place["path"] if place else base.rpartition(":")[2]).lower()[:100]
        names: dict[str, str] = {}
        for tap in self.outputs():
            names.setdefault(tap.address.lower(), tap.address)
            names.setdefault(tap.address.rpartition("/")[2].lower(), tap.address)
        close = difflib.get_close_matches(wanted, names, n=3, cutoff=0.5)
        return list(dict.fromkeys(names[name] for name in close))


def _path(tap: Tap) -> str:
    """The address without call, output and site; reserved characters in it are encoded, so the cut is exact."""
    return tap.address.partition(":")[0].partition("@")[0]


def _compile_glob(glob: str) -> "re2._Regexp[str]":
    return _compile("".join(map(_translate, _GLOB.split(glob))))


def _translate(part: str) -> str:
    if part.startswith("[!"):
        return f"[^/{part[2:]}"
    return _GLOB_TO_RE2.get(part) or (part if part.startswith("[") else re.escape(part))


def _compile(pattern: str) -> "re2._Regexp[str]":
    options = re2.Options()
    options.log_errors = False
    options.max_mem = 1 << 20
    try:
        return re2.compile(pattern, options)
    except (re2.error, UnicodeError) as error:
        raise InvalidSelector(
            f"{pattern[:100]!r} is not a pattern that RE2 understands.", pattern=pattern[:100]
        ) from error
