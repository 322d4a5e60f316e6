"""Every tool, in the order in which a model sees them (docs/protocol.md, Tools)."""

from tools.ask_followup_question import ASK_FOLLOWUP_QUESTION
from tools.attempt_completion import ATTEMPT_COMPLETION
from tools.calculator import CALCULATOR
from tools.create_directory import CREATE_DIRECTORY
from tools.create_plan import CREATE_PLAN
from tools.echo import ECHO
from tools.edit_file import EDIT_FILE
from tools.execute_command import EXECUTE_COMMAND
from tools.glob import GLOB
from tools.list_files import LIST_FILES
from tools.read_file import READ_FILE
from tools.search_in_code import SEARCH_IN_CODE
from tools.switch_mode import SWITCH_MODE
from tools.tool import Tool
from tools.write_file import WRITE_FILE

TOOLS: tuple[Tool, ...] = (
    ECHO,
    CALCULATOR,
    SWITCH_MODE,
    READ_FILE,
    WRITE_FILE,
    LIST_FILES,
    CREATE_DIRECTORY,
    EXECUTE_COMMAND,
    SEARCH_IN_CODE,
    EDIT_FILE,
    GLOB,
    ATTEMPT_COMPLETION,
    ASK_FOLLOWUP_QUESTION,
    CREATE_PLAN,
)

BY_NAME = {tool.name: tool for tool in TOOLS}
