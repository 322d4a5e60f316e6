"""What an order in a request asks for: by its verb, then by the object of the verb."""

from __future__ import annotations

import re
from collections.abc import Iterator

from routing.clauses import Clause
from routing.lexicon import Lexicon
from routing.places import starts_with_infinitive

_PREPOSITION = re.compile(
    r"(?<![\w-])(?:to|in|into|for|from|with|on|at|within|under|against|using|via|в|во|на|для|к|ко|из|с|со|по|под|через)(?![\w-])"
)
_END_OF_NOUN = re.compile(
    r"\W*(?:$|[,.;:!?)(—–]|[а-я]|(?:with|for|that|to|using|which|like|in|from|where|and|or|based|on|of|about|as|how|so|"
    r"before|by|under|without|covering|describing|showing|the|we|first|at|into|between|when|over|including|it|is|"
    r"documents?|docs?)\b)"
)
_ADJECTIVE = re.compile(
    r"[\w-]+(?:ую|юю|ой|ый|ий|ое|ее|ые|ие|ых|их|го)\s+|¤\s+|(?:мне|нам|себе|еще|весь|всю)\s+|\w+-(?=\w)"
)
_DEFINITE = re.compile(r"(?:me |us )?(?:the|this|that|our|my|its|existing|current|эт\w+|наш\w*|текущ\w+)\b")
_BUILDING = re.compile(
    r"creat|build|mak|develop|writ|implement|generat|scaffold|set|созда|постро|сдела|реализ|напи|собер|собра|сгенер|разраб"
)
_CARRYING_OUT = re.compile(r"implement|реализ|сверст")
_WAYS = re.compile(r"\b(?:how|when|where|why|what|whether|ways?)\b.*\bto \w+")
_OBJECT = re.compile(r"\S+ (?:it|them|the|an?|this|that|these|those|all|my|our|every|¤|¤md)\b|\S+ ¤")
_INFINITIVE = re.compile(r"\w+(?:ть|ти|чь|ться|тись)$")
_KNOWING = re.compile(r"\W*(?:how|where|which|who|what|whether|if|when|как|где|кто|какой|какая|какие|что|чем|зачем)\b")
_UNKNOWN = re.compile(
    r"(?P<verb>[a-z]+(?: (?:out|up|down|off|over|away|back|through))?)"
    r"(?= (?:(?:the|an?|this|these|those|my|our|all|every|each|it)\b|¤))"
)
_UNKNOWN_RUSSIAN = re.compile(
    r"(?<!не )\b(?!случа|кра|ма|ча|обыча|сара|урожа)\w{2,}[уюая]й(?:те)?(?:с[яь])?(?= )"
    r"|^(?!\w*(?:[кгхи]и|ости|тели|модели|недели|или|если|при|почти|эти|свои|мои)\b)[а-я]{3,}и(?:те)?(?= )"
    r"(?! не )(?! \w+(?:[юуая]т|[еи]т|тся|нуты|аны|яты|ли|лись|шие)\b)"
)
_INFINITIVE_WORD = re.compile(r"\w+")
_OWN_WORD_CHARS = 100


def order_cues(clause: Clause, before: list[Clause], words: Lexicon, *, anywhere: bool) -> set[str]:
    """Return the cues of the orders in a clause; `anywhere` also accepts a Russian imperative in its middle."""
    cues: set[str] = set()
    verb, kinds = _head(clause, words)
    if verb and not _goes_on(clause, verb, before, words):
        cues |= _meant(kinds, verb, _after(clause, verb), words)
    elif anywhere:
        for verb, kinds in _imperatives(clause, words).items():
            cues |= _meant(kinds, verb, _after(clause, verb), words)
    if not cues:
        cues |= _unknown_cues(clause, words, first=not before or bool(_head(before[0], words)[0]), anywhere=anywhere)
    wished = clause.wish or (bool(before) and before[-1].wish and not before[-1].text)
    if not cues and wished and clause.text and not clause.indirect:
        cues |= {thing_cue(clause.text, words) or "wish"}
    return cues


def _unknown_cues(clause: Clause, words: Lexicon, *, first: bool, anywhere: bool) -> set[str]:
    """Recognise an order by its form alone: an English verb before its object, or a Russian imperative's ending."""
    found = _UNKNOWN.match(clause.text) if first and not words.starts("not_order", clause.text) else None
    found = found or (_UNKNOWN_RUSSIAN.search(clause.text) if anywhere else None)
    if not found and anywhere and starts_with_infinitive(clause.text):
        found = _INFINITIVE_WORD.match(clause.text)
    if not found:
        return set()
    return {thing_cue(clause.text[found.end() :].lstrip(), words, building=False) or "order"}


def thing_cue(about: str, words: Lexicon, *, building: bool = True, writing: bool = True) -> str | None:
    """Return the cue of a requested thing that the architect makes: a document, or a whole system."""
    thing = _direct(about)
    if writing and _names(words.phrases["document"], thing, about, words):
        return "design"
    if not building or _DEFINITE.match(about):
        return None
    if re.search("[а-я]", thing):
        whole = any(words.phrases["system"].match(thing, start) for start in _after_adjectives(thing))
    else:
        whole = _names(words.phrases["system"], thing, about, words)
    has_accounts = words.has("accounts", about) and not words.has("code_noun", thing)
    return "system" if whole or has_accounts or words.has("big", about) else None


def _after_adjectives(thing: str) -> Iterator[int]:
    """List the positions at which a Russian noun may begin: the start, and after each adjective there."""
    position = 0
    yield position
    while adjective := _ADJECTIVE.match(thing, position):
        position = adjective.end()
        yield position


