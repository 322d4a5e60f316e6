"""The eight verbs of the scripted model: one table of their phrases, in English and in Russian."""

from __future__ import annotations

import re
from dataclasses import dataclass
from functools import cached_property

MARK = "\ue000\\d+\ue001"
"""A quoted part of a request: its number between two private characters (`llm/script/request.py`)."""
_BARE_PATH = (
    r"~?/?(?:[\w.@+-]+/)*(?:[\w@+-][\w.@+-]*\.[A-Za-z]\w{0,9}|\.\w[\w.-]*|Makefile|Dockerfile|LICENSE|README)"
    r"|~?/?(?:[\w.@+-]+/)+[\w.@+-]*"
)
IT = r"it|this|that|(?:this|that|the) file|его|её|ее|этот файл|это|н[её]м|него|ней"
"""How a clause names the file of the one before it."""
_SLOTS = {
    "path": rf"(?P<path>{MARK}|{_BARE_PATH}|{IT})",
    "folder": rf"(?P<folder>{MARK}|[\w.@+~/-]+)",
    "text": rf"(?P<text>{MARK})",
    "word": rf"(?P<text>{MARK}|[\w.-]+)",
    "new": rf"(?P<new>{MARK}|[\w.-]+)",
    "plain": rf"(?P<text>{MARK}|[^{MARK[0]}]+)",
    "sum": r"(?P<text>(?:sqrt|abs|round|min|max|pi|[\d\s.,+\-*/%()^])*\d[\d\s.,+\-*/%()^]*)",
    "a": r"(?:(?:an?|the|my|our|new|empty|this|all|новый|новую|пустой|пустую|этот|эту|все) )*",
    "file": r"(?:(?:file|document|файл\w*|документ\w*) )?(?:(?:called|named|с именем|по имени) )?",
}


@dataclass(frozen=True)
class Verb:
    """One thing that the scripted model can do."""

    name: str
    agent: str
    """An agent that has the tool: the target of a switch."""
    words: str
    """The verb and its synonyms, as alternatives of a pattern."""
    forms: tuple[str, ...]
    """Whole clauses; `{…}` are the slots above, and `{verb}` is one of the words."""

    def read(self, clause: str) -> re.Match[str] | None:
        """Match a whole clause whose quoted parts are marks; the groups are those of the slots."""
        return next((found for pattern in self._patterns if (found := pattern.fullmatch(clause))), None)

    @cached_property
    def _patterns(self) -> list[re.Pattern[str]]:
        slots = {"verb": f"(?:{self.words})", **_SLOTS}
        filled = (re.sub(r"\{([a-z]+)\}", lambda slot: slots[slot[1]], form) for form in self.forms)
        return [re.compile(form, re.IGNORECASE) for form in filled]


