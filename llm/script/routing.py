"""How the scripted model classifies a request: keywords in English and Russian, strongest wish first."""

from __future__ import annotations

import re

_PLAN = re.compile(
    r"\b(plan|architect\w*|design|roadmap|specification|adr)\b|\b(whole|full|entire|complete)\s+(app|application|system|project)\b"
    r"|\b(create|build|make|develop|write)\s+(an?\s+|the\s+)?(\w+\s+){0,3}(app|application|system|service|website)\b"
    r"|спланир|\bплан\b|архитектур|спроектир|разработай|(мобильн|веб).{0,3}\s*приложени|созда\w*\s+(\w+\s+){0,3}(приложени|систем|сервис)",
    re.IGNORECASE,
)
_CODE = re.compile(
    r"\b(write|create|add|append|replace|change|rename|remove|delete|implement|refactor|update|modify|run|execute|make"
    r"|insert|prepend|improve|calculate|compute|move)\b"
    r"|созда|напиши|запиши|добав|допиши|замени|измени|переимен|удали|реализу|запусти|выполни|улучши|сделай|вычисли"
    r"|посчитай|сколько будет",
    re.IGNORECASE,
)
_DEBUG = re.compile(
    r"\b(debug|bug|crash\w*|fails?|failing|broken|stack ?trace|traceback|investigate|wrong|not working|error"
    r"|exception|fix)\b"
    r"|отлад|ошибк|\bбаг|пада(ет|ют)|не работает|сломал|исправ|почему",
    re.IGNORECASE,
)
_EXPLAIN = re.compile(
    r"\b(explain|what|how|why|describe|understand|tell me|show|read|list|find|search|where"
    r"|summari[sz]e|help|hello|hi)\b"
    r"|объясни|что такое|как |расскажи|опиши|покажи|прочитай|прочти|найди|где |список|какие|привет|помощь",
    re.IGNORECASE,
)
_KNOWLEDGE = re.compile(r"^\s*(what|how|why|where|which|who|explain|describe|что|как|где|почему|зачем|объясни)\b", re.I)


def classify(request: str) -> dict[str, object]:
    """Answer the classifier's question (protocol section 8) by simple keyword thinking."""
    request = request.rpartition("The request to classify:")[2].strip()
    is_question = _KNOWLEDGE.match(request) is not None
    if _PLAN.search(request) and not is_question:
        return _answer("plan", "high", "Several steps are needed.")
    if _CODE.search(request) and not is_question:
        return _answer("code", "high", "Something is to be made, changed or run.")
    if _DEBUG.search(request):
        return _answer("debug", "medium", "Something does not work as it should.")
    if is_question or _EXPLAIN.search(request):
        return _answer("explain", "high", "Something is to be looked at or explained.")
    return _answer("code", "low", "No clear sign.")


def _answer(agent: str, confidence: str, reason: str) -> dict[str, object]:
    return {"is_atomic": agent != "plan", "agent": agent, "confidence": confidence, "reason": reason}