def _names(nouns: re.Pattern[str], thing: str, about: str, words: Lexicon) -> bool:
    """Whether a noun is the head of the phrase: neither a compound's first part, nor a part of something in code."""
    for noun in nouns.finditer(thing):
        code = words.phrases["code_noun"].search(thing, 0, noun.start())
        between = thing[_word_end(thing, code.end()) : noun.start()].strip() if code else ""
        english = noun.group().isascii() and (code is None or code.group().isascii())
        if _END_OF_NOUN.match(about, _word_end(about, noun.end())) and (not code or (english and not between)):
            return True
    return False


def _word_end(text: str, position: int) -> int:
    """Find the end of the word that a stem begins."""
    while position < len(text) and (text[position].isalnum() or text[position] == "_"):
        position += 1
    return position


def _direct(about: str) -> str:
    """Return the direct object of a verb: the text up to the first preposition."""
    cut = _PREPOSITION.search(about)
    head = about[: cut.start()] if cut else about
    return re.split(r"[,;:.!?]", head, maxsplit=1)[0][:_OWN_WORD_CHARS]


def _after(clause: Clause, verb: str) -> str:
    """Return the sentence after the verb."""
    return clause.rest[clause.rest.find(verb) + len(verb) :].lstrip(" ,")


def _head(clause: Clause, words: Lexicon) -> tuple[str, set[str]]:
    """Find the verb with which a clause starts, and the kinds of order that it can give; the longest verb wins."""
    found = {kind: match.group() for kind, heads in words.heads.items() if (match := heads.match(clause.text))}
    verb = max(found.values(), key=len, default="")
    if words.starts("after_noun", clause.text[len(verb) :].lstrip()):
        return "", set()
    return verb, {kind for kind, said in found.items() if said == verb}


def _imperatives(clause: Clause, words: Lexicon) -> dict[str, set[str]]:
    found: dict[str, set[str]] = {}
    for kind, pattern in words.inner.items():
        for match in pattern.finditer(clause.said):
            found.setdefault(match.group(), set()).add(kind)
    return found


def _goes_on(clause: Clause, verb: str, before: list[Clause], words: Lexicon) -> bool:
    """Whether a verb continues the clause before ("how to create and delete …") and is no order of its own."""
    if not before:
        return False
    if _INFINITIVE.match(verb):
        first = _head(before[0], words)[0]
        return not (clause.wish or clause.polite or before[0].wish or before[0].polite or _INFINITIVE.match(first))
    if not clause.joined or clause.led or re.search("[а-я]", verb):
        return False
    earlier = before[-1]
    verb_before, kinds = _head(earlier, words)
    if _WAYS.search(earlier.text):
        return True
    if "design" in _head(clause, words)[1]:
        return False
    return (not verb_before or bool(kinds & {"explain", "look"})) and not _OBJECT.match(clause.text)


def _meant(kinds: set[str], verb: str, about: str, words: Lexicon) -> set[str]:
    """Decide what an order means when its verb can give several kinds of order."""
    if "cause" in kinds:
        faulty = words.starts("why", about) or (about.startswith(("what", "что")) and words.has("symptom", about))
        knowing = _KNOWING.match(about) and not faulty
        return {"look" if knowing else "cause"}
    if "make" in kinds:
        cue = _made(kinds, verb, about, words)
    elif "write" in kinds:
        cue = (
            "design"
            if re.match("split|break|divid|turn|convert|group|раз|рас|сгруп|упоряд|прев|прео|пере", verb)
            and words.has("parts", about)
            else "write"
        )
        if verb == "show" and _KNOWING.match(about):
            cue = "look"
    elif "fix" in kinds:
        adjusting = re.match("correct|поправ|подправ", verb) and not words.has("fault_noun", about)
        cue = "small_fix" if adjusting or words.has("small", about) else "fix"
    elif "explain" in kinds:
        describing = re.match("descr|опи", verb) and words.has("future", about)
        comparing = re.match("compar|срав", verb) and words.has("weighing", about)
        cue = "design" if describing or comparing else "explain"
    elif "look" in kinds:
        advising = re.match("suggest|recommend|посов|пореком", verb) and thing_cue(about, words, building=False)
        cue = advising or _looked_for(about, words)
    else:
        cue = next(iter(sorted(kinds)))
    if cue == "explain" and words.has("why", about[:_OWN_WORD_CHARS]) and words.has("symptom", about):
        return {"explain", "cause_question"}
    return {cue}


def _made(kinds: set[str], verb: str, about: str, words: Lexicon) -> str:
    if words.starts("summary", about):
        return "explain"
    building = _BUILDING.match(verb) is not None
    writing = _CARRYING_OUT.match(verb) is None
    thing = thing_cue(about, words, building=building, writing=writing)
    if thing == "system" and "run" in kinds and not _PREPOSITION.search(about):
        return "run"
    if thing:
        return thing
    if "explain" in kinds:
        return "explain"
    if (writing and "¤md" in about) or re.search(r"\b(?:in|to|в) docs\b", about):
        return "design"
    code = words.has("code_noun", _direct(about))
    if "design" in kinds and not code:
        return "design"
    return "run" if "run" in kinds or (verb == "build" and _DEFINITE.match(about)) else "write"


def _looked_for(about: str, words: Lexicon) -> str:
    near = about[:_OWN_WORD_CHARS]
    if _KNOWING.match(near) and not words.starts("cause_noun", near):
        return "look"
    for noun in words.phrases["cause_noun"].finditer(near):
        if noun.group() == "why" or _END_OF_NOUN.match(near, _word_end(near, noun.end())):
            return "cause"
    return "look"
