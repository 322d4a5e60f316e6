"""Every form with the function that checks its arguments."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence

from policy.shell.forms.awk import check_awk
from policy.shell.forms.condition import check_bracket, check_test
from policy.shell.forms.find import check_find
from policy.shell.forms.jq import check_jq
from policy.shell.forms.plain import check_cd, check_date, check_echo, check_printf, check_seq, check_type
from policy.shell.forms.sed import check_sed
from policy.shell.lexer import Word
from policy.shell.operands import Place

FORMS: Mapping[str, Callable[[Sequence[Word], Place], None]] = {
    "awk": check_awk,
    "bracket": check_bracket,
    "cd": check_cd,
    "date": check_date,
    "echo": check_echo,
    "find": check_find,
    "jq": check_jq,
    "printf": check_printf,
    "sed": check_sed,
    "seq": check_seq,
    "test": check_test,
    "type": check_type,
}
