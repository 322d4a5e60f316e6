"""The words before a call in the text of a reply: do they announce it, or do they show it to the reader?"""

from __future__ import annotations

import re

MAX_LEAD_CHARS = 300
_MAX_LINES = 4


def _words(alternatives: str) -> re.Pattern[str]:
    """A pattern of whole words; the alternatives stand in lines, parted by ` | `."""
    parts = [part for line in alternatives.strip().splitlines() for part in line.strip().split(" | ")]
    return re.compile(rf"\b(?:{'|'.join(parts)})\b", re.IGNORECASE)


_SHOWS = _words(
    r"""
    examples? | e\.g | for instance | such as | looks? like | looked like | like (?:this|so|these)
    format(?:s|ted)? | syntax | schema | sample | template | snippet | illustrat\w* | demonstrat\w*
    document\w* | docs | readme | tutorial | quot\w* | users? (?:can|could|should|must)
    one (?:can|could|would) | contains? | contained
    you (?:can|could|would|should|may|might|have to|need to|must)
    (?:clients?|models?|assistants?|agents?|servers?|tools?) (?:can|could|must|should|would|will)
    (?:clients?|models?|assistants?|agents?|servers?|tools?) (?:sends?|writes?|wrote|returns?|answers?)
    (?:clients?|models?|assistants?|agents?|servers?|tools?) (?:replies|replied|emits?|takes?|expects?)
    how (?:to|a|an|the|it|one|you|they) | said | says | states? | reads: | wrote | written | returned | logged
    logs? | output | responses? | recorded | transcript | earlier | previously | equivalent | means
    corresponds | represent\w* | describ\w* | defin\w* | shape | structure | payload | fixture
    spec(?:ification)? | valid | invalid | typical(?:ly)? | in general | instead of | never
    don't (?:run|call|execute) | do not (?:run|call|execute) | not (?:to )?(?:run|call|execute)
    (?:this|that|it|reply|answer|call|line|body|message) (?:was|is|were|would be|could be|has) (?:a |the )?\w*:?\Z
    (?:'ll|will|me|going to) (?:show|give|explain|illustrate|demonstrate|quote|paste|provide|present|describe)
    (?:'ll|will|me|going to) (?:share|sketch|outline) | пример\w* | покажу | приведу | объясню | опишу
    процитирую | вот | например | выглядит | выглядят | формат\w* | синтаксис\w* | схем\w* | образец
    образцом
    шаблон\w* | документ\w* | цитат\w* | можете | можно | следует | должен | должна | должны | содержит\w*
    содержал\w* | написано | сказано | говорит\w* | вернул\w* | ответил\w* | лог\w* | модел[ьи] \w+(?:ет|ит)
    клиент\w* | как (?:вызвать|вызывать) | как (?:вызов|это|такой) | вида | такого | такой | структур\w*
    означает | описан\w* | описыва\w* | вместо | пользовател\w* | не (?:выполня\w*|запуска\w*|вызыва\w*)
    """
)
_ANNOUNCES = _words(
    r"""
    i(?:'ll| will|'m going to| am going to|'m about to| need to| have to| should first| must first| want to)
    i (?:read|write|create|list|search|run|call|use|look|check|open) | let(?:'s| me| us)
    we(?:'ll| will| need to) | going to | allow me | the task is (?:done|complete)
    i(?:'m| am) (?:\w+ing) | сейчас | давайте | давай | мне нужно | мне надо | начн\w+
    вызываю | вызову | прочитаю | читаю
    прочту | создам | создаю | напишу | пишу | запишу | открываю | открою | посмотрю | смотрю | проверю | проверяю
    найду | ищу | поищу | запущу | запускаю | выполню | выполняю | использую | воспользуюсь | изменю | обновлю
    добавлю | исправлю | перехожу
    """
)
_DOES_NOW = re.compile(
    r"(?:\A|[.!?,:\n]\s*)(?:now,? )?"
    r"(?:call|read|creat|writ|list|search|execut|runn|mak|updat|fetch|open|check|look|invok"
    r"|start|view|inspect|find|add|modify|apply|proceed|try|sav|switch|retriev)ing\b(?!\s+an?\b)[^.]*?"
    r"(?:\b(?:the|now|your|this)\b|…|\.\.\.)",
    re.IGNORECASE,
)
_ONLY_ASSENT = re.compile(
    r"(?:sure|certainly|of course|ok(?:ay)?|alright|great|understood|got it|done|finished"
    r"|готово|хорошо|конечно|понял\w*)[.!:,…]*",
    re.IGNORECASE,
)
_SENTENCE_END = re.compile(r"(?<=[.!?…:])\s+|\n+")
_LIST_OR_HEAD = re.compile(r"^\s*(?:[-*•+]\s|\d+[.)]\s|#{1,6}\s|>|\|)", re.MULTILINE)


def announces_call(lead: str) -> bool:
    """Whether what stands before a call is nothing, or a short announcement that shows nothing to the reader."""
    lead = lead.strip().replace("’", "'")
    if not lead:
        return True
    if len(lead) > MAX_LEAD_CHARS or len(lead.splitlines()) > _MAX_LINES:
        return False
    if "```" in lead or _LIST_OR_HEAD.search(lead) or lead.endswith(("?", '"', "“", "«", "`", "'", "(")):
        return False
    if _SHOWS.search(lead):
        return False
    end = " ".join(_SENTENCE_END.split(lead)[-2:])
    return bool(_ANNOUNCES.search(end) or _DOES_NOW.search(end) or _ONLY_ASSENT.fullmatch(lead))