_FILES = r"(?:files?|folders?|director(?:y|ies)|файлы?|папки?|каталоги?)"
_HERE = r"(?:project|workspace|repo(?:sitory)?|code|folder|directory|проект\w*|репозитори\w*|код\w*|папк\w*|каталог\w*)"
_IN = r"(?:in|of|under|inside|from|to|into|в|во|из|к)"
VERBS = (
    Verb(
        "list",
        agent="ask",
        words="list|show(?: me)?|покажи|перечисли|выведи",
        forms=(
            rf"(?:(?:{{verb}}|what|which|какие|список) )?{{a}}{_FILES}(?: (?:are|is|do we have|есть|лежат))?(?: there)?"
            rf"(?: {_IN} {{a}}(?:этом |эт[уой]+ )?{_HERE})?",
            rf"(?:(?:{{verb}}|what|which|какие|список) )?{{a}}{_FILES}(?: (?:are|есть|лежат))? {_IN} {{a}}"
            r"(?:(?:folder|directory|папке|каталоге) )?{folder}(?: (?:folder|directory))?",
            r"list {path}|ls(?: {folder})?",
        ),
    ),
    Verb(
        "read",
        agent="ask",
        words=r"read|show(?: me)?|open|print|display|view|look (?:at|into)|explain|describe|summari[sz]e|review"
        r"|прочитай|прочти|покажи|открой|выведи|посмотри|объясни|опиши|расскажи (?:о|об|про)|перескажи",
        forms=(
            r"{verb}(?: (?:and|и) {verb})? (?:(?:lines?|строк\w*) (?P<first>\d+) ?(?:-|–|to|по|до) ?(?P<last>\d+) "
            rf"(?:{_IN} )?)?{{a}}(?:(?:contents?|содержимое) (?:of )?)?{{a}}{{file}}{{path}}",
            r"what(?: does|'s in| is in) {a}{file}{path}(?: do| contain)?",
            r"(?:что делает|что в|о ч[её]м) {file}{path}",
        ),
    ),
    Verb(
        "search",
        agent="ask",
        words="search|find|look|grep|найди|поищи|ищи",
        forms=(
            r"{verb}(?: (?:through |in )?{a}(?:code|project))? for {a}(?:word |text )?{word}"
            rf"(?: {_IN} (?:{{a}}{_HERE}|{{folder}}))?",
            r"(?:find|grep|найди|поищи|ищи)(?: (?:the )?(?:word|text|слово|текст))? {text}"
            rf"(?: {_IN} (?:{{a}}{_HERE}|{{folder}}))?",
            r"(?:find|найди)(?: (?:all|every|все))? "
            r"(?:{a}(?:uses?|usages?|occurrences?|mentions?) of|использования) {word}",
            r"where (?:is|are) {word} (?:defined|used|declared|set|called)",
            r"where is {text}",
            r"где (?:определ\w+|использу\w+|объявл\w+|находится|встречается) {word}",
        ),
    ),
    Verb(
        "change",
        agent="coder",
        words="replace|change|append|add|insert|замени|поменяй|измени|добавь|допиши|вставь",
        forms=(
            rf"(?:{_IN} {{file}}(?P<place>{MARK}|{_BARE_PATH}),? )?(?:replace|замени) {{a}}"
            rf"(?:(?:word|text|line|слово|текст|строку) )?{{word}} (?:with|by|на) {{new}}"
            rf"(?: (?:everywhere |везде )?{_IN} {{a}}{{file}}{{path}})?",
            rf"(?:change|поменяй|измени) {{text}} (?:to|into|на) {{new}}(?: {_IN} {{a}}{{file}}{{path}})?",
            r"(?:append|add|insert|добавь|допиши|вставь) {a}(?:(?:line|text|строку|текст) )?{text} "
            rf"(?:at the end of|{_IN}) {{a}}(?:end of |конец )?{{a}}{{file}}{{path}}",
        ),
    ),
    Verb(
        "create",
        agent="coder",
        words="create|make|write|add|save|put|создай|сделай|напиши|запиши|добавь|сохрани",
        forms=(
            r"(?:create|make|add|создай|сделай|добавь) {a}(?:folder|directory|папку|каталог|директорию) "
            r"(?:(?:called|named|с именем) )?(?P<folder>\S+)",
            r"{verb} {a}{file}{path}(?:,? ?(?:(?:with|containing|с|со)\b|:)?(?: the| following)*"
            r"(?: (?:text|contents?|line|текстом|содержимым|содержанием|строкой))?:? ?{text})?",
            r"{verb} {a}{file}{path},? (?:with|с|со)(?: the)? (?:text|content|текстом|содержимым) {plain}",
            rf"{{verb}} {{text}} {_IN} {{a}}{{file}}{{path}}",
        ),
    ),
    Verb(
        "run",
        agent="coder",
        words="run|execute|запусти|выполни",
        forms=(r"{verb} {a}(?:(?:shell |terminal )?(?:command|команду):? )?{text}", r"{verb} {a}{file}{path}"),
    ),
    Verb(
        "calculate",
        agent="coder",
        words="calculate|compute|what is|what's|how much is|сколько будет|посчитай|вычисли|чему равно",
        forms=(r"{verb} {sum}", r"(?=.*\d ?[+\-*/%^(]){sum}"),
    ),
    Verb(
        "plan",
        agent="architect",
        words=r"plan|design|(?:make|create|write|draw up) a plan"
        r"|спланируй|(?:составь|сделай|напиши) план|разработай|спроектируй",
        forms=(r"(?:{verb})\b[: ]+(?:(?:for|of|to|для) )?(?P<text>[\s\S]+)",),
    ),
)
BY_NAME = {verb.name: verb for verb in VERBS}
ALREADY_SAID = re.compile(
    r"(?:tell|show|give) me (?:what|which|why|how|whether|about it|the (?:output|result|answer)).*"
    r"|explain (?:why|what|how) .*|(?:search|look) (?:in |through )?the code"
    r"|(?:скажи|расскажи|объясни|покажи)(?: мне)?,? (?:как|что|почему|сколько|чем|где|вывод|результат).*",
    re.IGNORECASE,
)
"""A clause that only asks for what the report of the clause before says anyway."""
