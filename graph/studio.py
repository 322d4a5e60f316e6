"""The graph as LangGraph Studio loads it: without a checkpointer, Studio brings its own."""

from graph.builder import build_graph

graph = build_graph()
