"""`ask_followup_question`: ask the user one question and suggest answers."""

from tools.tool import Tool, arguments_schema

ASK_FOLLOWUP_QUESTION = Tool(
    name="ask_followup_question",
    description="Ask the user one question that the other tools cannot answer, and suggest two to four answers.",
    parameters=arguments_schema(
        {
            "question": {"type": "string"},
            "suggestions": {"type": "array", "items": {"type": "string"}, "minItems": 2, "maxItems": 4},
        },
        required=["question", "suggestions"],
    ),
    runs="virtual",
    access="none",
    effect="question",
)
